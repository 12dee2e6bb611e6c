"""``mamba2``: its chunks and the whole block against the sequential recurrence of Dao & Gu 2024."""

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from tests.trainables.models.test_gated_delta import silu
from trainables.models.cells.mamba2 import Mamba2
from trainables.models.kernels.chunked.decaying import chunked_decaying
from trainables.models.layer import Surroundings

WIDTH, HEADS, STATES, TAPS = 4, 2, 3, 3
INSIDE = 2 * WIDTH
HEAD = INSIDE // HEADS


def mamba2(weights: Weights, x: Tensor) -> Tensor:
    """Head by head and step by step."""
    z, ubc, r = (x @ weights["into.weight"].T).split([INSIDE, INSIDE + 2 * STATES, HEADS], dim=-1)
    S = [x.new_zeros(len(x), STATES, HEAD) for _ in range(HEADS)]
    answers = []
    for t in range(x.shape[1]):
        now = weights["convolution.bias"].expand(len(x), -1)
        for s in range(max(0, t - TAPS + 1), t + 1):
            now = now + weights["convolution.taps"][t - s] * ubc[:, s]
        u, b, c = silu(now).split([INSIDE, STATES, STATES], dim=-1)
        y = []
        for head in range(HEADS):
            own = u[:, head * HEAD : (head + 1) * HEAD]
            dt = torch.log1p(torch.exp(r[:, t, head, None, None] + weights["dt_bias"][head]))
            decay = torch.exp(-dt * torch.exp(weights["log_rate"][head]))
            S[head] = decay * S[head] + dt * b[:, :, None] * own[:, None]
            read = torch.einsum("bn,bnp->bp", c, S[head])
            y.append(read + weights["skip"][head] * own)
        joint = torch.cat(y, dim=-1) * silu(z[:, t])
        joint = joint / (joint.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        answers.append((joint * weights["norm.weight"]) @ weights["out.weight"].T)
    return torch.stack(answers, 1)


@pytest.mark.parametrize("length", [1, 2, 63, 65])
def test_agrees_with_the_equations(length: int) -> None:
    torch.manual_seed(0)
    config = Mamba2.Config(num_heads=HEADS, state_size=STATES, taps=TAPS)
    layer = Mamba2(config, Surroundings(width=WIDTH)).double()
    stirred(layer)
    assert_agree(layer, mamba2, stream(2, length, WIDTH))


def drive(length: int, fastest: float = 2.0) -> list[Tensor]:
    """q, k (B, T, N), v (B, H, T, P), log a (B, H, T) and a memory to start from."""
    q, k = stream(2, length, STATES), stream(2, length, STATES, seed=2)
    v = stream(2 * HEADS, length, HEAD, seed=3).view(2, HEADS, length, HEAD)
    log_a = -fastest * stream(2, HEADS, length, seed=4).sigmoid()
    initial = stream(2 * HEADS, STATES, HEAD, seed=5).view(2, HEADS, STATES, HEAD)
    return [part.requires_grad_() for part in (q, k, v, log_a, initial)]


@pytest.mark.parametrize("length", [1, 64, 65, 130])
def test_chunks_equal_the_recurrence(length: int) -> None:
    """Answers, the last memory and gradients, from a memory on."""
    inputs = drive(length)
    q, k, v, log_a, S = inputs
    answers = []
    for t in range(length):
        written = torch.einsum("bn,bhp->bhnp", k[:, t], v[:, :, t])
        S = log_a[:, :, t, None, None].exp() * S + written
        answers.append(torch.einsum("bn,bhnp->bhp", q[:, t], S))
    due = torch.stack(answers, 2), S
    got = chunked_decaying(*inputs)
    torch.testing.assert_close(got, due, rtol=1e-9, atol=1e-10)
    directions = [stream(1, 1, part.numel(), seed=8).view_as(part) for part in due]
    gradients = [
        torch.autograd.grad(
            sum((part * d).sum() for part, d in zip(out, directions, strict=True)), inputs
        )
        for out in (got, due)
    ]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-8, atol=1e-9)


def test_shut_gates_forget_without_overflow() -> None:
    """With e^-400 kept a step, only the step's own write is left, with finite gradients."""
    inputs = [part.detach().float() for part in drive(70)]
    inputs[3] = torch.full_like(inputs[3], -400.0)
    q, k, v, *_ = (part.requires_grad_() for part in inputs)
    o, _ = chunked_decaying(*inputs)
    torch.testing.assert_close(o, (q * k).sum(-1)[:, None, :, None] * v)
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(o.sum(), inputs))


def test_heads_must_divide_the_channels() -> None:
    with pytest.raises(ValueError, match=r"num_heads: 3 is not allowed; .* \(8\)"):
        Mamba2(Mamba2.Config(num_heads=3), Surroundings(width=WIDTH))
