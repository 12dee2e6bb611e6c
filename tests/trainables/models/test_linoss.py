"""``linoss`` against the oscillators' equations, one after the other, and what they keep."""

import math

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.linoss import LinOss
from trainables.models.kernels.chunked.system import CHUNK
from trainables.models.layer import Surroundings

WIDTH, STATES = 4, 5
SAMPLINGS = ["implicit", "implicit_explicit"]


def linoss(weights: Weights, x: Tensor, sampling: str) -> Tensor:
    """The two equations of each sampling solved for z_t and y_t by substitution."""
    dt = 1 / (1 + torch.exp(-weights["pace"]))
    A = torch.where(weights["stiffness"] > 0, weights["stiffness"], 0.0)
    W, b = weights["mix.mix.weight"], weights["mix.mix.bias"]
    y = z = torch.zeros(len(x), STATES, dtype=x.dtype)
    answers = []
    for u_t in x.unbind(1):
        force = u_t @ weights["drive.weight"].T
        if sampling == "implicit":  # y = y_old + dt (z_old + dt (force - A y))
            y = (y + dt * z + dt**2 * force) / (1 + dt**2 * A)
            z = z + dt * (force - A * y)
        else:
            z = z + dt * (force - A * y)
            y = y + dt * z
        answer = y @ weights["read.weight"].T + weights["skip"] * u_t
        answer = answer * 0.5 * (1 + torch.erf(answer / math.sqrt(2)))
        u, v = (answer @ W.T + b).chunk(2, dim=-1)
        answers.append(u * torch.sigmoid(v))
    return torch.stack(answers, 1)


def layer_of(sampling: str) -> LinOss:
    torch.manual_seed(0)
    config = LinOss.Config.model_validate({"state_size": STATES, "sampling": sampling})
    return LinOss(config, Surroundings(width=WIDTH)).double()


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("length", [1, 2, 63, CHUNK, CHUNK + 1, 2 * CHUNK + 7])
def test_agrees_with_the_equations(length: int, sampling: str) -> None:
    """Within a chunk, at its border and over several."""
    layer = layer_of(sampling)
    stirred(layer)
    assert_agree(layer, lambda w, x: linoss(w, x, sampling), stream(2, length, WIDTH))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_what_a_free_oscillator_keeps(sampling: str) -> None:
    """Eigenvalues of length (1 + dt^2 A)^(-1/2), or of length 1: theorem 3.1 and what follows."""
    layer = layer_of(sampling)
    A, _ = layer._sampled()
    dt, a = torch.sigmoid(layer.pace), layer.stiffness
    due = (1 + dt**2 * a) ** -0.5 if sampling == "implicit" else torch.ones_like(dt)
    torch.testing.assert_close(torch.linalg.eigvals(A).abs(), due[:, None].expand(-1, 2))


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("stiffness", [-1.0, 1e6])
def test_no_weight_makes_it_grow(sampling: str, stiffness: float) -> None:
    """A below 0 counts as 0, and one too stiff for the sampling is held at what it can show."""
    layer = layer_of(sampling)
    with torch.no_grad():
        layer.stiffness.fill_(stiffness)
    assert torch.linalg.eigvals(layer._sampled()[0]).abs().max() <= 1 + 1e-9
