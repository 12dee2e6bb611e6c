"""What a trial measures: rows of numbers, that end as Parquet columns and MLflow's metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from trainables.measure.plain import read

EndedRung = Literal["solved", "budget", "stalled", "nan", "memory", "time", "length", "untrained"]
"""How a member's attempt at a rung ended. Only ``solved`` is a success."""

Moment = Literal["start", "end"]


@dataclass(frozen=True)
class MemberRung:
    """One member on one rung of one task: what the ladder judges by, and what is kept.

    A number that is not given was not measured.

    Attributes:
        success_rate: share of the held-out sequences of the last look that were right in every
            scored answer, in [0, 1]
        lower_bound: its one-sided lower confidence bound, at the confidence of that look
        control: which of the task's controls did best on the last look that established the
            success rate; empty if none did, and on a paired task
        control_rate: the share of the same held-out sequences that it was right on
        test_sequences: held-out sequences of that look; 0 if none was taken
        asked: the success rate to be established; 0 where an earlier version measured
        answers: scored answers of one of those sequences; 0 if no look was taken
        answer_rate: share of all their answers that were right, each by itself
        chance: the share that the best constant answer is right on
        seen: share of held-out sequences at this lag whose inputs training shows as well
        no_gap_rate: at the shortest rung, the success rate of the same weights where the question
            follows the evidence at once (`trainables.tasks.task.Task.no_gap`)
        no_gap_sequences: held-out sequences of that; 0 if the task has no gap
        looks: looks at held-out sequences
        sequences: training sequences used
        seconds: wall time
        training_gflop: floating-point operations of training, in 10^9
        parameters: trainable numbers of the model
        state_bytes: what one sequence carries from step to step at this lag
        flops_per_step: floating-point operations of answering one sequence of this lag, divided by
            its steps; 0 where an earlier version measured
        latency: seconds in which one sequence of this lag is answered by itself, where a search
            asks for it and the rung was solved; else 0
        peak_memory_bytes: largest memory of the worker (host) or allocated (CUDA) meanwhile
        data: the fingerprint of the data it was measured on; None if the task generates
    """

    task: str
    lag: int
    member: int
    ended_by: EndedRung
    success_rate: float = 0.0
    lower_bound: float = 0.0
    test_sequences: int = 0
    looks: int = 0
    sequences: int = 0
    seconds: float = 0.0
    training_gflop: float = 0.0
    parameters: int = 0
    state_bytes: int = 0
    peak_memory_bytes: int = 0
    data: str | None = None
    control: str = ""
    control_rate: float = 0.0
    asked: float = 0.0
    answers: int = 0
    answer_rate: float = 0.0
    chance: float = 0.0
    seen: float = 0.0
    no_gap_rate: float = 0.0
    no_gap_sequences: int = 0
    flops_per_step: float = 0.0
    latency: float = 0.0

    @property
    def solved(self) -> bool:
        """Whether the member solved the rung."""
        return self.ended_by == "solved"

    @property
    def of_several(self) -> bool:
        """Whether sequences had several answers, if not all: of one, single ones count the same."""
        return self.answers > 1 or (self.answers == 1 and self.answer_rate != self.success_rate)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**vars(self), "solved": self.solved}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """From plain values.

        Raises:
            NotReadableError: in one line, if a later version wrote them.
        """
        return read(cls, {key: value for key, value in found.items() if key != "solved"})


@dataclass(frozen=True)
class CurvePoint:
    """One point of a forgetting curve: the final weights at one lag.

    Attributes:
        learned: whether the lag was trained on; beyond, the point is extrapolation
    """

    task: str
    lag: int
    successes: int
    sequences: int
    learned: bool


@dataclass(frozen=True)
class HorizonPoint:
    """One point of a gradient horizon.

    Attributes:
        moment: at first weights or at final ones
        lag: the lag of the sequences it was taken on
        back: steps k back from the scored answer; the norm is the root mean square from k up to,
            not including, the next point's
        norm: of the answer's Jacobian in the input there
    """

    task: str
    moment: Moment
    lag: int
    back: int
    norm: float


@dataclass(frozen=True)
class FinalPoints:
    """What was measured of the final weights of one task's climb, once it was over.

    Attributes:
        curve: ascending in lag, a point a lag; empty where no rung was passed
        horizon: empty where nothing could be read, or memory ran out
    """

    curve: tuple[CurvePoint, ...] = ()
    horizon: tuple[HorizonPoint, ...] = ()


@dataclass(frozen=True)
class TracePoint:
    """A moment of training.

    Attributes:
        sequences: training sequences of the whole trial so far
        loss: mean over the member's recent training sequences at the rung's lag
        success_rate: over the member's recent training sequences
    """

    task: str
    lag: int
    member: int
    sequences: int
    loss: float
    success_rate: float


def of_task(rows: Iterable[MemberRung], task: str) -> list[MemberRung]:
    """The rows of one task."""
    return [row for row in rows if row.task == task]


def best_member(rows: Sequence[MemberRung], lag: int) -> int:
    """The member that solved ``lag`` with the highest success rate; of equals, the first."""
    solved = [row for row in rows if row.lag == lag and row.solved]
    return max(solved, key=lambda row: (row.success_rate, -row.member)).member


@dataclass(frozen=True)
class Limits:
    """How far an architecture can reach on a task, before it is trained (`trainables.limits`).

    Each in steps of lag; infinite where there is no limit, None where none is known.

    Attributes:
        gradient: where the gradient at first weights has fallen to a thousandth
        capacity: 0 where the state cannot hold what is asked for
        precision: what float arithmetic tells apart
        window: how far back layers look at all
        cost: up to where a rung's GFLOP pay for its sequences
    """

    gradient: float | None = None
    capacity: float | None = None
    precision: float | None = None
    window: float | None = None
    cost: float | None = None

    @property
    def finite(self) -> dict[str, float]:
        """Those that are known and end, the smallest first."""
        known = {name: steps for name, steps in vars(self).items() if steps is not None}
        return dict(sorted(((n, s) for n, s in known.items() if s < math.inf), key=lambda o: o[1]))

    def why(self, reach: float, failed: float) -> str | None:
        """The smallest that was not passed, if it lies within an octave of the failed lag or below.

        None where none does: what is known explains the failure by nothing.
        """
        left = [name for name, steps in self.finite.items() if reach <= steps <= 2 * failed]
        return next(iter(left), None)

    def to_json(self) -> dict[str, float | str | None]:
        """As plain values that are JSON everywhere."""
        return {
            name: UNLIMITED if steps == math.inf else steps for name, steps in vars(self).items()
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """From plain values.

        Raises:
            NotReadableError: in one line, if a later version wrote it.
        """
        steps = {name: math.inf if one == UNLIMITED else one for name, one in found.items()}
        return read(cls, steps)


UNLIMITED = "unlimited"
"""In JSON, which has no infinity."""
