"""One member on one rung: train, look when it is likely to pass, stop when it is decided."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from trainables.controls.rivals import MakeRivals
from trainables.learning.anchors import training_flops
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.looks.asked import Asked
from trainables.measure.records import EndedRung, MemberRung
from trainables.randomness import Streams
from trainables.regimes import Regime
from trainables.tasks.drawing import Drawing
from trainables.tasks.task import Batch, Split, Task
from trainables.training.held_out.looks import HeldOut, Look
from trainables.training.member import Member
from trainables.training.memory import out_of_memory
from trainables.training.stall import Stretches

RECENT_SEQUENCES = 128
"""Training sequences over which a member watches its own success."""

PAUSE_AFTER_SELECTION, PAUSE_AFTER_LOOK = 0.1, 0.25
"""After a selection draw or a look that failed, train on by this part of the rung's sequences."""

SPLITS: tuple[Split, ...] = ("train", "selection", "test")

Tick = Callable[["RungTraining"], None]
"""Called after every training step: to report, or to write a checkpoint."""


@dataclass
class RungProgress:
    """Where an attempt stands.

    Attributes:
        sequences: training sequences used
        looks: looks at the held-out test so far
        resume_at: sequences before which no further selection is drawn
        seconds: wall time so far
        cost: training cost so far, in GFLOP; held-out tests are not counted
        loss: mean loss of the last batch
    """

    sequences: int = 0
    looks: int = 0
    resume_at: int = 0
    seconds: float = 0.0
    cost: float = 0.0
    loss: float = math.nan


