"""``lem`` against a loop over equations 3 of Rusch et al. 2022."""

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.lem import Lem
from trainables.models.layer import Surroundings

WIDTH = 5


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def lem(weights: Weights, x: Tensor, dt: float) -> Tensor:
    V1, V2, Vz, Vy = weights["enter.weight"].split(WIDTH)
    b1, b2, bz, by = weights["enter.bias"].split(WIDTH)
    W1, W2, Wz = weights["from_y"].split(WIDTH)
    y = z = torch.zeros_like(x[:, 0])
    answers = []
    for u in x.unbind(1):
        dt_1 = dt * sigmoid(y @ W1.T + u @ V1.T + b1)
        dt_2 = dt * sigmoid(y @ W2.T + u @ V2.T + b2)
        z = (1 - dt_1) * z + dt_1 * torch.tanh(y @ Wz.T + u @ Vz.T + bz)
        y = (1 - dt_2) * y + dt_2 * torch.tanh(z @ weights["from_z"].T + u @ Vy.T + by)
        answers.append(y)
    return torch.stack(answers, 1)


@pytest.mark.parametrize("largest_step", [1.0, 0.1])
@pytest.mark.parametrize("length", [1, 2, 63])
def test_agrees_with_the_equations(length: int, largest_step: float) -> None:
    torch.manual_seed(0)
    layer = Lem(Lem.Config(largest_step=largest_step), Surroundings(width=WIDTH)).double()
    stirred(layer)
    assert_agree(layer, lambda w, x: lem(w, x, largest_step), stream(3, length, WIDTH))


def test_a_small_step_keeps() -> None:
    """No state loses more than dt of itself a step, whatever the weights."""
    layer = Lem(Lem.Config(largest_step=1e-3), Surroundings(width=WIDTH)).double()
    stirred(layer, scale=5.0)
    y = torch.ones(1, WIDTH, dtype=torch.float64)
    state = (y, y)
    for x_t in stream(1, 100, WIDTH).unbind(1):
        y, state = layer.step(x_t, state)
    assert y.min() > (1 - 1e-3) ** 100 - 100e-3
