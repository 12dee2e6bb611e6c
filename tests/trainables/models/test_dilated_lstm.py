"""``dilated_lstm`` against a loop that looks its states up in the past."""

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Reference, Weights, assert_agree, stirred, stream
from trainables.models.cells.dilated_lstm import DilatedLstm
from trainables.models.layer import Surroundings

WIDTH = 4


def reference(dilation: int, levels: int) -> Reference:
    def level(weights: Weights, x: Tensor, name: str, skip: int) -> Tensor:
        W, U = weights[f"{name}.weight_ih_l0"], weights[f"{name}.weight_hh_l0"]
        b = weights[f"{name}.bias_ih_l0"] + weights[f"{name}.bias_hh_l0"]
        before = torch.zeros_like(x[:, 0])
        h: list[Tensor] = []
        c: list[Tensor] = []
        for t, x_t in enumerate(x.unbind(1)):
            h_past, c_past = (h[t - skip], c[t - skip]) if t >= skip else (before, before)
            i, f, g, o = (x_t @ W.T + h_past @ U.T + b).chunk(4, dim=-1)
            c.append(torch.sigmoid(f) * c_past + torch.sigmoid(i) * torch.tanh(g))
            h.append(torch.sigmoid(o) * torch.tanh(c[-1]))
        return torch.stack(h, 1)

    def run(weights: Weights, x: Tensor) -> Tensor:
        for number in range(levels):
            x = level(weights, x, f"levels.{number}.lstm.fused", dilation**number)
        return x

    return run


def layer_of(**choices: int) -> DilatedLstm:
    torch.manual_seed(0)
    return DilatedLstm(
        DilatedLstm.Config.model_validate(choices), Surroundings(width=WIDTH)
    ).double()


@pytest.mark.parametrize("length", [1, 2, 9, 63])
@pytest.mark.parametrize(("dilation", "levels"), [(2, 3), (3, 3), (5, 2), (2, 1)])
def test_agrees_with_the_equations(dilation: int, levels: int, length: int) -> None:
    """At lengths that the dilation divides and others, shorter than it too."""
    layer = layer_of(dilation=dilation, levels=levels)
    stirred(layer)
    assert_agree(layer, reference(dilation, levels), stream(3, length, WIDTH))


def test_a_level_hears_only_every_so_many_steps() -> None:
    """The level of dilation 4 alone: at t the gradient reaches t, t - 4, t - 8, nothing between."""
    level = DilatedLstm.parts(DilatedLstm.Config(), Surroundings(width=WIDTH))[2]
    x = stream(1, 11, WIDTH).float().requires_grad_()
    (gradient,) = torch.autograd.grad(level(x)[:, 10].sum(), x)
    assert torch.nonzero(gradient.abs().sum((0, 2))).flatten().tolist() == [2, 6, 10]


def test_a_block_is_its_levels() -> None:
    """Each level is a layer with a residual path of its own; their costs and states add up."""
    config, around = DilatedLstm.Config(dilation=3, levels=4), Surroundings(width=WIDTH)
    parts, whole = DilatedLstm.parts(config, around), DilatedLstm(config, around)
    assert len(parts) == 4
    assert sum(part.state_bytes(64) for part in parts) == whole.state_bytes(64)
    assert whole.state_bytes(64) == 4 * 2 * WIDTH * (1 + 3 + 9 + 27)
    assert sum(part.flops_per_step(64) for part in parts) == whole.flops_per_step(64)
