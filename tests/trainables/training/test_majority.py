"""A reach is about memory, never about a majority: who guesses solves nothing, who knows does."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

from tests.trainables.tasks.labelled import task_of, write
from tests.trainables.training.stand_ins import KnowingMember, attempt, ladder, no_tick, seeded
from trainables.controls.guessers import constant
from trainables.controls.measuring import Controls, Rate, measure
from trainables.controls.parts import Parts
from trainables.controls.rivals import Compared, Rivals
from trainables.encoding.steps import NumberSteps
from trainables.measure.reliability import better_than
from trainables.tasks.adding import Adding
from trainables.tasks.parquet import Parquet

SHARES = {"two classes": (0.915, 0.085), "three classes": (0.915, 0.05, 0.035)}


def imbalanced(folder: Path, shares: tuple[float, ...], rows: int = 4000) -> Parquet:
    """Rows whose class is their second number, and most of which are of the first class."""
    drawn = np.random.default_rng(0)
    labels = drawn.choice(len(shares), size=rows, p=shares)
    values = np.stack([drawn.normal(size=rows), labels.astype(float)], axis=1)
    return task_of(write(folder / "rows.parquet", values.tolist(), labels.tolist(), 500))


class Answers(nn.Module):
    """Gives the majority always, or the class that the row says."""

    def __init__(self, task: Parquet, knows: bool) -> None:
        super().__init__()
        self.task, self.knows = task, knows

    def forward(self, inputs: Tensor, scored: Tensor) -> Tensor:
        (mean,), (deviation,) = standard(self.task)
        label = (inputs[:, 1, 0] * deviation + mean).round().long() * self.knows
        return nn.functional.one_hot(label, self.task.answer.outputs).float()[:, None]

    def flops(self, length: int, answers: int) -> float:
        return 1.0


def standard(task: Parquet) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """By what the numbers of the rows were standardised."""
    steps = task.fitted.steps
    assert isinstance(steps, NumberSteps)
    return steps.mean, steps.deviation


class Member(KnowingMember):
    """A member whose model needs no training."""

    def __init__(self, task: Parquet, knows: bool) -> None:
        super().__init__(lambda _: 1.0, lambda step: 1 / (step + 1))
        self.model: Any = Answers(task, knows)

    def learn(self, batch: Any) -> tuple[float, int]:
        self.sizes.append(len(batch.inputs))
        right = self.model(batch.inputs, batch.scored).argmax(-1) == batch.targets
        return self.loss(len(self.sizes)), int(right.sum())


def tried(task: Parquet, knows: bool, success: float, looks: str = "whole") -> Any:
    """A member's attempt at lag 4, with the task's own controls to beat."""
    rivals = functools.cache(lambda lag: Rivals(task, lag, seeded()))
    member = Member(task, knows)
    steps = ladder(success=success, test_sequences=2000, looks=looks)
    return attempt(member, steps, task=task, rivals=rivals).run(no_tick)


@pytest.mark.parametrize("looks", ["whole", "sequential"])
@pytest.mark.parametrize("shares", SHARES)
def test_a_constant_guesser_solves_nothing(shares: str, looks: str, tmp_path: Path) -> None:
    """Its success rate is established, but it is the control's own."""
    task = imbalanced(tmp_path, SHARES[shares])
    guesser = tried(task, knows=False, success=0.85, looks=looks)
    assert guesser.lower_bound >= 0.85
    assert (guesser.ended_by, guesser.solved) == ("budget", False)
    assert guesser.control_rate == pytest.approx(guesser.success_rate)
    knowing = tried(task, knows=True, success=0.85, looks=looks)
    assert knowing.solved
    assert 0.85 < knowing.control_rate < 0.95


def test_a_look_goes_on_until_the_controls_are_beaten_too(tmp_path: Path) -> None:
    """64 rows of which the majority has all but five establish the rate, and memory only later."""
    task = imbalanced(tmp_path, SHARES["two classes"])
    knowing = tried(task, knows=True, success=0.85, looks="sequential")
    assert knowing.solved
    assert 64 < knowing.test_sequences < 800
    assert knowing.success_rate == 1.0


@pytest.mark.parametrize("shares", SHARES)
def test_a_task_whose_majority_may_reach_the_success_is_refused(
    shares: str, tmp_path: Path
) -> None:
    """91.5 % of one class and success 0.9; at 0.97 the control is shown to stay below."""
    found = measure(imbalanced(tmp_path, SHARES[shares]), 8)
    complaint = found.complaint(0.9)
    assert complaint is not None
    assert complaint.startswith("one and the same answer succeeds on")
    assert found.complaint(0.97) is None


def test_a_control_has_to_be_established_to_stay_below() -> None:
    """Neither shown to reach the success nor shown to stay below it: refused, with the bound."""
    rates: Any = dict.fromkeys(("constant", "last input", "bag", "shuffled"), Rate(50, 512))
    unclear = Controls(8, 0.1, {**rates, "blinded": Rate(450, 512)}, 0.9)
    assert unclear.best == "blinded"
    complaint = unclear.complaint(0.9)
    assert complaint == (
        "whoever sees nothing as old as the lag succeeds on 450 of 512 sequences at lag 8, so in up"
        " to 90.2% of all; it must be established to stay below success 0.9: choose a higher"
        " success"
    )
    below = Controls(8, 0.1, {**rates, "blinded": Rate(448, 512)}, 0.9)
    assert below.complaint(0.9) is None


def test_a_pair_is_compared_with_itself() -> None:
    """Its chance is one half, known and not measured; what is shown to reach more is refused."""
    rates: Any = dict.fromkeys(("constant", "last input", "bag", "shuffled"), Rate(0, 100))
    stream = Controls(8, 0.5, {**rates, "blinded": Rate(55, 100)}, 0.5, paired=True)
    assert stream.complaint(0.6) is None
    assert Controls(8, 0.5, stream.rates, 0.5).complaint(0.6) is not None


@pytest.mark.parametrize(
    ("won", "lost", "better"),
    [(5, 0, True), (4, 0, False), (0, 0, False), (100, 100, False), (30, 10, True)],
)
def test_better_on_the_same_sequences(won: int, lost: int, better: bool) -> None:
    """Of five tosses all heads: 1 in 32; of four, 1 in 16."""
    assert better_than(won, lost, 0.95) is better


def test_every_control_has_to_be_beaten() -> None:
    won, lost = {"constant": 50, "last input": 50}, {"constant": 0, "last input": 49}
    rivals: Any = {"constant": 10, "last input": 59}
    compared = Compared(100, 60, rivals, won, lost)  # type: ignore[arg-type]  # two are enough
    assert (compared.best, compared.best_rate) == ("last input", 0.59)
    assert not compared.beaten(0.95)


def test_the_best_constant_number_is_where_most_lie() -> None:
    """Not their mean, which may be right for none."""
    task = Adding(Adding.Config())
    batch = task.sample(8, 100, seeded())
    batch.targets[:92], batch.targets[92:] = 0.2, 1.9
    outputs = constant(task, batch)(Parts(batch))
    assert task.answer.right(outputs[:, None], batch.targets).float().mean() == 0.92  # type: ignore[call-overload]
