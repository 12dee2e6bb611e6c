"""One member on one rung: train, look when it is likely to pass, stop when it is decided."""

from __future__ import annotations

import functools
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, islice
from typing import Any, Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from trainables.controls.rivals import Compared, MakeRivals
from trainables.learning.anchors import training_flops
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.looks.asked import Asked
from trainables.measure.looks.sizes import sizes
from trainables.measure.looks.stages import Stages
from trainables.measure.records import EndedRung, MemberRung
from trainables.measure.reliability import look_confidence, successes_needed
from trainables.randomness import Streams
from trainables.regimes import Regime
from trainables.tasks.drawing import Drawing
from trainables.tasks.task import Batch, Split, Task
from trainables.training.evaluation import (
    Stage,
    Tally,
    each_shown,
    each_stage,
    evaluate,
    require_nothing_ahead,
    tallies,
)
from trainables.training.member import Member
from trainables.training.memory import out_of_memory
from trainables.training.stall import Stretches

RECENT_SEQUENCES = 128
"""Training sequences over which a member watches its own success."""

SELECTION_SEQUENCES = 256
"""Sequences of the selection draw that decides whether a look is worth its error."""

LIKELY = 0.8
"""By stages, a selection draw ends once a bound of this confidence lies on one side."""

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

    A look that establishes the success rate solves the rung only if the member is shown, on the
    same sequences, to be better than each of the task's controls (`trainables.controls.rivals`).

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
        self.rivals, self.streams = rivals, streams
        self.compared: Compared | None = None
        self.bound = 0.0
        self.lag, self.batch_size, self.device, self.clock = lag, batch_size, device, clock
        self.splits: dict[Split, Task] = {name: task.split(name) for name in SPLITS}
        own = () if claims else (0,)
        self.generators = {
            split: streams.generator(split, lag, member.number, *own) for split in SPLITS
        }
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
            ended, tally = self._train(started, tick)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            ended, tally = "memory", Tally(0, 0)
        now = self.progress
        now.seconds = self.clock() - started
        return MemberRung(
            task=self.name,
            lag=self.lag,
            member=self.member.number,
            ended_by=ended,
            success_rate=tally.rate,
            lower_bound=self.bound if tally.sequences else 0.0,
            control=self.compared.best if self.compared else "",
            control_rate=self.compared.best_rate if self.compared else 0.0,
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

    def _train(self, started: float, tick: Tick) -> tuple[EndedRung, Tally]:
        if not self.ladder.trains_at(self.lag):
            tally, passed = self._look(is_last=True)
            return ("solved" if passed else "untrained"), tally
        if self.looks_first and not self.progress.sequences:
            if self._selected(self._rate_needed()):
                tally, passed = self._look(is_last=False)
                if passed:
                    return "solved", tally
            self._pause(0)
        while True:
            self._learn_a_batch()
            self.progress.seconds = self.clock() - started
            if not math.isfinite(self.progress.loss):
                return "nan", Tally(0, 0)
            given_up = self._given_up()
            if not self.claims and (given_up or self._likely_to_pass()):
                return given_up or "solved", Tally(0, 0)
            if given_up or self._likely_to_pass():
                tally, passed = self._look(is_last=given_up is not None)
                if passed:
                    return "solved", tally
                if given_up:
                    return given_up, tally
                self._pause(PAUSE_AFTER_LOOK)
            tick(self)

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

        Never on a paired task, nor where the skill is measured: there only a member that is done
        learning is asked.
        """
        if self.splits["test"].paired or self.asked.is_skill:
            return False
        shown = sum(size for _, size, _ in self.recent)
        if self.progress.sequences < self.progress.resume_at or shown < RECENT_SEQUENCES:
            return False
        wanted = self._rate_needed()
        if self.recent_rate < wanted:
            return False
        if self._selected(wanted):
            return True
        self._pause(PAUSE_AFTER_SELECTION)
        return False

    def _selected(self, wanted: float) -> bool:
        """Whether a selection draw reaches the rate; by stages, as soon as it is likely or not."""
        if not self.asked.by_stages:
            return self._evaluate("selection", SELECTION_SEQUENCES).rate >= wanted
        tally = Tally(0, 0)
        for tally in self._stage_by_stage("selection", sizes(SELECTION_SEQUENCES)):
            if tally.lower_bound(LIKELY) >= wanted:
                return True
            if tally.upper_bound(LIKELY) < wanted:
                return False
        return tally.rate >= wanted

    def _rate_needed(self) -> float:
        distinct = self.splits["test"].distinct_sequences(self.lag)
        shown = min(self.asked.test_sequences, distinct or self.asked.test_sequences)
        return rate_needed(shown, self.asked.success, self.progress.looks + 1, self.asked.error)

    def _pause(self, part: float) -> None:
        now = self.progress
        now.resume_at = now.sequences + max(RECENT_SEQUENCES, round(part * now.sequences))

    def _look(self, is_last: bool) -> tuple[Tally, bool]:
        """The held-out test, and whether it establishes the success asked for, and memory."""
        self.progress.looks += 1
        self.compared = None
        if self.asked.by_stages and not self.splits["test"].paired:
            return self._look_by_stages(is_last)
        before = self.generators["test"].get_state()
        tally = self._evaluate("test", self.asked.test_sequences)
        confidence = self.asked.confidence(self.progress.looks)
        self.bound = tally.lower_bound(confidence)
        if self.bound < self.asked.success:
            return tally, False
        self._require_nothing_ahead()
        if self.splits["test"].paired:
            return tally, True
        self.compared = self._compare(before)
        again = Tally(self.compared.right, self.compared.sequences)
        held = again.lower_bound(confidence) >= self.asked.success
        return tally, held and self.compared.beaten(confidence)

    def _look_by_stages(self, is_last: bool) -> tuple[Tally, bool]:
        """A look that ends once it has passed, or would hardly pass any more.

        A member's last look is not given up, so that what it leaves is of all that was planned.
        """
        look, test = self.progress.looks, self.splits["test"]
        stages = self.asked.stages(look, test.distinct_sequences(self.lag))
        error, established, tally = 1 - self.asked.confidence(look), False, Tally(0, 0)
        for stage, tally in enumerate(self._stage_by_stage("test", stages.sizes, look)):
            if not established and stages.passes(stage, tally.successes):
                established = True
                self.bound = stages.lower_bound(stage, tally.successes, error)
                self._require_nothing_ahead()
            if established and self._beats_controls(stages, stage, error):
                return tally, True
            if not (established or is_last) and stages.is_hopeless(stage, tally.successes):
                return tally, False
        if not established:
            self.bound = stages.lower_bound(stage, tally.successes, error)
        return tally, False

    def _beats_controls(self, stages: Stages, stage: int, error: float) -> bool:
        """Whether the member beats each control on what the look has shown up to a stage.

        It is shown that once more, as in `_compare`, and has to pass again.
        """
        again = [0] * (stage + 1)
        number, look = self.member.number, self.progress.looks

        def shown() -> Iterator[tuple[Batch, Bool[Tensor, " N"]]]:
            drawn = self._each_stage("test", stages.sizes, look, mixed=True)
            for place, batches in enumerate(islice(drawn, stage + 1)):
                for batch, each in batches:
                    right = each.all(1)
                    again[place] += int(right.sum())
                    yield batch, right

        generator = self.streams.generator("controls", self.lag, number, look, stage)
        self.compared = self.rivals(self.lag).compare(shown(), generator)
        held = any(stages.passes(*found) for found in enumerate(accumulate(again)))
        return held and self.compared.beaten(1 - error * stages.share(stage))

    def _require_nothing_ahead(self) -> None:
        require_nothing_ahead(
            self.member.judged,
            self.splits["test"],
            self.lag,
            self.streams.generator("probe", self.lag, self.member.number),
            self.device,
            self.member.memory_bytes,
        )

    def _compare(self, drawn_from: torch.Tensor) -> Compared:
        """The member and the task's controls on the sequences of the look that was just taken.

        They are shown to the member once more, in another order. They are drawn again from the
        state that the look's generator had before it.
        """
        rivals, number = self.rivals(self.lag), self.member.number
        again = self.streams.generator("test", self.lag, number)
        again.set_state(drawn_from)
        shown = each_shown(
            self.member.judged,
            self.splits["test"],
            self.lag,
            self.asked.test_sequences,
            again,
            self.device,
            mixed=True,
            memory_bytes=self.member.memory_bytes,
        )
        successes = ((batch, right.all(1)) for batch, right in shown)
        looks = self.progress.looks
        return rivals.compare(
            successes, self.streams.generator("controls", self.lag, number, looks)
        )

    def _evaluate(self, split: Literal["selection", "test"], sequences: int) -> Tally:
        return evaluate(
            self.member.judged,
            self.splits[split],
            self.lag,
            sequences,
            self.generators[split],
            self.device,
            self.member.memory_bytes,
        )

    def _stage_by_stage(
        self, split: Literal["selection", "test"], ends: Sequence[int], *draw: int
    ) -> Iterator[Tally]:
        return tallies(self.splits[split], self._each_stage(split, ends, *draw))

    def _each_stage(
        self,
        split: Literal["selection", "test"],
        ends: Sequence[int],
        *draw: int,
        mixed: bool = False,
    ) -> Iterator[Stage]:
        """What is shown stage by stage.

        Each look's sequences are drawn from a stream of its own, so that they hang on nothing that
        an earlier one has shown, nor on how much of it.
        """
        generator = self.generators[split]
        if draw:
            generator = self.streams.generator(split, self.lag, self.member.number, *draw)
        return each_stage(
            self.member.judged,
            self.splits[split],
            self.lag,
            ends,
            generator,
            self.device,
            mixed,
            self.member.memory_bytes,
        )

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


@functools.cache
def rate_needed(sequences: int, success: float, look: int, error: float = 0.05) -> float:
    """The share of ``sequences`` that must be right at the ``look``-th look; 1 if none is enough.

    Kept, because it is asked for at every training step and takes as long as a small one.
    """
    needed = successes_needed(sequences, success, look_confidence(look, 1 - error))
    return 1.0 if needed is None else needed / sequences
