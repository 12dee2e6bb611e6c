"""Where a head of a Neural Turing Machine looks (Graves, Wayne, Danihelka 2014, section 3.3).

Content addressing, then interpolation with the last weights, a circular shift, and sharpening.
Every result is a weighting: B x H heads, each N non-negative numbers that sum to one.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

Weightings = Float[Tensor, "B H N"]

SMALLEST_SQUARE = 1e-6
"""Added to squared lengths, so that empty slots have a direction-free, differentiable cosine."""


def content_weights(
    keys: Float[Tensor, "B H W"], strengths: Float[Tensor, "B H"], memory: Float[Tensor, "B N W"]
) -> Weightings:
    """Softmax over slots of strength x cosine(key, slot) (eq. 5 and 6).

    The cosine is u . v / sqrt((|u|^2 + e) (|v|^2 + e)) with e = `SMALLEST_SQUARE`.
    """
    key_scales = strengths * inverse_lengths(keys)
    scores = torch.bmm(keys * key_scales.unsqueeze(-1), memory.mT)
    return (scores * inverse_lengths(memory).unsqueeze(1)).softmax(-1)


def masked_content_weights(
    keys: Float[Tensor, "B H W"],
    strengths: Float[Tensor, "B H"],
    masks: Float[Tensor, "B H W"],
    memory: Float[Tensor, "B N W"],
) -> Weightings:
    """The same with key and slots times a mask, so that a part is enough to find the whole.

    A slot then counts by what the key knows of it (Csordas & Schmidhuber 2019, 3.1).
    """
    masked = keys * masks
    key_scales = strengths * inverse_lengths(masked)
    scores = torch.bmm(masked * masks * key_scales.unsqueeze(-1), memory.mT)
    squares = torch.bmm(masks * masks, (memory * memory).mT)
    return (scores * (squares + SMALLEST_SQUARE).rsqrt()).softmax(-1)


def inverse_lengths(vectors: Float[Tensor, "B K W"]) -> Float[Tensor, "B K"]:
    """1 / sqrt(|v|^2 + e)."""
    return ((vectors * vectors).sum(-1) + SMALLEST_SQUARE).rsqrt()


def interpolate(
    content: Weightings, previous: Weightings, gates: Float[Tensor, "B H"]
) -> Weightings:
    """What the content says by g, the last weights by 1 - g (eq. 7)."""
    g = gates.unsqueeze(-1)
    return torch.addcmul(g * content, 1 - g, previous)


def shift(weights: Weightings, shifts: Float[Tensor, "B H S"]) -> Weightings:
    """Circular convolution (eq. 8): the weight at slot i moves to slot i + k by share s_k.

    ``shifts`` are the shares of k = -m .. m, for S = 2 m + 1.
    """
    max_shift = shifts.shape[-1] // 2
    shares = shifts.unsqueeze(-1).unbind(-2)
    shifted = shares[max_shift] * weights
    for k in range(1, max_shift + 1):
        shifted = torch.addcmul(shifted, shares[max_shift - k], weights.roll(-k, -1))
        shifted = torch.addcmul(shifted, shares[max_shift + k], weights.roll(k, -1))
    return shifted


def sharpen(weights: Weightings, exponents: Float[Tensor, "B H"]) -> Weightings:
    """w^gamma / sum w^gamma (eq. 9), as a softmax of gamma log w, which cannot underflow to 0 / 0.

    ``exponents`` are at least one.
    """
    smallest = torch.finfo(weights.dtype).tiny
    return (exponents.unsqueeze(-1) * (weights + smallest).log()).softmax(-1)
