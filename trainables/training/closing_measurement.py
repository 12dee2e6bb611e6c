"""What is measured of a climb when it is over: the forgetting curve and the gradient horizon.

It needs the rows and the weights that the climb left, not the climb itself, so a trial that was
stopped from outside is measured too, afterwards.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from trainables.config import TrialConfig
from trainables.files import weights
from trainables.measure.ladder import passed_rungs
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.records import FinalPoints, HorizonPoint, MemberRung, Moment, best_member
from trainables.models.model import Model, build
from trainables.randomness import Streams
from trainables.regimes import REGIMES
from trainables.tasks.task import Task
from trainables.training.climber import owner_of, weights_file
from trainables.training.held_out.curve import forgetting_curve
from trainables.training.horizon import gradient_horizon
from trainables.training.memory import out_of_memory

log = logging.getLogger(__name__)

SHARE_OF_TRAINING = 1 / 20
"""The most that one point of a curve beyond the reach may cost, of all training so far."""


@dataclass(frozen=True)
class ClosingMeasurement:
    """One climb, measured when it is over.

    Args:
        name: the task's name in the trial
        rows: of this task
        folder: where the climb left its weights
        memory_bytes: what may be taken; longer sequences are read in pieces, or left out
    """

    config: TrialConfig
    ladder: LadderConfig
    name: str
    task: Task
    rows: Sequence[MemberRung]
    folder: Path
    streams: Streams
    device: torch.device
    memory_bytes: float = math.inf

    def measure(self) -> FinalPoints:
        """The forgetting curve, empty where no rung was passed, and the gradient horizon."""
        passed = passed_rungs(self.rows, self.ladder.rungs, self.ladder.rule)
        lag = passed[-1] if passed else self.ladder.start
        member = best_member(self.rows, lag) if passed else 0
        first = self._first(lag, member)
        horizon = [] if first is None else self._horizon(first, lag, "start")
        final = self._learned(lag, member) if passed else None
        if final is None:
            return FinalPoints(horizon=tuple(horizon))
        horizon += self._horizon(final, lag, "end")
        spent = sum(row.training_gflop for row in self.rows)
        most = spent * SHARE_OF_TRAINING
        trained = [rung for rung in passed if self.ladder.trains_at(rung)]
        curve = forgetting_curve(
            final,
            self.name,
            self.task,
            passed,
            self.streams,
            most,
            self.device,
            self.memory_bytes,
            trained,
        )
        return FinalPoints(tuple(curve), tuple(horizon))

    def _first(self, lag: int, member: int) -> Model | None:
        """The model as the member started; None where it does not fit into memory."""
        regime = REGIMES[self.config.training.regime.kind](self.config.training.regime)
        rung = self.ladder.start if regime.carries_weights else self._trained_last(lag, member)
        seed = self.streams.seed_of("weights", rung, member)
        try:
            return build(self.config.model, self.task, seed).to(self.device)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            return None

    def _trained_last(self, lag: int, member: int) -> int:
        """The longest rung up to ``lag`` that the member trained on; it, where there is none."""
        trained = [r.lag for r in self.rows if r.member == member and r.sequences and r.lag <= lag]
        return max(trained, default=lag)

    def _learned(self, lag: int, member: int) -> Model | None:
        """The model as the member solved the lag; None where its weights are damaged."""
        try:
            owner = owner_of(self.streams, lag, member)
            kept = weights.read(weights_file(self.folder, lag, member), owner)
        except (OSError, weights.DamagedWeightsError) as error:
            log.warning("%s; the trial has no forgetting curve", error)
            return None
        model = build(self.config.model, self.task, seed=0).to(self.device)
        model.load_state_dict(kept)
        return model

    def _horizon(self, model: Model, lag: int, moment: Moment) -> list[HorizonPoint]:
        if not model.reads(self.task.length(lag)):
            return []
        generator = self.streams.generator("horizon", lag, 0)
        try:
            return list(
                gradient_horizon(
                    model,
                    self.name,
                    self.task,
                    lag,
                    moment,
                    generator,
                    self.device,
                    self.memory_bytes,
                )
            )
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            return []
