"""The gradient horizon against answers known beforehand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tests.trainables.training.stand_ins import CPU, recall, seeded
from trainables.models.config import ModelConfig
from trainables.models.model import build
from trainables.tasks.task import Batch
from trainables.training.horizon import gradient_horizon, squared_norms

TASK = recall()


def linear_recurrence(radius: float, width: int = 6) -> nn.Module:
    """h_t = radius R h_{t-1} + x_t with R orthogonal; the answer is h: the norms are known."""

    class Known(nn.Module):
        outputs = width

        def __init__(self) -> None:
            super().__init__()
            self.turn, _ = torch.linalg.qr(torch.randn(width, width, generator=seeded(3)).double())
            self.table = torch.randn(100, width, generator=seeded(4)).double()

        def embed(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.table[inputs]

        def hidden(self, embedded: torch.Tensor) -> torch.Tensor:
            h, states = torch.zeros_like(embedded[:, 0]), []
            for x_t in embedded.unbind(1):
                h = radius * h @ self.turn.T + x_t
                states.append(h)
            return torch.stack(states, 1)

        def readout(self, stream: torch.Tensor, scored: torch.Tensor) -> torch.Tensor:
            return stream.gather(1, scored[..., None].expand(-1, -1, width))

    return Known()


@pytest.mark.parametrize("radius", [0.5, 0.9, 1.0])
def test_a_linear_recurrence_decays_as_its_radius(radius: float) -> None:
    """|J_k| = radius^k sqrt(D) exactly: an orthogonal matrix keeps the length of any signs."""
    model, batch = linear_recurrence(radius), TASK.sample(20, 5, seeded())
    signs = 2.0 * torch.randint(2, (5, 6), generator=seeded(1)) - 1
    squares = squared_norms(model, batch, signs)
    expected = [6 * radius ** (2 * k) for k in range(21)]
    torch.testing.assert_close(squares, torch.tensor(expected, dtype=torch.float64))


def test_octaves_are_root_mean_squares() -> None:
    points = list(gradient_horizon(linear_recurrence(0.9), "t", TASK, 20, "end", seeded(), CPU))
    assert [point.back for point in points] == [0, 1, 2, 4, 8, 16]
    squares = [6 * 0.9 ** (2 * k) for k in range(21)]
    for point, (low, high) in zip(
        points, [(0, 1), (1, 2), (2, 4), (4, 8), (8, 16), (16, 21)], strict=True
    ):
        mean = sum(squares[low:high]) / (high - low)
        assert point.norm == pytest.approx(math.sqrt(mean))
        assert (point.task, point.moment, point.lag) == ("t", "end", 20)


def test_signs_estimate_the_frobenius_norm() -> None:
    """Their mean over many draws is the sum over the answer's axes, one by one."""
    model = build(ModelConfig.model_validate({"cell": "lstm", "hidden_size": 8}), TASK, 1).double()
    batch = TASK.sample(6, 2, seeded())
    axes = torch.eye(TASK.alphabet, dtype=torch.float64)
    exact = sum(squared_norms(model, batch, axis.expand(2, -1)) for axis in axes)
    draws = [
        squared_norms(model, batch, 2.0 * torch.randint(2, (2, 4), generator=seeded(i)) - 1)
        for i in range(400)
    ]
    mean = torch.stack(draws).mean(0)
    torch.testing.assert_close(mean, exact, rtol=0.15, atol=0)


def test_answers_at_different_steps_are_counted_from_their_own() -> None:
    """A model that reads one step back alone: all the rest is zero, wherever the answer stands."""

    class OneBack(nn.Module):
        outputs = 3

        def embed(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs

        def hidden(self, embedded: torch.Tensor) -> torch.Tensor:
            return nn.functional.pad(embedded, (0, 0, 1, 0))[:, :-1]

        def readout(self, stream: torch.Tensor, scored: torch.Tensor) -> torch.Tensor:
            return stream.gather(1, scored[..., None].expand(-1, -1, 3))

    scored = torch.tensor([[2, 7], [1, 5]])
    batch = Batch(torch.randn(2, 9, 3), torch.zeros(2, 2), scored)
    squares = squared_norms(OneBack(), batch, torch.ones(2, 3))
    assert squares.tolist() == [0, 3, 0, 0, 0, 0]


def test_the_model_is_left_as_it_was() -> None:
    model = build(ModelConfig.model_validate({"cell": "gru", "hidden_size": 8}), TASK, 1).eval()
    list(gradient_horizon(model, "t", TASK, 5, "start", seeded(), CPU))
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