class RungTraining:
    """The attempt of one member at one rung; it can be cut off after any step and restored.

    Success is watched in three stages, each dearer than the one before: the member's own recent
    training batches, before they were learned from; a selection draw; and a *look*: the held-out
    test, which alone decides. Each look spends a part of the error allowed
    (`trainables.measure.reliability.look_confidence`), so looking often proves nothing.

    Args:
        name: the task's name in the trial
        rivals: gives the controls to beat at a lag
        asked: the success that solves the rung; without it, the ladder's
        looks_first: whether it is looked at before it is trained
        claims: else it is done where a look would be taken, and has solved nothing; it draws from
            streams of its own
    """

    def __init__(
        self,
        member: Member,
        name: str,
        task: Task,
        rivals: MakeRivals,
        regime: Regime,
        ladder: LadderConfig,
        streams: Streams,
        lag: int,
        batch_size: int,
        device: torch.device,
        clock: Callable[[], float] = time.monotonic,
        asked: Asked | None = None,
        looks_first: bool = False,
        claims: bool = True,
    ) -> None:
        self.looks_first, self.claims = looks_first, claims
        self.asked = asked or Asked.of(ladder, lag, None)
        self.member, self.name, self.regime, self.ladder = member, name, regime, ladder
        self.lag, self.batch_size, self.device, self.clock = lag, batch_size, device, clock
        self.splits: dict[Split, Task] = {name: task.split(name) for name in SPLITS}
        own = () if claims else (0,)
        self.generators = {
            split: streams.generator(split, lag, member.number, *own) for split in SPLITS
        }
        self.held_out = HeldOut(
            member, self.splits, self.generators, rivals, self.asked, streams, lag, device
        )
        self.drawing = Drawing(self._draw, self.generators["train"], ahead=device.type != "cpu")
        self.progress = RungProgress()
        self.stretches = Stretches(ladder.sequences)
        self.recent: deque[tuple[int, int, float]] = deque()
        member.enter(lag / ladder.start, math.ceil(ladder.sequences / batch_size))

    @property
    def recent_rate(self) -> float:
        """Success rate over the recent training sequences at the rung's lag."""
        shown = sum(size for _, size, _ in self.recent)
        return sum(right for right, _, _ in self.recent) / shown if shown else 0.0

    @property
    def recent_loss(self) -> float:
        """Mean loss of the recent training sequences at the rung's lag; one batch's says little.

        Before the first of them, the last batch's, of whatever lag.
        """
        shown = sum(size for _, size, _ in self.recent)
        total = sum(loss * size for _, size, loss in self.recent)
        return total / shown if shown else self.progress.loss

    def run(self, tick: Tick) -> MemberRung:
        """Train until the rung is solved or given up.

        Returns:
            what was measured; the size and the memory of the model are the climber's to add
        """
        started = self.clock() - self.progress.seconds
        try:
            ended, look = self._train(started, tick)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            ended, look = "memory", Look()
        now, tally, compared = self.progress, look.tally, look.compared
        now.seconds = self.clock() - started
        return MemberRung(
            task=self.name,
            lag=self.lag,
            member=self.member.number,
            ended_by=ended,
            success_rate=tally.rate,
            lower_bound=look.bound,
            control=compared.best if compared else "",
            control_rate=compared.best_rate if compared else 0.0,
            test_sequences=tally.sequences,
            asked=self.asked.success,
            answers=tally.answers // max(1, tally.sequences),
            answer_rate=tally.answers_right / max(1, tally.answers),
            chance=tally.answers_guessed / max(1, tally.answers),
            looks=now.looks,
            sequences=now.sequences,
            seconds=now.seconds,
            training_gflop=now.cost,
        )

    def _train(self, started: float, tick: Tick) -> tuple[EndedRung, Look]:
        if not self.ladder.trains_at(self.lag):
            look = self._look(is_last=True)
            return ("solved" if look.passed else "untrained"), look
        if self.looks_first and not self._only_when_done and not self.progress.sequences:
            if self.held_out.selected(self._rate_needed()):
                look = self._look(is_last=False)
                if look.passed:
                    return "solved", look
            self._pause(0)
        while True:
            self._learn_a_batch()
            self.progress.seconds = self.clock() - started
            if not math.isfinite(self.progress.loss):
                return "nan", Look()
            given_up = self._given_up()
            if not self.claims and (given_up or self._likely_to_pass()):
                return given_up or "solved", Look()
            if given_up or self._likely_to_pass():
                look = self._look(is_last=given_up is not None)
                if look.passed:
                    return "solved", look
                if given_up:
                    return given_up, look
                self._pause(PAUSE_AFTER_LOOK)
            tick(self)

    def _look(self, is_last: bool) -> Look:
        self.progress.looks += 1
        return self.held_out.look(self.progress.looks, is_last)

    def _rate_needed(self) -> float:
        return self.held_out.rate_needed(self.progress.looks + 1)

    def _learn_a_batch(self) -> None:
        left = self.ladder.sequences - self.progress.sequences
        size = min(self.batch_size, left)
        lag, batch = self.drawing.take(size, min(self.batch_size, left - size))
        self.progress.loss, right = self.member.learn(batch)
        self.progress.sequences += size
        answers, length = batch.targets.shape[1], batch.inputs.shape[1]
        flops = training_flops(self.regime, self.member.model, length, answers)
        self.progress.cost += 3e-9 * size * flops
        if lag == self.lag:
            self.stretches.add(self.progress.loss, right, size)
            self.recent.append((right, size, self.progress.loss))
            while sum(shown for _, shown, _ in self.recent) - self.recent[0][1] >= RECENT_SEQUENCES:
                self.recent.popleft()
        else:
            self.stretches.rehearse(size)

    def _draw(self, size: int) -> tuple[int, Batch]:
        generator = self.generators["train"]
        lag = self.regime.lag(self.lag, self._below, generator)
        return lag, self.splits["train"].sample(lag, size, generator).to(self.device)

    @property
    def _below(self) -> Sequence[int]:
        return [lag for lag in self.ladder.rungs if lag < self.lag]

    def _likely_to_pass(self) -> bool:
        """Whether recent batches, then a selection draw, reach the rate that the test asks for.

        Never where only a member that is done learning is asked.
        """
        if self._only_when_done:
            return False
        shown = sum(size for _, size, _ in self.recent)
        if self.progress.sequences < self.progress.resume_at or shown < RECENT_SEQUENCES:
            return False
        wanted = self._rate_needed()
        if self.recent_rate < wanted:
            return False
        if self.held_out.selected(wanted):
            return True
        self._pause(PAUSE_AFTER_SELECTION)
        return False

    @property
    def _only_when_done(self) -> bool:
        """On a paired task, where the skill is measured, and where members train out."""
        paired = self.held_out.test.paired
        return paired or self.asked.is_skill or self.ladder.trains_out(self.lag)

    def _pause(self, part: float) -> None:
        now = self.progress
        now.resume_at = now.sequences + max(RECENT_SEQUENCES, round(part * now.sequences))

    def _given_up(self) -> Literal["budget", "time", "stalled"] | None:
        if self.progress.sequences >= self.ladder.sequences:
            return "budget"
        if self.ladder.gflop is not None and self.progress.cost >= self.ladder.gflop:
            return "budget"
        if self.ladder.seconds is not None and self.progress.seconds >= self.ladder.seconds:
            return "time"
        if self.ladder.stall is not None and self.stretches.stalled(self.ladder.stall):
            return "stalled"
        return None

    def state(self) -> dict[str, Any]:
        """Everything but the member: what `restore` needs to go on as if never cut off."""
        return {
            "progress": asdict(self.progress),
            "stretches": self.stretches.state(),
            "recent": list(self.recent),
            "generators": {name: g.get_state() for name, g in self.generators.items()}
            | {"train": self.drawing.state},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.progress = RungProgress(**state["progress"])
        self.stretches.restore(state["stretches"])
        self.recent = deque(tuple(batch) for batch in state["recent"])
        for name, generator in self.generators.items():
            generator.set_state(state["generators"][name])
