"""One trial: a configuration climbs the ladder of every task, from first weights to outcome."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from trainables.config import TrialConfig
from trainables.encoding.encoding import Encoding
from trainables.files import checkpoint
from trainables.learning.precision import Precision
from trainables.limits.distance import limits_of
from trainables.measure.ladder import (
    Climb,
    EndedClimb,
    expected_progress,
    open_progress,
    passed_rungs,
    progress,
    reach,
)
from trainables.measure.ladder import ended_by as climb_ended_by
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.plain import read
from trainables.measure.records import FinalPoints, Limits, MemberRung, TracePoint, of_task
from trainables.measure.report import Report, final_from_json, final_to_json, over_tasks
from trainables.models import kernels
from trainables.models.kernels import environment
from trainables.models.model import build, outline
from trainables.models.promises import require_promises
from trainables.tasks import make_task
from trainables.tasks.task import ClassAnswer, Task, TaskConfig
from trainables.training.climber import Climber, trial_streams
from trainables.training.closing_measurement import ClosingMeasurement
from trainables.training.memory import out_of_memory
from trainables.training.rung import RungTraining

REPORTS_PER_BUDGET = 10
"""Reports while one member spends the whole of its budget on one rung."""

SECONDS_BETWEEN_CHECKPOINTS = 10.0

log = logging.getLogger(__name__)


class Reporter(Protocol):
    """All that a trial knows of the outside."""

    def __call__(self, report: Report, checkpoint: Path | None) -> None:
        """Take what was measured so far and, if one was written, the folder that resumes it."""


@dataclass(frozen=True)
class TrialSpec:
    """What a trial is to do.

    Attributes:
        tasks: by name; progress is the mean over them
        seed: the search's
        curve: whether to measure forgetting curves at the end
        shared_device: whether others may hold the device's memory: then running out of it is no
            outcome but raised, and nothing of the attempt is kept
        precision: ``bf16`` computes matrix products and attention in bfloat16, in training and
            in every measurement
        encodings: by task, of those that were fitted before; none of the others
        latency: whether to measure how long one sequence takes to be answered
        memory_bytes: what a step may take; where it would take more, recurrences are trained and
            tested in segments, with the same gradient and answers
    """

    config: TrialConfig
    tasks: Mapping[str, TaskConfig]
    ladder: LadderConfig
    seed: int
    curve: bool = True
    shared_device: bool = False
    precision: Precision = "float32"
    encodings: Mapping[str, Encoding] = field(default_factory=dict)
    memory_bytes: float = math.inf
    latency: bool = False


def run_trial(
    spec: TrialSpec,
    folder: Path,
    reporter: Reporter,
    device: torch.device,
    clock: Callable[[], float] = time.monotonic,
) -> Report:
    """Run a trial to its end, from the checkpoint in ``folder`` where there is one.

    Returns:
        the last report
    """
    with _computing(spec, device):
        return Trial(spec, folder, reporter, device, clock).run()


def _computing(spec: TrialSpec, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=spec.precision == "bf16")


class Trial:
    """A trial under way."""

    def __init__(
        self,
        spec: TrialSpec,
        folder: Path,
        reporter: Reporter,
        device: torch.device,
        clock: Callable[[], float],
    ) -> None:
        self.spec, self.folder, self.reporter = spec, folder, reporter
        self.device, self.clock = device, clock
        self.rows: list[MemberRung] = []
        self.final: dict[str, FinalPoints] = {}
        self.limits: dict[str, Limits] = {}
        self.trace: list[TracePoint] = []
        self.climber: Climber | None = None
        self._at_the_top: dict[str, Any] = {}
        self._saved_at = clock()
        self._kernels, self._environment = kernels.describe(device), environment.describe()

    def run(self) -> Report:
        """Climb every task in turn."""
        self.folder.mkdir(parents=True, exist_ok=True)
        saved = self._restore()
        climbs = []
        for name, task_config in self.spec.tasks.items():
            task = make_task(task_config, self.spec.encodings.get(name))
            if not saved and not self.rows:
                self._require_promises(task, task_config)
            self.limits[name] = _limits(self.spec, task, task_config)
            self.climber = self._climber(name, task, task_config)
            if saved.get("task") == name:
                self.climber.restore(saved.pop("climber"))
            elif name in self._at_the_top:
                self._go_on_from_the_top(name)
            else:
                self.climber.rows = {(r.lag, r.member): r for r in of_task(self.rows, name)}
            climbs.append(self.climber.climb())
            self._keep_climber(name, climbs[-1])
            if self.spec.curve:
                self._measure_final(name)
        self.climber = None
        self._save()
        report = self.report(_ended(climbs))
        self.reporter(report, self.folder)
        return report

    def report(self, ended_by: EndedClimb | None = None) -> Report:
        """What is known so far."""
        ladder = self.spec.ladder
        outcomes = {name: of_task(self.rows, name) for name in self.spec.tasks}
        reaches = {
            name: reach(passed_rungs(o, ladder.rungs, ladder.rule)) for name, o in outcomes.items()
        }
        under_way = self._under_way
        gflop, seconds = 0.0, 0.0
        if under_way:
            gflop, seconds = under_way.progress.cost, under_way.progress.seconds
        return Report(
            progress=over_tasks(progress, outcomes, ladder),
            censored_progress=over_tasks(open_progress, outcomes, ladder),
            expected_progress=over_tasks(expected_progress, outcomes, ladder),
            reach=min(reaches.values()),
            reaches=reaches,
            tasks_ended_by={
                name: climb_ended_by(o, ladder.rungs, ladder.rule) for name, o in outcomes.items()
            },
            training_gflop=gflop + sum(row.training_gflop for row in self._booked),
            sequences=self._sequences(),
            seconds=seconds + sum(row.seconds for row in self._booked),
            lag=under_way.lag if under_way else 0,
            ended_by=ended_by,
            rows=tuple(self.rows),
            final=dict(self.final),
            trace=tuple(self.trace),
            kernels=self._kernels,
            environment=self._environment,
            limits=dict(self.limits),
        )

    def _require_promises(self, task: Task, task_config: TaskConfig) -> None:
        """Try what the measure asks of a model, before the first member is trained.

        Where memory runs out nothing is said: training will end by it, as an outcome.
        """
        config, lags = self.spec.config, self.spec.ladder.rungs
        streams = trial_streams(config, task_config, self.spec.seed)
        try:
            model = build(config.model, task, streams.seed_of("probe", lags[0], 0)).to(self.device)
            require_promises(model, task, lags, config.training.batch_size, self.device)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise

    def _measured(self, row: MemberRung) -> None:
        """Saved before it is reported: after a crash no later report falls below this one.

        Raises:
            torch.OutOfMemoryError: if memory ran out that others may hold.
        """
        if row.ended_by == "memory" and self.spec.shared_device:
            raise torch.OutOfMemoryError("out of memory on a device that is shared")
        self.rows.append(row)
        self._save()
        self.reporter(self.report(), self.folder)

    def _tick(self, training: RungTraining) -> None:
        """After a training step: a trace point and a report now and then, a checkpoint by time.

        Nothing is reported before the first attempt is over, so that no trial is stopped without a
        measurement.
        """
        stretch = max(1, self.spec.ladder.sequences // REPORTS_PER_BUDGET)
        if training.progress.sequences >= self._report_at(training, stretch):
            self._trace(training)
            if self.rows:
                self.reporter(self.report(), self.folder)
        if self.clock() - self._saved_at >= SECONDS_BETWEEN_CHECKPOINTS:
            self._save()

    def _report_at(self, training: RungTraining, stretch: int) -> int:
        """Training sequences of this attempt at which the next report is due."""
        last = self.trace[-1] if self.trace else None
        attempt = (self._task, training.lag, training.member.number)
        if last is None or (last.task, last.lag, last.member) != attempt:
            return 1
        before = sum(row.sequences for row in self.rows)
        return (last.sequences - before) // stretch * stretch + stretch

    def _trace(self, training: RungTraining) -> None:
        self.trace.append(
            TracePoint(
                task=self._task,
                lag=training.lag,
                member=training.member.number,
                sequences=self._sequences(),
                loss=training.recent_loss,
                success_rate=training.recent_rate,
            )
        )

    def _go_on_from_the_top(self, name: str) -> None:
        """Restore the members; where the ladder is longer now, their curve is to be drawn anew."""
        if self.climber is None:
            return
        self.climber.restore(self._at_the_top[name])
        if max(row.lag for row in of_task(self.rows, name)) < self.spec.ladder.stop:
            self.final.pop(name, None)

    def _keep_climber(self, name: str, climbed: Climb) -> None:
        """Keep the members that stand at the top: they go on if the ladder is made longer."""
        self._at_the_top.pop(name, None)
        if climbed.ended_by == "top" and self.climber:
            self._at_the_top[name] = self.climber.state()

    def _measure_final(self, name: str) -> None:
        """The forgetting curve and the gradient horizon of a task's climb, once.

        Saved at once, also where nothing came of it: it is not tried again.
        """
        if name in self.final:
            return
        self.final[name] = _final(self.spec, name, self.folder, self.rows, self.device).measure()
        self._save()

    def _climber(self, name: str, task: Task, task_config: TaskConfig) -> Climber:
        return Climber(
            config=self.spec.config,
            name=name,
            task=task,
            task_config=task_config,
            ladder=self.spec.ladder,
            seed=self.spec.seed,
            weights=_weights(self.folder, name),
            device=self.device,
            tick=self._tick,
            measured=self._measured,
            clock=self.clock,
            memory_bytes=self.spec.memory_bytes,
            latency=self.spec.latency,
            shared_device=self.spec.shared_device,
        )

    @property
    def _task(self) -> str:
        return self.climber.name if self.climber else ""

    @property
    def _under_way(self) -> RungTraining | None:
        return self.climber.training if self.climber else None

    @property
    def _booked(self) -> list[MemberRung]:
        """What attempts that are over took, also ahead of a first rung that has no row yet."""
        return [*self.rows, *(self.climber.not_yet_booked if self.climber else ())]

    def _sequences(self) -> int:
        under_way = self._under_way
        spent = under_way.progress.sequences if under_way else 0
        return spent + sum(row.sequences for row in self._booked)

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def _save(self) -> None:
        state = {
            "configuration": self.spec.config.digest,
            "rows": [row.to_json() for row in self.rows],
            **final_to_json(self.final),
            "trace": [dict(vars(point)) for point in self.trace],
            "task": self._task,
            "climber": self.climber.state() if self.climber else None,
            "at_the_top": self._at_the_top,
        }
        checkpoint.write(self._checkpoint, state)
        self._saved_at = self.clock()

    def _restore(self) -> dict[str, Any]:
        """Take up what the checkpoint holds; it is empty where there is none."""
        saved = checkpoint.read(self._checkpoint) or {}
        if saved and saved["configuration"] != self.spec.config.digest:
            log.warning("%s: of another configuration; starting over", self._checkpoint)
            saved = {}
        self.rows = [MemberRung.from_json(row) for row in saved.get("rows", ())]
        self.final = final_from_json(saved)
        self.trace = [read(TracePoint, point) for point in saved.get("trace", ())]
        self._at_the_top = saved.get("at_the_top", {})
        return saved


def measure_final(
    spec: TrialSpec, folder: Path, known: Report, device: torch.device
) -> dict[str, FinalPoints]:
    """What a trial that was stopped would have measured at its end, from what it left.

    Returns:
        by task, of those that were never looked at
    """
    with _computing(spec, device):
        return {
            name: _final(spec, name, folder, known.rows, device).measure()
            for name in spec.tasks
            if name not in known.final
        }


def _final(
    spec: TrialSpec, name: str, folder: Path, rows: Sequence[MemberRung], device: torch.device
) -> ClosingMeasurement:
    config = spec.tasks[name]
    return ClosingMeasurement(
        config=spec.config,
        ladder=spec.ladder,
        name=name,
        task=make_task(config, spec.encodings.get(name)),
        rows=of_task(rows, name),
        folder=_weights(folder, name),
        streams=trial_streams(spec.config, config, spec.seed),
        device=device,
        memory_bytes=spec.memory_bytes,
    )


def _limits(spec: TrialSpec, task: Task, config: TaskConfig) -> Limits:
    """How far the architecture can reach on a task, from closed forms."""
    model, answer = spec.config.model, task.answer
    counted = None if spec.ladder.gflop is None else outline(model, task)
    return limits_of(
        model.model_dump(mode="json"),
        config.model_dump(mode="json"),
        spec.ladder,
        precision=spec.precision,
        choices=answer.classes if isinstance(answer, ClassAnswer) else None,
        length=task.length,
        flops=counted and (lambda lag: counted.flops(task.length(lag), answers=1)),
    )


def _weights(folder: Path, task: str) -> Path:
    return folder / "weights" / task


def _ended(climbs: Sequence[Climb]) -> EndedClimb:
    """``top`` if every task's ladder was climbed; else how the first other one ended."""
    return next((c.ended_by for c in climbs if c.ended_by != "top"), "top")
