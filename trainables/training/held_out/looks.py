"""What a member shows of a rung on held-out sequences: selection draws, and looks."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice

import torch
from jaxtyping import Bool
from torch import Tensor

from trainables.controls.rivals import Compared, MakeRivals
from trainables.measure.looks.asked import Asked
from trainables.measure.looks.sizes import sizes
from trainables.measure.looks.stages import Stages
from trainables.measure.reliability import look_confidence, successes_needed
from trainables.randomness import Streams
from trainables.tasks.task import Batch, Split, Task
from trainables.training.held_out.evaluation import (
    Stage,
    Tally,
    each_shown,
    each_stage,
    evaluate,
    require_nothing_ahead,
    tallies,
)
from trainables.training.member import Member

SELECTION_SEQUENCES = 256
"""Sequences of the selection draw that decides whether a look is worth its error."""

LIKELY = 0.8
"""By stages, a selection draw ends once a bound of this confidence lies on one side."""

NOTHING = Tally(0, 0)


@dataclass(frozen=True)
class Look:
    """What a look at the held-out test came to; nothing, where none was taken.

    Attributes:
        passed: whether it establishes the success asked for, and memory
        bound: the lower bound of the success rate
        compared: the member and the task's controls, where the success was established
    """

    tally: Tally = NOTHING
    passed: bool = False
    bound: float = 0.0
    compared: Compared | None = None


class HeldOut:
    """The held-out sequences of one rung, for one member.

    A look that establishes the success rate passes only if the member is shown, on the same
    sequences, to be better than each of the task's controls (`trainables.controls.rivals`).

    Args:
        splits: the task's, by name
        generators: of the splits; those of selection and test are advanced
        rivals: gives the controls to beat at a lag
    """

    def __init__(
        self,
        member: Member,
        splits: Mapping[Split, Task],
        generators: Mapping[Split, torch.Generator],
        rivals: MakeRivals,
        asked: Asked,
        streams: Streams,
        lag: int,
        device: torch.device,
    ) -> None:
        self.member, self.asked, self.lag, self.device = member, asked, lag, device
        self.splits, self.generators = splits, generators
        self.rivals, self.streams = rivals, streams

    @property
    def test(self) -> Task:
        """The split that alone decides."""
        return self.splits["test"]

    def rate_needed(self, look: int) -> float:
        """The share of what the test can show that must be right at the ``look``-th look."""
        distinct = self.test.distinct_sequences(self.lag)
        shown = min(self.asked.test_sequences, distinct or self.asked.test_sequences)
        return rate_needed(shown, self.asked.success, look, self.asked.error)

    def selected(self, wanted: float) -> bool:
        """Whether a selection draw reaches the rate; by stages, as soon as it is likely or not."""
        if not self.asked.by_stages:
            return self._evaluate("selection", SELECTION_SEQUENCES).rate >= wanted
        tally, generator = NOTHING, self.generators["selection"]
        stages = self.each_stage("selection", sizes(SELECTION_SEQUENCES), generator)
        for tally in tallies(self.splits["selection"], stages):
            if tally.lower_bound(LIKELY) >= wanted:
                return True
            if tally.upper_bound(LIKELY) < wanted:
                return False
        return tally.rate >= wanted

    def look(self, look: int, is_last: bool) -> Look:
        """The held-out test, for the ``look``-th time, from 1.

        Raises:
            BrokenPromiseError: if the member passes, and its answers hang on what comes after them.
        """
        if self.asked.by_stages and not self.test.paired:
            return self._look_by_stages(look, is_last)
        before = self.generators["test"].get_state()
        tally = self._evaluate("test", self.asked.test_sequences)
        confidence = self.asked.confidence(look)
        bound = tally.lower_bound(confidence)
        if bound < self.asked.success:
            return Look(tally, False, bound)
        self._require_nothing_ahead()
        if self.test.paired:
            return Look(tally, True, bound)
        compared = self._compare(look, before)
        again = Tally(compared.right, compared.sequences)
        held = again.lower_bound(confidence) >= self.asked.success
        return Look(tally, held and compared.beaten(confidence), bound, compared)

    def _look_by_stages(self, look: int, is_last: bool) -> Look:
        """A look that ends once it has passed, or would hardly pass any more.

        A member's last look is not given up, so that what it leaves is of all that was planned.
        """
        stages = self.asked.stages(look, self.test.distinct_sequences(self.lag))
        error, bound, tally = 1 - self.asked.confidence(look), 0.0, NOTHING
        established, compared = False, None
        shown = self.each_stage("test", stages.sizes, self.drawing_of(look))
        for stage, tally in enumerate(tallies(self.test, shown)):
            if not established and stages.passes(stage, tally.successes):
                established = True
                bound = stages.lower_bound(stage, tally.successes, error)
                self._require_nothing_ahead()
            if established:
                beaten, compared = self._beats_controls(look, stages, stage, error)
                if beaten:
                    return Look(tally, True, bound, compared)
            if not (established or is_last) and stages.is_hopeless(stage, tally.successes):
                return Look(tally)
        if not established:
            bound = stages.lower_bound(stage, tally.successes, error)
        return Look(tally, False, bound, compared)

    def _beats_controls(
        self, look: int, stages: Stages, stage: int, error: float
    ) -> tuple[bool, Compared]:
        """Whether the member beats each control on what the look has shown up to a stage.

        It is shown that once more, as in `_compare`, and has to pass again.
        """
        again = [0] * (stage + 1)

        def shown() -> Iterator[tuple[Batch, Bool[Tensor, " N"]]]:
            drawn = self.each_stage("test", stages.sizes, self.drawing_of(look), mixed=True)
            for place, batches in enumerate(islice(drawn, stage + 1)):
                for batch, each in batches:
                    right = each.all(1)
                    again[place] += int(right.sum())
                    yield batch, right

        generator = self.streams.generator("controls", self.lag, self.member.number, look, stage)
        compared = self.rivals(self.lag).compare(shown(), generator)
        held = any(stages.passes(*found) for found in enumerate(accumulate(again)))
        return held and compared.beaten(1 - error * stages.share(stage)), compared

    def _require_nothing_ahead(self) -> None:
        require_nothing_ahead(
            self.member.judged,
            self.test,
            self.lag,
            self.asked.test_sequences,
            self.streams.generator("probe", self.lag, self.member.number),
            self.device,
            self.member.memory_bytes,
        )

    def _compare(self, look: int, drawn_from: torch.Tensor) -> Compared:
        """The member and the task's controls on the sequences of the look that was just taken.

        They are shown to the member once more, in another order. They are drawn again from the
        state that the look's generator had before it.
        """
        number = self.member.number
        again = self.streams.generator("test", self.lag, number)
        again.set_state(drawn_from)
        shown = each_shown(
            self.member.judged,
            self.test,
            self.lag,
            self.asked.test_sequences,
            again,
            self.device,
            mixed=True,
            memory_bytes=self.member.memory_bytes,
        )
        successes = ((batch, right.all(1)) for batch, right in shown)
        generator = self.streams.generator("controls", self.lag, number, look)
        return self.rivals(self.lag).compare(successes, generator)

    def _evaluate(self, split: Split, sequences: int) -> Tally:
        return evaluate(
            self.member.judged,
            self.splits[split],
            self.lag,
            sequences,
            self.generators[split],
            self.device,
            self.member.memory_bytes,
        )

    def drawing_of(self, look: int) -> torch.Generator:
        """A stream of the look's own: what it draws hangs on nothing that others have shown."""
        return self.streams.generator("test", self.lag, self.member.number, look)

    def each_stage(
        self, split: Split, ends: Sequence[int], generator: torch.Generator, mixed: bool = False
    ) -> Iterator[Stage]:
        """What the member is shown stage by stage, each to be gone through before the next."""
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


@functools.cache
def rate_needed(sequences: int, success: float, look: int, error: float = 0.05) -> float:
    """The share of ``sequences`` that must be right at the ``look``-th look; 1 if none is enough.

    Kept, because it is asked for at every training step and takes as long as a small one.
    """
    needed = successes_needed(sequences, success, look_confidence(look, 1 - error))
    return 1.0 if needed is None else needed / sequences
