"""``s4d``: the chunked convolution against the discretised state space."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.s4d import CHUNK, S4d
from trainables.models.kernels.chunked.system import toeplitz
from trainables.models.layer import Surroundings

WIDTH, STATES = 3, 8


def s4d(weights: Weights, x: Tensor) -> Tensor:
    """The recurrence of the zero-order hold, one step at a time."""
    dt = torch.exp(weights["log_dt"])[:, None]
    A = -torch.exp(weights["log_damping"]) + 1j * weights["frequency"]
    C = weights["read"][..., 0] + 1j * weights["read"][..., 1]
    A_bar = torch.exp(dt * A)
    B_bar = (A_bar - 1) / A
    W, b = weights["mix.mix.weight"], weights["mix.mix.bias"]
    s = torch.zeros(len(x), WIDTH, STATES // 2, dtype=torch.complex128)
    answers = []
    for x_t in x.unbind(1):
        s = A_bar * s + B_bar * x_t[..., None]
        y = 2 * (C * s).sum(-1).real + weights["skip"] * x_t
        y = y * 0.5 * (1 + torch.erf(y / math.sqrt(2)))
        u, v = (y @ W.T + b).chunk(2, dim=-1)
        answers.append(u * torch.sigmoid(v))
    return torch.stack(answers, 1)


def layer_of(**choices: float) -> S4d:
    torch.manual_seed(0)
    config = S4d.Config.model_validate({"state_size": STATES, **choices})
    return S4d(config, Surroundings(width=WIDTH)).double()


@pytest.mark.parametrize("length", [1, 2, 63, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7])
def test_agrees_with_the_recurrence(length: int) -> None:
    """Within a chunk, at its border and over several."""
    layer = layer_of()
    stirred(layer)
    assert_agree(layer, s4d, stream(2, length, WIDTH))


def test_the_kernel_is_that_of_the_sampled_system() -> None:
    """One channel's answer to an impulse, from the matrix exponential of the real system.

    Each conjugate pair is a real system of two numbers; holding the input for dt is the system
    whose last row and column carry it (Van Loan 1978).
    """
    layer = layer_of(dt_min=0.01, dt_max=0.5)
    stirred(layer)
    dt = layer.log_dt.exp().detach().numpy()
    A = (-layer.log_damping.exp() + 1j * layer.frequency).detach().numpy()
    C = torch.view_as_complex(layer.read).detach().numpy()
    impulse = torch.zeros(WIDTH, 100, 1, dtype=torch.float64)
    impulse[:, 0] = 1
    kernel = np.zeros((WIDTH, 100))
    for d in range(WIDTH):
        for a, c in zip(A[d], C[d], strict=True):
            system = np.array([[a.real, -a.imag, 1], [a.imag, a.real, 0], [0, 0, 0]])
            sampled = scipy.linalg.expm(dt[d] * system)
            s = sampled[:2, 2]
            for t in range(100):
                kernel[d, t] += 2 * (c.real * s[0] - c.imag * s[1])
                s = sampled[:2, :2] @ s
    answer = layer._convolve(impulse[:, :CHUNK], 1)[..., 0].detach().numpy()
    np.testing.assert_allclose(answer, kernel[:, :CHUNK], rtol=1e-9, atol=1e-12)
    two_chunks = impulse.new_zeros(WIDTH, 50, 2)
    two_chunks[:, 0, 0] = 1  # the first chunk's first step; the answer goes on in the second
    answer = layer._convolve(two_chunks, 1).permute(0, 2, 1).flatten(1).detach().numpy()
    np.testing.assert_allclose(answer, kernel, rtol=1e-9, atol=1e-12)


def test_starts_as_s4d_lin() -> None:
    """A_n = -1/2 + i pi n in every channel."""
    layer = layer_of()
    due = (math.pi * torch.arange(STATES // 2, dtype=torch.float64)).expand(WIDTH, -1)
    torch.testing.assert_close(layer.frequency.detach(), due, rtol=1e-6, atol=0)
    torch.testing.assert_close(
        layer.log_damping.exp().detach(), torch.full_like(due, 0.5), rtol=1e-6, atol=0
    )


def test_toeplitz_holds_the_kernel_on_its_diagonals() -> None:
    kernel = torch.tensor([[1.0, 2.0, 3.0]])
    due = torch.tensor([[[1.0, 0, 0], [2, 1, 0], [3, 2, 1]]])
    assert torch.equal(toeplitz(kernel), due)


def test_an_odd_state_size_is_refused() -> None:
    with pytest.raises(ValueError, match="state_size"):
        layer_of(state_size=7)
