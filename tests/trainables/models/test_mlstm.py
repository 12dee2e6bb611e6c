"""``mlstm``: the stabilised chunks against the sequential recurrence of Beck et al. 2024."""

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.mlstm import Mlstm
from trainables.models.kernels.chunked_mlstm import chunked_mlstm
from trainables.models.layer import Surroundings

WIDTH, HEADS = 8, 2
HEAD = WIDTH // HEADS


def recurrence(q: Tensor, k: Tensor, v: Tensor, log_i: Tensor, log_f: Tensor) -> Tensor:
    """Equations 19 to 27 as they stand, (B, H, T, E), with nothing done against overflow."""
    B, H, T, E = q.shape
    C, n = q.new_zeros(B, H, E, E), q.new_zeros(B, H, E)
    answers = []
    for t in range(T):
        i, f = log_i[:, :, t].exp(), log_f[:, :, t].exp()
        C = f[..., None, None] * C + i[..., None, None] * torch.einsum(
            "bhv,bhk->bhvk", v[:, :, t], k[:, :, t]
        )
        n = f[..., None] * n + i[..., None] * k[:, :, t]
        read = torch.einsum("bhvk,bhk->bhv", C, q[:, :, t])
        norm = torch.einsum("bhk,bhk->bh", n, q[:, :, t]).abs()
        answers.append(read / torch.clamp(norm, min=1)[..., None])
    return torch.stack(answers, 2)


def mlstm(weights: Weights, x: Tensor) -> Tensor:
    def affine(name: str) -> Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def heads(part: Tensor) -> Tensor:
        return part.view(*x.shape[:2], HEADS, HEAD).transpose(1, 2)

    q, k, v = (heads(part) for part in affine("qkv").split(WIDTH, dim=-1))
    i, f = (part.transpose(1, 2) for part in affine("gates").split(HEADS, dim=-1))
    h = recurrence(q, k / HEAD**0.5, v, i, -torch.log1p(torch.exp(-f)))
    h = h - h.mean(-1, keepdim=True)
    h = h / (h.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    h = h.transpose(1, 2).reshape(x.shape) * weights["norm.weight"] + weights["norm.bias"]
    h = h / (1 + torch.exp(-affine("open")))
    return h @ weights["out.weight"].T + weights["out.bias"]


@pytest.mark.parametrize("length", [1, 2, 16, 17, 63])
def test_agrees_with_the_equations(length: int) -> None:
    torch.manual_seed(0)
    layer = Mlstm(Mlstm.Config(num_heads=HEADS), Surroundings(width=WIDTH)).double()
    stirred(layer, scale=0.5)  # the gates see the input now
    assert_agree(layer, mlstm, stream(2, length, WIDTH))


def drive(length: int, width: int, gate: float) -> list[Tensor]:
    """q, k, v, log i around ``gate``, log f: (B, H, T, E) and (B, H, T)."""
    q, k, v = (stream(2 * 3, length, width, seed=s).view(2, 3, length, width) for s in (1, 2, 3))
    log_i, f = (2 * stream(2, 3, length, seed=s) for s in (4, 5))
    log_f = torch.nn.functional.logsigmoid(f + 2)
    return [part.requires_grad_() for part in (q, k, v, gate + log_i, log_f)]


@pytest.mark.parametrize("gate", [-60.0, -5.0, 0.0, 10.0, 200.0])
@pytest.mark.parametrize(("length", "width"), [(1, 4), (50, 4), (70, 20), (130, 64)])
def test_chunks_equal_the_recurrence(length: int, width: int, gate: float) -> None:
    """Answers and gradients with gates from e^-60, where 1 bounds the norm, to e^200."""
    inputs = drive(length, width, gate)
    fast, slow = chunked_mlstm(*inputs), recurrence(*inputs)
    scale = slow.abs().max().item()  # e^-60 below its bound
    torch.testing.assert_close(fast, slow, rtol=1e-8, atol=1e-10 * scale)
    direction = stream(2 * 3, length, width, seed=6).view_as(slow)
    got, due = (torch.autograd.grad((y * direction).sum(), inputs) for y in (fast, slow))
    for mine, theirs in zip(got, due, strict=True):
        atol = 1e-9 * max(theirs.abs().max().item(), scale)
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=atol)


@pytest.mark.parametrize("gate", [-1000.0, 1000.0])
def test_no_gate_is_too_large_for_float32(gate: float) -> None:
    """e^1000 is no float: the stabiliser keeps answers and gradients finite."""
    inputs = [part.detach().float().requires_grad_() for part in drive(40, 4, gate)]
    h = chunked_mlstm(*inputs)
    gradients = torch.autograd.grad(h.sum(), inputs)
    assert all(torch.isfinite(part).all() for part in (h, *gradients))
    assert torch.count_nonzero(h) == (0 if gate < 0 else h.numel())


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match=r"num_heads: 3 is not allowed; .* \(8\)"):
        Mlstm(Mlstm.Config(num_heads=3), Surroundings(width=WIDTH))
