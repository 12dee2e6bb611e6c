"""``hyena`` against sums over all earlier steps, and its convolution against numpy's."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.hyena import Hyena
from trainables.models.kernels.chunked.convolution import long_convolution
from trainables.models.layer import Surroundings

WIDTH, ORDER, TAPS, BANDS, LONGEST = 3, 2, 3, 2, 50


def filters(weights: Weights, length: int) -> list[Tensor]:
    """h_n(s), one distance after the other: (T, D) for each n."""
    drawn = []
    for s in range(length):
        t = s / LONGEST
        seen = [t, *(math.cos(2 * math.pi * k * t) for k in range(1, BANDS + 1))]
        seen += [math.sin(2 * math.pi * k * t) for k in range(1, BANDS + 1)]
        f = torch.tensor(seen, dtype=torch.float64)
        for name in ("bands", "hidden"):
            f = torch.sin(weights[f"{name}.weight"] @ f + weights[f"{name}.bias"])
        rates = torch.linspace(math.log(100) / 1.5, math.log(100) / 0.3, WIDTH, dtype=f.dtype)
        drawn.append((weights["draw.weight"] @ f).view(ORDER, WIDTH) * torch.exp(-rates * t))
    return list(torch.stack(drawn, 1))


def convolved(h: Tensor, u: Tensor) -> Tensor:
    answers = []
    for t in range(u.shape[1]):
        terms = [h[s] * u[:, t - s] for s in range(min(t + 1, len(h)))]
        answers.append(torch.stack(terms).sum(0))
    return torch.stack(answers, 1)


def hyena(weights: Weights, x: Tensor) -> Tensor:
    taps, bias = weights["convolution.taps"], weights["convolution.bias"]
    wide = convolved(taps, x @ weights["into.weight"].T) + bias
    z, *gates = wide.split(WIDTH, dim=-1)
    for x_n, h, d in zip(gates, filters(weights, x.shape[1]), weights["skips"], strict=True):
        z = x_n * (convolved(h, z) + d * z)
    return z @ weights["out.weight"].T


@pytest.mark.parametrize("length", [1, 2, 63, 65, 150])
def test_agrees_with_the_equations(length: int) -> None:
    torch.manual_seed(0)
    config = Hyena.Config(
        longest_lag=LONGEST, order=ORDER, taps=TAPS, filter_width=5, num_bands=BANDS
    )
    layer = Hyena(config, Surroundings(width=WIDTH)).double()
    stirred(layer)
    assert_agree(layer, hyena, stream(2, length, WIDTH))


@pytest.mark.parametrize("length", [1, 63, 64, 65, 128, 129, 200, 512, 1000])
def test_the_long_convolution_is_numpys(length: int) -> None:
    """Within a chunk, at the borders of pairs of halves, and with a part of the last pair."""
    u, h = stream(2, length, 3), stream(1, length, 3, seed=5)[0]
    y = long_convolution(u, h)
    for row in range(2):
        for channel in range(3):
            due = np.convolve(u[row, :, channel].numpy(), h[:, channel].numpy())[:length]
            np.testing.assert_allclose(y[row, :, channel].numpy(), due, rtol=1e-9, atol=1e-9)


def test_nothing_comes_from_later_steps_by_rounding() -> None:
    """The gradient in every later step is 0 to the last bit, across all borders."""
    u = stream(1, 500, 2).requires_grad_()
    y = long_convolution(u, stream(1, 500, 2, seed=5)[0])
    for t in (0, 63, 64, 127, 255, 256, 498):
        (gradient,) = torch.autograd.grad(y[:, t].sum(), u, retain_graph=True)
        assert torch.count_nonzero(gradient[:, t + 1 :]) == 0
        assert torch.count_nonzero(gradient[:, : t + 1]) == 2 * (t + 1)
