"""Addressing and slots against loops from the NTM paper, and where float32 is at its end."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.trainables.models.memory import papers
from trainables.models.memory.addressing import content_weights, interpolate, sharpen, shift
from trainables.models.memory.slots import read, write

B, H, N, W = 2, 3, 7, 4


def numbers(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def weightings(seed: int = 0, slots: int = N) -> Tensor:
    return numbers(B, H, slots, seed=seed).softmax(-1)


def by_head(reference: Callable[..., np.ndarray], *inputs: Tensor) -> Tensor:
    """``reference`` on each row and head."""
    arrays = [x.numpy() for x in inputs]
    rows = [[reference(*(a[b, h] for a in arrays)) for h in range(H)] for b in range(B)]
    return torch.from_numpy(np.array(rows))


def same(result: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-13)


def gradients_hold(function: Callable[..., Tensor], *inputs: Tensor) -> None:
    assert torch.autograd.gradcheck(function, [x.clone().requires_grad_() for x in inputs])


def test_content_weights() -> None:
    """Softmax of strength times cosine, and its gradients."""
    keys, strengths, memory = numbers(B, H, W), numbers(B, H, seed=1).exp(), numbers(B, N, W)
    slots = memory.unsqueeze(1).expand(B, H, N, W)
    expected = by_head(papers.content, keys, strengths, slots)
    same(content_weights(keys, strengths, memory), expected)
    gradients_hold(content_weights, keys, strengths, memory)


def test_interpolate() -> None:
    """Gate 1 takes the content's weights, gate 0 the last ones."""
    content, previous, gates = weightings(), weightings(1), numbers(B, H).sigmoid()
    same(
        interpolate(content, previous, gates),
        by_head(papers.interpolated, content, previous, gates),
    )
    gradients_hold(interpolate, content, previous, gates)


@pytest.mark.parametrize("max_shift", [0, 1, 2, 3])
def test_shift(max_shift: int) -> None:
    """Circular convolution, for shifts up to half way round."""
    weights, shares = weightings(), numbers(B, H, 2 * max_shift + 1, seed=1).softmax(-1)
    same(shift(weights, shares), by_head(papers.shifted, weights, shares))
    gradients_hold(shift, weights, shares)


def test_sharpen() -> None:
    """Powers, normalised."""
    weights, exponents = weightings(), 1 + numbers(B, H, seed=1).exp()
    same(sharpen(weights, exponents), by_head(papers.sharpened, weights, exponents))
    gradients_hold(sharpen, weights, exponents)


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_write_and_read(heads: int) -> None:
    """All heads erase, then all add; each head reads the mean that its weights say."""
    memory, weights = numbers(B, N, W), weightings()[:, :heads]
    erase, add = numbers(B, heads, W, seed=1).sigmoid(), numbers(B, heads, W, seed=2)
    parts = [(memory[b], weights[b], erase[b], add[b]) for b in range(B)]
    after = [papers.written(*(part.numpy() for part in row)) for row in parts]
    same(write(memory, weights, erase, add), torch.from_numpy(np.array(after)))
    gradients_hold(write, memory, weights, erase, add)
    seen = [papers.read(m, w.numpy()) for m, w in zip(after, weights, strict=True)]
    same(read(write(memory, weights, erase, add), weights), torch.from_numpy(np.array(seen)))
    gradients_hold(read, memory, weights)


def test_empty_slots_and_keys_have_gradients() -> None:
    """A cosine with a vector of zeros is 0, and no gradient through it is infinite."""
    keys = torch.zeros(1, 2, W).requires_grad_()
    memory = torch.zeros(1, N, W).requires_grad_()
    weights = content_weights(keys, torch.full((1, 2), 50.0), memory)
    torch.testing.assert_close(weights, torch.full((1, 2, N), 1 / N))
    for gradient in torch.autograd.grad(weights[..., 0].sum(), (keys, memory)):
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("exponent", [1.0, 20.0, 1000.0])
def test_sharpen_survives_powers_that_underflow(exponent: float) -> None:
    """In float32: 1/500 to the 20th is below the smallest number, and zeros have gradients."""
    level = torch.full((1, 1, 500), 1 / 500)
    one_hot = torch.nn.functional.one_hot(torch.tensor([[3]]), 500).float()
    for weights in (level, one_hot):
        weights = weights.clone().requires_grad_()
        exponents = torch.full((1, 1), exponent).requires_grad_()
        sharp = sharpen(weights, exponents)
        torch.testing.assert_close(sharp, weights.detach(), rtol=1e-4, atol=1e-37)
        for gradient in torch.autograd.grad(sharp[..., 3].sum(), (weights, exponents)):
            assert torch.isfinite(gradient).all()


def test_a_head_walks_ten_thousand_slots() -> None:
    """Location addressing alone, in float32: each step one slot on, without a trace of blur."""
    weights = torch.nn.functional.one_hot(torch.tensor([[0, 5]]), 12).float()
    shares = torch.tensor([[[0.01, 0.02, 0.97], [0.97, 0.02, 0.01]]])
    exponents = torch.full((1, 2), 5.0)
    for _ in range(10_000):
        weights = sharpen(shift(weights, shares), exponents)
    assert weights.argmax(-1).tolist() == [[10_000 % 12, (5 - 10_000) % 12]]
    assert (weights.amax(-1) > 0.999).all()
