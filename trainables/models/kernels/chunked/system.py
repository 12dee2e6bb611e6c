"""A linear system with fixed matrices, in chunks: s_t = A s_{t-1} + b u_t, y_t = C s_t.

Inside a chunk the answers are a product with a Toeplitz matrix; no step is taken by itself, and as
nothing is transformed to frequencies, the form is exactly causal.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.models.kernels.chunked.given_types import in_given_types

CHUNK = 64


class System(NamedTuple):
    """G systems side by side, each with a state of S numbers, of which R combinations are read."""

    A: Float[Tensor, "G S S"]
    b: Float[Tensor, "G S"]
    C: Float[Tensor, "G R S"]


@in_given_types
def chunked_system(
    system: System, u: Float[Tensor, "T B G"], initial: Float[Tensor, "B G S"]
) -> tuple[Float[Tensor, "T B G R"], Float[Tensor, "B G S"]]:
    """The answers at every step, and the states after the last.

    Args:
        system: the matrices
        u: one number a step that drives each system
        initial: the states before the first step

    """
    T, B, G = u.shape
    R, L = system.C.shape[1], min(T, CHUNK)
    powers = _powers(system.A, L)
    response = (powers[:L] @ system.b[..., None]).squeeze(-1)  # A^l b: L G S
    padded = nn.functional.pad(u, (0, 0, 0, 0, 0, -T % L))
    u_GLCB = padded.unflatten(0, (-1, L)).permute(3, 1, 0, 2)
    u_GLM = u_GLCB.flatten(2)  # M = chunks x B
    kernel = torch.einsum("grs,lgs->grl", system.C, response).flatten(0, 1)
    y_GKM = toeplitz(kernel).unflatten(0, (G, R)).flatten(1, 2) @ u_GLM  # K = R x L
    states = [initial.permute(1, 2, 0)]
    for added in (_into(response) @ u_GLM).unflatten(2, (-1, B)).unbind(2)[:-1]:
        states.append(torch.baddbmm(added, powers[L], states[-1]))
    rest = T - (len(states) - 1) * L
    added = _into(response[:rest]) @ u_GLCB[:, :rest, -1]
    last = torch.baddbmm(added, powers[rest], states[-1])
    out = (system.C @ powers[1:]).permute(1, 2, 0, 3).flatten(1, 2)  # C A^(l+1): G K S
    y_GKM = y_GKM + out @ torch.cat(states, dim=2)
    y = y_GKM.view(G, R, L, -1, B).permute(3, 2, 4, 0, 1).flatten(0, 1)[:T]
    return y, last.permute(2, 0, 1)


def products_per_step(length: int, state_size: int, num_read: int) -> float:
    """Multiply-adds of `chunked_system` for one step of one system; its matrices are left out."""
    return num_read * min(length, CHUNK) + state_size + num_read * state_size


def toeplitz(kernel: Float[Tensor, "D L"]) -> Float[Tensor, "D L L"]:
    """The lower triangular matrices with entry kernel[i - j] in row i, column j."""
    L = kernel.shape[1]
    return nn.functional.pad(kernel, (L - 1, 0)).unfold(1, L, 1).flip(-1)


def _powers(A: Float[Tensor, "G S S"], highest: int) -> Float[Tensor, "L1 G S S"]:
    """The powers of A from 0 to ``highest``, by doubling."""
    one = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device).expand_as(A)
    powers = torch.stack((one, A))
    while len(powers) <= highest:
        powers = torch.cat((powers, powers[1:] @ powers[-1]))
    return powers[: highest + 1]


def _into(response: Float[Tensor, "L G S"]) -> Float[Tensor, "G S L"]:
    """What each step of a chunk leaves in the state at its end."""
    return response.flip(0).permute(1, 2, 0)
