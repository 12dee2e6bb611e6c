"""``lmu`` against a loop over the paper's equations, and what its memory holds."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy.special import eval_sh_legendre
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.lmu import Lmu, sampled_memory
from trainables.models.kernels.chunked.system import CHUNK
from trainables.models.layer import Surroundings

WIDTH, ORDER, SIGNALS, WINDOW = 4, 6, 2, 20.0


def memory(order: int, window: float) -> tuple[np.ndarray, np.ndarray]:
    """Equations 3 and 4 of Voelker et al. 2019, entry by entry, and a zero-order hold of 1."""
    A, B = np.zeros((order, order)), np.zeros(order)
    for i in range(order):
        B[i] = (2 * i + 1) * (-1) ** i / window
        for j in range(order):
            A[i, j] = (2 * i + 1) / window * (-1 if i < j else (-1) ** (i - j + 1))
    held = scipy.linalg.expm(A)
    return held, np.linalg.solve(A, (held - np.eye(order)) @ B)


def lmu(weights: Weights, x: Tensor) -> Tensor:
    A, B = (torch.from_numpy(part) for part in memory(ORDER, WINDOW))
    m = torch.zeros(len(x), SIGNALS, ORDER, dtype=x.dtype)
    answers = []
    for x_t in x.unbind(1):
        u = x_t @ weights["signals.weight"].T + weights["signals.bias"]
        m = torch.einsum("ij,bmj->bmi", A, m) + u[..., None] * B
        y = m.reshape(len(x), -1) @ weights["read.weight"].T
        answers.append(torch.tanh(y + x_t @ weights["skip.weight"].T + weights["skip.bias"]))
    return torch.stack(answers, 1)


@pytest.mark.parametrize("length", [1, 2, 63, CHUNK, CHUNK + 1, 2 * CHUNK + 7])
def test_agrees_with_the_equations(length: int) -> None:
    """Within a chunk, at its border and over several."""
    torch.manual_seed(0)
    config = Lmu.Config(theta=WINDOW, order=ORDER, num_signals=SIGNALS)
    layer = Lmu(config, Surroundings(width=WIDTH)).double()
    stirred(layer)
    assert_agree(layer, lmu, stream(2, length, WIDTH))


@pytest.mark.parametrize("back", [0.0, 0.3, 1.0])
def test_the_memory_holds_the_window(back: float) -> None:
    """u(t - r theta) = sum_i P_i(2r - 1) m_i(t): equation 5, on a wave of three a window."""
    order, window = 24, 200.0
    A, B = (part.numpy() for part in sampled_memory(order, window))
    wave = [math.sin(6 * math.pi * t / window) for t in range(3 * int(window))]
    m, errors = np.zeros(order), []
    read = eval_sh_legendre(np.arange(order), back)
    for t, u in enumerate(wave):
        m = A @ m + B * u
        if t >= 2 * window:
            errors.append(abs(read @ m - wave[t - round(back * window)]))
    assert max(errors) < 0.06  # half a step's change of the wave, as the input is held
