"""What a trial reports: plain rows that travel as dicts and end as Parquet columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from trainables.measure.ladder import EndedRung, RungOutcome, progress
from trainables.measure.ladder_config import LadderConfig

Moment = Literal["start", "end"]


@dataclass(frozen=True)
class MemberRung:
    """One member on one rung of one task.

    Attributes:
        success_rate: share of the held-out sequences of the last look that were right
        lower_bound: its one-sided lower confidence bound, at the confidence of that look
        test_sequences: held-out sequences of that look; 0 if none was taken
        looks: looks at held-out sequences
        sequences: training sequences used
        seconds: wall time
        training_gflop: floating-point operations of training, in 10^9
        parameters: trainable numbers of the model
        state_bytes: what one sequence carries from step to step at this lag
        peak_memory_bytes: largest memory of the worker (host) or allocated (CUDA) meanwhile
    """

    task: str
    lag: int
    member: int
    ended_by: EndedRung
    solved: bool
    success_rate: float
    lower_bound: float
    test_sequences: int
    looks: int
    sequences: int
    seconds: float
    training_gflop: float
    parameters: int
    state_bytes: int
    peak_memory_bytes: int

    @property
    def outcome(self) -> RungOutcome:
        """What the ladder needs of it."""
        return RungOutcome(
            lag=self.lag,
            member=self.member,
            ended_by=self.ended_by,
            success_rate=self.success_rate,
            lower_bound=self.lower_bound,
            sequences=self.sequences,
            cost=self.training_gflop,
        )


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


def cost_and_progress(
    rows: Iterable[MemberRung], tasks: Iterable[str], ladder: LadderConfig
) -> list[tuple[float, float]]:
    """Training cost in GFLOP and progress after each row of a trial, as they were reported then."""
    outcomes: dict[str, list[RungOutcome]] = {task: [] for task in tasks}
    points, cost = [], 0.0
    for row in rows:
        outcomes[row.task].append(row.outcome)
        cost += row.training_gflop
        scores = [progress(o, ladder.rungs, ladder.rule, ladder.success) for o in outcomes.values()]
        points.append((cost, sum(scores) / len(scores)))
    return points
