"""What is known of one trial."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Self

from trainables.description import describe
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.plain import read
from trainables.measure.records import Limits, MemberRung, of_task
from trainables.measure.report import Report
from trainables.measure.skill import BY_SKILL, least_skill, no_gap_of, wrong_answers
from trainables.messages import named

ENDS = {
    "top": "passed the top",
    "failed_rung": "failed a rung",
    "pruned": "stopped",
    "running": "unfinished",
    "time": "out of time",
    "memory": "out of memory",
    "length": "out of positions",
    "error": "failed by error",
}
"""How a trial ended, in the words of every page that shows it; records keep the keys.

Where a search is stopped nothing runs, and what it has shown stays.
"""


@dataclass(frozen=True)
class TaskReach:
    """The largest rung that a trial passed on a task; ``censored`` as of a record."""

    task: str
    reach: int
    censored: bool

    @property
    def text(self) -> str:
        """The reach, with ≥ where it is censored."""
        return _at_least(self.reach, self.censored)


@dataclass(frozen=True)
class Record:
    """What is known of one trial.

    Attributes:
        number: Optuna's trial number, the trial's name everywhere
        parameters: the flat configuration as Optuna suggested it
        configuration: the nested, complete one
        digest: SHA-256 of it
        started_ms: wall time of the first start, in milliseconds since the epoch
        ended_ms: of the end; None while it runs
        ended_by: ``top``, ``failed_rung``, ``pruned``, ``memory``, ``time``, ``length``, ``error``;
            None while it runs
        error: one line, where it ended by an error
        report: the trial's last one; empty before the first
        losses: how often it has lost its worker, for whatever reason
        deaths: how many of them died by themselves
        origin: where its configuration was found, in words; empty if it was proposed here
    """

    number: int
    parameters: dict[str, Any]
    configuration: dict[str, Any]
    digest: str
    started_ms: int
    ended_ms: int | None = None
    ended_by: str | None = None
    error: str | None = None
    report: Report = field(default_factory=Report)
    losses: int = 0
    deaths: int = 0
    origin: str = ""

    @property
    def finished(self) -> bool:
        """Whether the trial has come to an end."""
        return self.ended_by is not None

    @property
    def end_text(self) -> str:
        """How it ended, in words, or that it has not."""
        end = self.ended_by or "running"
        return ENDS.get(end, end)

    @property
    def reported(self) -> bool:
        """Whether the trial has reported anything."""
        return self.report != Report()

    @property
    def rows(self) -> tuple[MemberRung, ...]:
        """What its members measured."""
        return self.report.rows

    @property
    def trained(self) -> bool:
        """Whether a member saw a training sequence; one that cannot be built or read sees none."""
        return any(row.sequences for row in self.rows)

    @property
    def looked_at(self) -> bool:
        """Whether its final weights were measured: the forgetting curve, the gradient horizon."""
        return self.report.looked_at

    @property
    def progress(self) -> float:
        """log2(reach) and the part of the failing rung; 0 before the first report."""
        return self.report.progress

    @property
    def reach(self) -> int:
        """The largest passed rung, the least over the tasks."""
        return self.report.reach

    @property
    def censored(self) -> bool:
        """Whether reach is a lower bound: no failed rung has ended the trial."""
        return self.ended_by != "failed_rung"

    @property
    def skill(self) -> float | None:
        """The best member's success rate at the shortest lag, the least over the tasks."""
        return least_skill(self.rows)

    @property
    def no_gap(self) -> float | None:
        """The best member's success rate at no gap; None where no task has a gap."""
        return no_gap_of(self.rows)

    @property
    def wrong_answers(self) -> float | None:
        """The share of single answers that the best member has wrong at the reach."""
        return wrong_answers(self.rows, self.report.reaches)

    @property
    def parameters_of_model(self) -> int:
        """Trainable numbers, the most over the tasks."""
        return max((row.parameters for row in self.rows), default=0)

    @property
    def state_bytes(self) -> int:
        """What a sequence carries from step to step at the reach, the most over the tasks."""
        return max((row.state_bytes for row in self._to_reach), default=0)

    @property
    def flops_per_step(self) -> float:
        """Operations of answering a sequence at the reach, a step; the most over the tasks.

        Infinite where an earlier version measured, which did not tell them.
        """
        told = [row.flops_per_step or math.inf for row in self._to_reach]
        return max(told, default=0.0)

    @property
    def latency(self) -> float:
        """Seconds of answering one sequence at the reach, the median member's; the most over tasks.

        Infinite where nobody measured it.
        """
        told: dict[str, list[float]] = {}
        for row in self._to_reach:
            if row.solved and row.lag == self.report.reaches[row.task]:
                told.setdefault(row.task, []).append(row.latency or math.inf)
        return max(map(median, told.values()), default=0.0)

    @property
    def gflop_to_reach(self) -> float:
        """Training cost of the rungs that were passed, in GFLOP."""
        return sum(row.training_gflop for row in self._to_reach)

    @property
    def _to_reach(self) -> list[MemberRung]:
        reaches = self.report.reaches
        return [row for row in self.rows if row.lag <= reaches.get(row.task, 0)]

    def limited_by(self, ladder: LadderConfig) -> str | None:
        """What its first task that ended at a failed rung is limited by; None if there is none."""
        from trainables.measure.limits import limit_of  # statistics take long to import

        for on in self.tasks:
            if not on.censored:
                curve = [point for point in self.report.curve if point.task == on.task]
                return limit_of(of_task(self.rows, on.task), curve, ladder)
        return None

    def why(self, limited_by: str | None) -> str | None:
        """Why that task ended where it did: by ``skill``, or by the smallest of its `Limits`.

        None where nothing that is known explains it.

        Args:
            limited_by: what `limited_by` says
        """
        if limited_by == BY_SKILL:
            return "skill"
        for on in self.tasks:
            if not on.censored:
                failed = max((row.lag for row in of_task(self.rows, on.task)), default=0)
                known = self.report.limits.get(on.task, Limits())
                return known.why(on.reach, failed)
        return None

    @property
    def regime(self) -> str:
        """How weights go from rung to rung; empty where the configuration does not say."""
        found: str = self.configuration.get("training", {}).get("regime", {}).get("kind", "")
        return found

    @property
    def tasks(self) -> list[TaskReach]:
        """What it reached on each task."""
        ended = self.report.tasks_ended_by
        return [
            TaskReach(task, reach, ended.get(task, self.ended_by) != "failed_rung")
            for task, reach in self.report.reaches.items()
        ]

    @property
    def reach_text(self) -> str:
        """The reach, with ≥ where it is censored."""
        return _at_least(self.reach, self.censored)

    @property
    def tasks_text(self) -> str:
        """The reach on every task of several, with ≥ where it is censored; empty for one."""
        words = (f"{on.task} {on.text}" for on in self.tasks)
        return ", ".join(words) if len(self.tasks) > 1 else ""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        found = {**vars(self), "report": self.report.to_json() if self.reported else {}}
        if not self.origin:  # which no earlier version knows
            del found["origin"]
        return found

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """From plain values.

        Raises:
            NotReadableError: in one line, if a later version wrote them.
            ValueError: in one line, if they are no trial's.
        """
        record = read(cls, {**found, "report": Report.from_json(found.get("report", {}))})
        try:
            words = (describe(record.configuration), record.regime)
            "".join(words)  # each is text
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"'configuration' is no trial's: {named(error)}") from None
        return record


@dataclass(frozen=True)
class Refused:
    """A proposal that broke constraints, by ``excess`` in parts of what is allowed."""

    number: int
    parameters: dict[str, Any]
    excess: float


def _at_least(reach: int, censored: bool) -> str:
    return f"≥ {reach}" if censored else str(reach)
