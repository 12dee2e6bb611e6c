"""``orthogonal_rnn`` against a loop, with its matrix from a series or an inverse."""

import math

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.orthogonal_rnn import OrthogonalRnn
from trainables.models.layer import Surroundings

WIDTH = 5
PARAMETRISATIONS = ["exponential", "cayley"]


def rotation(skew: Tensor, parametrisation: str, flipped: int) -> Tensor:
    entries = iter(skew)
    A = torch.zeros(WIDTH, WIDTH, dtype=skew.dtype)
    for row in range(WIDTH):
        for column in range(row + 1, WIDTH):
            one = torch.zeros_like(A)
            one[row, column], one[column, row] = 1, -1
            A = A + next(entries) * one
    eye = torch.eye(WIDTH, dtype=skew.dtype)
    if parametrisation == "exponential":
        term, Q = eye, eye
        for power in range(1, 60):
            term = term @ A / power
            Q = Q + term
    else:
        Q = torch.linalg.inv(eye + A) @ (eye - A)
    return Q @ torch.diag(torch.tensor([-1.0] * flipped + [1.0] * (WIDTH - flipped)).double())


def loop(weights: Weights, x: Tensor, parametrisation: str, flipped: int) -> Tensor:
    Q = rotation(weights["skew"], parametrisation, flipped)
    h, answers = torch.zeros_like(x[:, 0]), []
    for x_t in x.unbind(1):
        z = x_t @ weights["enter.weight"].T + h @ Q.T
        h = torch.where(z > 0, 1.0, -1.0) * torch.clamp(z.abs() + weights["bias"], min=0)
        answers.append(h)
    return torch.stack(answers, 1)


def layer_of(parametrisation: str, flipped_share: float = 0.0, width: int = WIDTH) -> OrthogonalRnn:
    torch.manual_seed(0)
    config = OrthogonalRnn.Config.model_validate(
        {"parametrisation": parametrisation, "flipped_share": flipped_share}
    )
    return OrthogonalRnn(config, Surroundings(width=width)).double()


@pytest.mark.parametrize("flipped", [0, 2])
@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
@pytest.mark.parametrize("length", [1, 2, 63])
def test_agrees_with_the_equations(length: int, parametrisation: str, flipped: int) -> None:
    layer = layer_of(parametrisation, flipped / WIDTH)
    stirred(layer)
    with torch.no_grad():
        layer.bias -= 0.3  # or hardly a unit is silent
    x = stream(3, length, WIDTH)
    assert length == 1 or (layer(x) == 0).any()
    assert_agree(layer, lambda w, x: loop(w, x, parametrisation, flipped), x)


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_no_weights_shrink_or_stretch(parametrisation: str) -> None:
    layer = layer_of(parametrisation, flipped_share=0.5, width=7)
    stirred(layer, scale=3.0)
    Q = layer.rotation()
    torch.testing.assert_close(Q @ Q.mT, torch.eye(7, dtype=Q.dtype))


@pytest.mark.parametrize(
    ("parametrisation", "largest"), [("exponential", math.pi), ("cayley", math.pi / 2)]
)
@pytest.mark.parametrize("width", [600, 601])
def test_starts_as_turns_of_pairs(parametrisation: str, largest: float, width: int) -> None:
    """Units 2i and 2i + 1 turn by an angle, evenly drawn up to the largest; one may be left."""
    Q = layer_of(parametrisation, width=width).rotation().detach()
    inside = torch.block_diag(*torch.ones(300, 2, 2), torch.ones(width - 600, width - 600))
    assert Q[inside == 0].abs().max() < 1e-12
    angles = torch.atan2(Q[1:600:2, 0:600:2].diag(), Q[0:600:2, 0:600:2].diag()).abs()
    assert angles.max() == pytest.approx(largest, rel=0.02)
    assert angles.mean() == pytest.approx(largest / 2, rel=0.15)
