"""``refined_lstm`` against a loop over equations 4 to 8 of Gu et al. 2020, and its gate's range."""

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.refined_lstm import RefinedLstm
from trainables.models.layer import Surroundings

WIDTH = 5


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def refined_lstm(weights: Weights, x: Tensor) -> Tensor:
    V, b = weights["enter.weight"].split(WIDTH), weights["enter.bias"].split(WIDTH)
    U = weights["recurrent"].split(WIDTH)
    h = c = torch.zeros_like(x[:, 0])
    answers = []
    for x_t in x.unbind(1):
        f, r, z, o = (x_t @ V[n].T + h @ U[n].T + b[n] for n in range(4))
        f, r, o = sigmoid(f), sigmoid(r), sigmoid(o)
        g = r * (1 - (1 - f) ** 2) + (1 - r) * f**2
        c = g * c + (1 - g) * torch.tanh(z)
        h = o * torch.tanh(c)
        answers.append(h)
    return torch.stack(answers, 1)


@pytest.mark.parametrize("length", [1, 2, 63])
def test_agrees_with_the_equations(length: int) -> None:
    torch.manual_seed(0)
    layer = RefinedLstm(RefinedLstm.Config(), Surroundings(width=WIDTH)).double()
    stirred(layer)
    assert_agree(layer, refined_lstm, stream(3, length, WIDTH))


@pytest.mark.parametrize(("refined", "kept"), [(-30.0, 0.81), (0.0, 0.9), (30.0, 0.99)])
def test_a_gate_of_nine_tenths_is_refined_to_its_square_or_to_one_of_its_opposite(
    refined: float, kept: float
) -> None:
    """The memory after a step of silence with f = 0.9 and r at 0, a half and 1."""
    layer = RefinedLstm(RefinedLstm.Config(), Surroundings(width=1)).double()
    with torch.no_grad():
        layer.enter.weight.zero_()
        layer.recurrent.zero_()
        layer.enter.bias.copy_(torch.tensor([torch.logit(torch.tensor(0.9)), refined, 0.0, 0.0]))
    one = torch.ones(1, 1, dtype=torch.float64)
    _, (_, c) = layer.step(one, (one, one))
    assert c.item() == pytest.approx(kept, abs=1e-6)
