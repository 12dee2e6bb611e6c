"""``lru`` against a loop over the equations, and where it starts."""

import math

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.lru import Lru
from trainables.models.layer import Surroundings

WIDTH, STATES = 6, 5


def lru(weights: Weights, x: Tensor) -> Tensor:
    factors = torch.exp(-torch.exp(weights["nu"]) + 1j * torch.exp(weights["theta"]))
    gamma = torch.exp(weights["gamma"])
    B = weights["drive.weight"][0::2] + 1j * weights["drive.weight"][1::2]
    C = weights["read.weight"][:, 0::2] - 1j * weights["read.weight"][:, 1::2]
    W, b = weights["mix.mix.weight"], weights["mix.mix.bias"]
    h = torch.zeros(len(x), STATES, dtype=torch.complex128)
    answers = []
    for x_t in x.unbind(1):
        h = factors * h + gamma * (x_t.to(B.dtype) @ B.T)
        y = (h @ C.T).real + weights["skip"] * x_t
        y = y * 0.5 * (1 + torch.erf(y / math.sqrt(2)))
        u, v = (y @ W.T + b).chunk(2, dim=-1)
        answers.append(u * torch.sigmoid(v))
    return torch.stack(answers, 1)


def layer_of(**choices: float) -> Lru:
    torch.manual_seed(0)
    config = Lru.Config.model_validate({"state_size": STATES, **choices})
    return Lru(config, Surroundings(width=WIDTH)).double()


@pytest.mark.parametrize("length", [1, 2, 63])
def test_agrees_with_the_equations(length: int) -> None:
    layer = layer_of()
    stirred(layer)
    assert_agree(layer, lru, stream(3, length, WIDTH))


def test_starts_in_the_ring() -> None:
    """Factors uniform over the ring's area, phases up to the largest."""
    layer = layer_of(state_size=4096, r_min=0.5, r_max=0.99, max_phase=1.0)
    radius, phase = torch.exp(-layer.nu.exp()).detach(), layer.theta.exp().detach()
    assert 0.4999 < radius.min() < 0.505
    assert 0.985 < radius.max() < 0.9901
    assert radius.square().mean() == pytest.approx((0.5**2 + 0.99**2) / 2, abs=0.02)
    assert 0 < phase.min() < 0.01
    assert 0.99 < phase.max() <= 1.0001


def test_gamma_keeps_the_variance() -> None:
    """Driven by white noise, every state ends with the variance of what drives it, near 1."""
    layer = layer_of(state_size=64, r_min=0.5, r_max=0.9)
    noise = stream(1000, 60, WIDTH)
    driven = torch.view_as_complex(layer.drive(noise).unflatten(-1, (-1, 2))).abs().square()
    state = layer.initial_state(1000)
    for x_t in noise.unbind(1):
        _, state = layer.step(x_t, state)
    variance = state[0].square().sum(-1).mean(0)
    ratio = variance / driven.mean((0, 1))
    torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0.1, atol=0)


def test_the_ring_must_be_one() -> None:
    with pytest.raises(ValueError, match=r"r_min: 0.99 must be below r_max \(0.9\)"):
        layer_of(r_min=0.99, r_max=0.9)
