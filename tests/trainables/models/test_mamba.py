"""``mamba``: the selective scan, in both its forms, and the whole block against loops."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.mamba import Mamba
from trainables.models.kernels.selective_scan import CHUNK, Drive, scan_by_chunks, selective_scan
from trainables.models.layer import Surroundings

WIDTH, STATES, TAPS = 4, 3, 4


def loop(drive: Drive, rates: Tensor, h: Tensor) -> Tensor:
    """Algorithm 2 of the paper: discretise, update, read, a step at a time."""
    answers = []
    for dt, u, b, c in zip(*drive, strict=True):
        h = torch.einsum("be,ne->bne", dt, rates).exp() * h + torch.einsum(
            "be,be,bn->bne", dt, u, b
        )
        answers.append(torch.einsum("bne,bn->be", h, c))
    return torch.stack(answers)


def mamba(weights: Weights, x: Tensor) -> Tensor:
    A = -torch.exp(weights["log_decay"])
    rank = weights["rate.weight"].shape[1]
    inside = weights["into.weight"].shape[0] // 2
    u, z = (x @ weights["into.weight"].T).split(inside, dim=-1)
    convolved = []
    for t in range(x.shape[1]):
        y = weights["convolution.bias"]
        for k in range(min(TAPS, t + 1)):
            y = y + weights["convolution.taps"][k] * u[:, t - k]
        convolved.append(y.expand(len(x), -1) / (1 + torch.exp(-y)))
    u = torch.stack(convolved, 1)
    r, b, c = (u @ weights["select.weight"].T).split([rank, STATES, STATES], dim=-1)
    dt = torch.log1p(torch.exp(r @ weights["rate.weight"].T + weights["rate.bias"]))
    drive = Drive(*(part.transpose(0, 1) for part in (dt, u, b, c)))
    y = loop(drive, A, x.new_zeros(len(x), STATES, inside)).transpose(0, 1)
    y = (y + weights["skip"] * u) * (z / (1 + torch.exp(-z)))
    return y @ weights["out.weight"].T


def layer_of(**choices: float) -> Mamba:
    torch.manual_seed(0)
    config = Mamba.Config.model_validate({"state_size": STATES, "taps": TAPS, **choices})
    return Mamba(config, Surroundings(width=WIDTH)).double()


@pytest.mark.parametrize("length", [1, 2, 63])
def test_agrees_with_the_equations(length: int) -> None:
    layer = layer_of()
    stirred(layer)
    assert_agree(layer, mamba, stream(2, length, WIDTH))


@pytest.mark.parametrize("length", [1, 2, CHUNK, CHUNK + 1, 5 * CHUNK - 1])
@pytest.mark.parametrize("form", [selective_scan, scan_by_chunks])
def test_both_scans_equal_the_loop(form: Callable[..., Tensor], length: int) -> None:
    """Answers and gradients in every input, from a state that is not zero."""
    parts = [stream(length, 2, 5, seed=s) for s in (1, 2)]
    parts += [stream(length, 2, STATES, seed=s) for s in (3, 4)]
    rates = -stream(1, STATES, 5, seed=5)[0].exp()
    initial = stream(2, STATES, 5, seed=6)
    parts[0] = torch.nn.functional.softplus(parts[0])
    inputs = [part.requires_grad_() for part in (*parts, rates, initial)]
    drive = Drive(*inputs[:4])
    extra = (2 * CHUNK,) if form is scan_by_chunks else ()  # so that chunks have borders here
    fast, slow = form(drive, rates, initial, *extra), loop(drive, rates, initial)
    torch.testing.assert_close(fast, slow, rtol=1e-11, atol=1e-12)
    direction = stream(length, 2, 5, seed=7)
    got, due = (torch.autograd.grad(y, inputs, direction) for y in (fast, slow))
    torch.testing.assert_close(got, due, rtol=1e-10, atol=1e-11)


def test_starts_with_the_times_asked_for() -> None:
    """Silence leaves dt between the two; rates are those of S4D-Real, -1 to -N."""
    layer = layer_of(dt_min=0.01, dt_max=0.02)
    dt = layer._drive(torch.zeros(1, 2 * WIDTH, dtype=torch.float64)).dt
    assert 0.0099 < dt.min() < dt.max() < 0.0201
    due = -torch.arange(1.0, STATES + 1, dtype=torch.float64)[:, None].expand(-1, 2 * WIDTH)
    torch.testing.assert_close(layer._rates(), due, rtol=1e-6, atol=0)
