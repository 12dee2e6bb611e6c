"""``slstm`` against the recurrence of Beck et al. 2024 without anything done against overflow."""

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.slstm import Slstm
from trainables.models.layer import Surroundings

WIDTH, HEADS = 6, 2
HEAD = WIDTH // HEADS


def normed(weights: Weights, h: Tensor) -> Tensor:
    """W_out of the heads, each of mean 0 and length 1."""
    heads = h.unflatten(-1, (HEADS, HEAD))
    heads = heads - heads.mean(-1, keepdim=True)
    heads = heads / (heads.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    h = heads.flatten(-2) * weights["norm.weight"] + weights["norm.bias"]
    return h @ weights["out.weight"].T + weights["out.bias"]


def heard(weights: Weights, h: Tensor) -> Tensor:
    """R h in the order i, f, z, o, each D wide: every head's R by itself."""
    gates: list[list[Tensor]] = [[], [], [], []]
    for head, R in enumerate(weights["recurrent"]):
        own = h[:, head * HEAD : (head + 1) * HEAD] @ R
        for gate, part in zip(gates, own.split(HEAD, dim=1), strict=True):
            gate.append(part)
    return torch.cat([torch.cat(gate, dim=1) for gate in gates], dim=1)


def slstm(weights: Weights, x: Tensor) -> Tensor:
    """Equations 8 to 14 with the sigmoid for f."""
    h = c = n = torch.zeros_like(x[:, 0])
    answers = []
    for x_t in x.unbind(1):
        maps = x_t @ weights["enter.weight"].T + weights["enter.bias"] + heard(weights, h)
        i, f, z, o = maps.split(WIDTH, dim=1)
        i, f, o = torch.exp(i), 1 / (1 + torch.exp(-f)), 1 / (1 + torch.exp(-o))
        c = f * c + i * torch.tanh(z)
        n = f * n + i
        h = o * c / n
        answers.append(h)
    return normed(weights, torch.stack(answers, 1))


def layer_of(scale: float = 0.3) -> Slstm:
    torch.manual_seed(0)
    layer = Slstm(Slstm.Config(num_heads=HEADS), Surroundings(width=WIDTH)).double()
    stirred(layer, scale=scale)
    return layer


@pytest.mark.parametrize("length", [1, 2, 63])
def test_agrees_with_the_equations(length: int) -> None:
    assert_agree(layer_of(), slstm, stream(3, length, WIDTH))


@pytest.mark.parametrize("gate", [-1000.0, 1000.0])
def test_no_gate_is_too_large_for_float32(gate: float) -> None:
    """e^1000 is no float: m keeps answers and gradients finite, and they are those of e^0."""
    layer, x = layer_of().float(), stream(2, 20, WIDTH).float().requires_grad_()
    due = layer(x).detach()
    with torch.no_grad():
        layer.enter.bias[:WIDTH] += gate  # weighs all steps alike, so it makes no difference
    y = layer(x)
    gradients = torch.autograd.grad(y.sum(), [x, *layer.parameters()])
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    torch.testing.assert_close(y, due, rtol=1e-3, atol=1e-3)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match=r"num_heads: 4 is not allowed; .* \(6\)"):
        Slstm(Slstm.Config(num_heads=4), Surroundings(width=WIDTH))
