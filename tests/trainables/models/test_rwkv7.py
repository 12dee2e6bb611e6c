"""``rwkv7`` against equations 3 to 22 of Peng et al. 2025, head by head, one step after another."""

import math

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.rwkv7 import Rwkv7
from trainables.models.layer import Surroundings

WIDTH, HEADS = 6, 2
HEAD = WIDTH // HEADS


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def rwkv7(weights: Weights, x: Tensor) -> Tensor:
    """The state stands as the paper has it: values by keys."""
    W = {name.removesuffix(".weight"): weight for name, weight in weights.items()}
    state = [x.new_zeros(len(x), HEAD, HEAD) for _ in range(HEADS)]
    last, answers = torch.zeros_like(x[:, 0]), []
    for now in x.unbind(1):
        x_r, x_k, x_v, x_d, x_a, x_g = (now + (last - now) * mu for mu in weights["mu"])
        r, k, v = x_r @ W["receive"].T, x_k @ W["key"].T, x_v @ W["value"].T
        d = torch.tanh(x_d @ W["narrow_decay"].T) @ W["decay"].T + weights["decay.bias"]
        w = torch.exp(-math.exp(-0.5) * sigmoid(d))
        a = sigmoid(x_a @ W["narrow_remove"].T @ W["remove"].T + weights["remove.bias"])
        g = sigmoid(x_g @ W["narrow_gate"].T) @ W["gate"].T
        kappa, k_new = k * weights["xi"], k * (1 + (a - 1) * weights["alpha"])
        p = []
        for head in range(HEADS):
            own = slice(head * HEAD, (head + 1) * HEAD)
            hat = kappa[:, own] / kappa[:, own].square().sum(-1, keepdim=True).sqrt()
            moved = torch.diag_embed(w[:, own]) - hat[:, :, None] * (a[:, own] * hat)[:, None]
            state[head] = state[head] @ moved + v[:, own, None] * k_new[:, None, own]
            o = (state[head] @ r[:, own, None])[..., 0]
            o = o - o.mean(-1, keepdim=True)
            o = o / (o.square().mean(-1, keepdim=True) + 64e-5).sqrt()
            o = o * weights["norm.weight"][own] + weights["norm.bias"][own]
            bonus = (r[:, own] * weights["rho"][own] * k_new[:, own]).sum(-1, keepdim=True)
            p.append(o + bonus * v[:, own])
        answers.append((g * torch.cat(p, dim=-1)) @ W["out"].T)
        last = now
    return torch.stack(answers, 1)


@pytest.mark.parametrize("length", [1, 2, 16, 17, 63])
def test_agrees_with_the_equations(length: int) -> None:
    torch.manual_seed(0)
    config = Rwkv7.Config(num_heads=HEADS, narrow_width=3)
    layer = Rwkv7(config, Surroundings(width=WIDTH)).double()
    stirred(layer, scale=0.4)
    assert_agree(layer, rwkv7, stream(2, length, WIDTH))


def test_starts_with_the_timescales_asked_for() -> None:
    """What a channel keeps at the start is exp(-dt), dt even in the logarithm."""
    torch.manual_seed(0)
    config = Rwkv7.Config(num_heads=1, dt_min=1e-4, dt_max=1e-1)
    layer = Rwkv7(config, Surroundings(width=512))
    with torch.no_grad():
        layer.decay.weight.zero_()
    steps, _ = layer._steps(torch.randn(1, 512), torch.zeros(1, 512))
    dt = -steps.log_w.detach().flatten().double()
    assert 0.99e-4 < dt.min() < 1.2e-4
    assert 0.8e-1 < dt.max() < 1.01e-1
    assert dt.log10().mean().item() == pytest.approx(-2.5, abs=0.1)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match=r"num_heads: 4 is not allowed; .* \(6\)"):
        Rwkv7(Rwkv7.Config(num_heads=4), Surroundings(width=WIDTH))
