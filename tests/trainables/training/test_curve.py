"""The forgetting curve: every rung passed, and a little beyond."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainables.training.stand_ins import CPU, KnowingModel, as_model, recall
from trainables.measure.records import CurvePoint
from trainables.randomness import Streams
from trainables.training.held_out import curve as module
from trainables.training.held_out.curve import CURVE_SEQUENCES, extrapolated_lag, forgetting_curve
from trainables.training.held_out.evaluation import Tally


class UpTo(KnowingModel):
    """Remembers sequences of up to ``steps`` steps, and raises ``error`` beyond ``fits``."""

    def __init__(self, steps: int, fits: float = math.inf, error: Exception | None = None) -> None:
        super().__init__()
        self.steps, self.fits, self.error = steps, fits, error

    def forward(self, inputs: Tensor, scored: Tensor) -> Tensor:
        if inputs.shape[1] > self.fits and self.error is not None:
            raise self.error
        self.success = float(inputs.shape[1] <= self.steps)
        return super().forward(inputs, scored)


def curve(model: KnowingModel, passed: Sequence[int], **options: Any) -> list[CurvePoint]:
    return list(
        forgetting_curve(
            as_model(model),
            "recall",
            recall(),
            passed,
            Streams(0, "0" * 64),
            options.get("most_gflop", math.inf),
            CPU,
        )
    )


def test_rungs_passed_are_learned_and_multiples_of_the_last_are_beyond() -> None:
    points = curve(UpTo(33), [4, 8, 16])
    assert points == [
        CurvePoint("recall", 4, 128, 128, True),
        CurvePoint("recall", 8, 128, 128, True),
        CurvePoint("recall", 16, 128, 128, True),
        CurvePoint("recall", 32, 128, 128, False),
        CurvePoint("recall", 64, 0, 128, False),
        CurvePoint("recall", 128, 0, 128, False),
    ]


@pytest.mark.parametrize(
    ("steps", "passed", "most_gflop", "expected"),
    [(33, [4, 8, 16], math.inf, 32), (70, [4, 8], math.inf, 64), (10, [4, 8], math.inf, 0),
     (33, [4, 8, 16], 0.0, None)],
)  # fmt: skip
def test_the_extrapolated_lag_is_the_longest_that_succeeds_untrained(
    steps: int, passed: list[int], most_gflop: float, expected: int | None
) -> None:
    """Where nothing beyond was tried it is not known, rather than 0."""
    points = curve(UpTo(steps), passed, most_gflop=most_gflop)
    assert extrapolated_lag(points, 0.9) == expected


def test_just_the_success_asked_for_is_enough_untrained() -> None:
    point = CurvePoint("recall", 32, 115, 128, False)
    assert extrapolated_lag([point], 115 / 128) == 32
    assert extrapolated_lag([point], 0.9) == 0


def test_forgotten_rungs_show() -> None:
    """A model that lost what it had learned at the shorter lag is measured there as it is."""

    class ForgetsTheShort(KnowingModel):
        def forward(self, inputs: Tensor, scored: Tensor) -> Tensor:
            self.success = float(inputs.shape[1] > 6)
            return super().forward(inputs, scored)

    assert [point.successes for point in curve(ForgetsTheShort(), [4, 8])] == [
        0,
        128,
        128,
        128,
        128,
    ]


def test_a_point_beyond_that_costs_too_much_ends_the_curve() -> None:
    """Exactly the most is not too much; the rungs passed are measured whatever they cost."""
    most = 1e-9 * CURVE_SEQUENCES * UpTo(9).flops(33, 1)
    assert [p.lag for p in curve(UpTo(9), [8, 16], most_gflop=most)] == [8, 16, 32]
    assert [p.lag for p in curve(UpTo(9), [8, 16], most_gflop=0)] == [8, 16]


def test_a_lag_that_the_model_cannot_read_ends_the_curve() -> None:
    """Learned positions end somewhere; what was learned still counts."""
    model = UpTo(9)
    model.longest = 64
    assert [p.lag for p in curve(model, [8, 16])] == [8, 16, 32]
    model.longest = 65
    assert [p.lag for p in curve(model, [8, 16])] == [8, 16, 32, 64]


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_a_lag_that_does_not_fit_into_memory_ends_the_curve(error: Exception) -> None:
    assert [p.lag for p in curve(UpTo(9, 40, error), [8, 16])] == [8, 16, 32]


def test_any_other_error_is_not_swallowed() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        curve(UpTo(9, 40, RuntimeError("shapes")), [8, 16])
    with pytest.raises(MemoryError):
        curve(UpTo(9, 10, MemoryError()), [8, 16])


def test_it_is_drawn_from_a_stream_that_no_member_was_tested_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Weights that a look has chosen would look better than they are on that look's draw."""
    seeds: list[int] = []

    def note(
        model: Any, task: Any, lag: int, sequences: int, draws: torch.Generator, *_: Any
    ) -> Tally:
        seeds.append(draws.initial_seed())
        return Tally(sequences, sequences)

    monkeypatch.setattr(module, "evaluate", note)
    lags = [point.lag for point in curve(KnowingModel(), [4, 8])]
    assert seeds == [Streams(0, "0" * 64).seed_of("curve", lag, 0) for lag in lags]


def test_the_same_streams_give_the_same_curve() -> None:
    assert curve(KnowingModel(success=0.5), [4]) == curve(KnowingModel(success=0.5), [4])
