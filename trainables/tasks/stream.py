"""``stream``: the next step of the user's own unlabelled sequences, with and without the old ones.

x_1 .. x_context x_{context+1} ..  ->  x_{context+1} x_{context+2} ..

Every row of a Parquet file, or of a folder of them, is a stream of symbols or numbers. At a lag,
each window is shown twice: as it is, and with all inputs that lie ``lag`` or more steps before the
first step predicted replaced by those of another stream. What the true ones are worth is what a
model predicts better with them. (Khandelwal et al. 2018, "Sharp nearby, fuzzy far away", shuffle
or drop the context of a trained model; here the model is trained on both.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Bool, Int
from pydantic import Field
from torch import Tensor

from trainables.encoding.answers import ClassAnswers, NumberAnswers
from trainables.encoding.encoding import Encoding
from trainables.encoding.steps import TokenSteps
from trainables.shapes import Predictions
from trainables.tasks.layouts.layout import Layout
from trainables.tasks.rows.config import LATER, RowsConfig
from trainables.tasks.rows.fitting import Fitted, fit
from trainables.tasks.rows.task import RowsTask
from trainables.tasks.split.partition import Partition
from trainables.tasks.task import Batch, ClassAnswer, NumberAnswer, shown

REDRAWS = 8
"""Of streams that are to be others; where few are there, one may stay: its pair then tells less."""


class Stream(RowsTask):
    """``answers`` predictions a window, at its last steps; T = context + answers - 1.

    The answer at step s is the input of step s + 1, and lags count from there: the input at step s
    lies 1 step back. A batch of B rows is B // 2 windows as they are, then the same with their old
    inputs replaced; of an odd B, one more as it is. A success is a window whose mean loss is lower
    as it is: chance is one half, and a model that does not use the old inputs never succeeds, as
    the two losses are equal.
    """

    paired = True

    class Config(RowsConfig):
        """Which column of which file, and how much of it is shown at once.

        Attributes:
            sequence: a column of lists of numbers; rows too short for a window are left out
            context: steps shown before the first one predicted; the longest lag there is
            answers: steps predicted a window
            cut: null; or rows longer than so many steps are cut into rows of so many

        """

        later: ClassVar[frozenset[str]] = LATER | {"cut"}

        kind: Literal["stream"] = "stream"
        context: int = Field(ge=2)
        answers: int = Field(default=8, ge=1)
        cut: int | None = Field(default=None, ge=1)

        @property
        def layout(self) -> Layout:
            return replace(super().layout, cut=self.cut or 0)

        @property
        def partition(self) -> Partition:
            return replace(super().partition, shortest=self.context + self.answers)

    def __init__(self, config: Config) -> None:
        self.steps = config.context + config.answers
        super().__init__(config)
        self.fitted = fit(
            self.rows,
            config.values,
            "noise",
            config.sequence_name,
            config.partition,
            config.scaling,
        )
        self.inputs, self.answer = self.fitted.inputs, _answer(self.fitted)

    @property
    def encoding(self) -> Encoding:
        """What is answered is the step after a row's last."""
        steps = self.fitted.steps
        return Encoding(
            task=self.config.kind,
            columns=dict(self.config.columns),
            steps=steps,
            missing="filled" if self.config.missing else "refused",
            answer=ClassAnswers(names=steps.vocabulary)
            if isinstance(steps, TokenSteps)
            else NumberAnswers(scale=steps.deviation[0], offset=steps.mean[0], tolerance=None),
            fields=self.rows.fields,
            example=self.example(self.config.context),
        )

    def under(self, encoding: Encoding) -> Self:
        other = super().under(encoding)
        other.answer = _answer(other.fitted)
        return other

    def usable(self) -> str:
        """Rows of numbers that are long enough for a window."""
        config, steps = self.config, self.steps
        name = f"{config.sequence_name!r} of {config.path}"
        if self.rows.values.shape[1] != 1:
            raise ValueError(f"sequence: {name} holds lists of lists; allowed: lists of numbers")
        if self.rows.longest < steps:
            raise ValueError(
                f"context: {config.context} and {config.answers} answers take {steps} steps,"
                f" but the longest row of {name} has {self.rows.longest}"
            )
        return f"{config.path}, of rows of {steps} steps,"

    def shown_at(self, lag: int) -> None:
        """The same rows at every lag."""

    def distinct_sequences(self, lag: int) -> int:
        """Streams, one window of each; none if there is no context as old as ``lag``."""
        return super().distinct_sequences(lag) if lag <= self.config.context else 0

    def length(self, lag: int) -> int:
        """The same at every lag; it raises ValueError if the context is shorter than ``lag``."""
        if lag > self.config.context:
            raise ValueError(
                f"lag: {lag} is not allowed; the longest of stream is its context,"
                f" {self.config.context}"
            )
        return self.steps - 1

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        self._require(lag)
        shown = self.drawable(lag).any(-(-batch_size // 2), generator)
        others = self._others(shown, lag, generator)
        return self.show(shown, others, lag, batch_size, generator)

    def draw(
        self, lag: int, sequences: int, batch_size: int, generator: torch.Generator
    ) -> Iterator[Batch]:
        """One window of each stream at most, twice, each giving its old inputs to one other."""
        self._require(lag)
        picks = self.drawable(lag).each_once(sequences, generator)
        others = np.roll(picks, 1)
        at_once = max(1, batch_size // 2)
        for first in range(0, len(picks), at_once):
            some = slice(first, first + at_once)
            rows = 2 * len(picks[some])
            yield self.show(picks[some], others[some], lag, rows, generator)

    def show(
        self,
        rows: Int[np.ndarray, " W"],
        others: Int[np.ndarray, " W"],
        lag: int,
        batch_size: int,
        generator: torch.Generator,
    ) -> Batch:
        """A window of each of ``rows``, then they again with old inputs of ``others``.

        Where a window begins in its stream is drawn; ``batch_size`` is twice the windows, or one
        less.
        """
        steps, context = self.length(lag), self.config.context
        windows, donors = self._windows(rows, generator), self._windows(others, generator)
        again = torch.cat((windows, windows))[:batch_size]
        inputs = shown(again[:, :steps].clone())
        replaced = donors[: batch_size - len(rows), : context - lag + 1]
        inputs[len(rows) :, : context - lag + 1] = replaced
        scored = torch.arange(context - 1, steps).repeat(batch_size, 1)
        return Batch(inputs, self._targets(again[:, context:]), scored)

    def judge(self, predictions: Predictions, batch: Batch) -> Bool[Tensor, " N"]:
        """Of each window shown twice, whether the loss was lower as it is."""
        losses = self.answer.losses(predictions, batch.targets)
        as_it_is, replaced = losses[: -(-len(losses) // 2)], losses[-(-len(losses) // 2) :]
        return as_it_is[: len(replaced)] < replaced

    def old(self, batch: Batch, lag: int) -> Bool[Tensor, "B T"]:
        """Counted from the step predicted, which is the one after the scored."""
        return super().old(batch, lag - 1)

    def _windows(self, rows: Int[np.ndarray, " W"], generator: torch.Generator) -> Tensor:
        room = self.rows.lengths[rows] - self.steps + 1
        unit = torch.rand(len(rows), generator=generator, dtype=torch.float64).numpy()
        return self.fitted.encode(
            self.rows.windows(rows, (unit * room).astype(np.int64), self.steps)
        )

    def _targets(self, following: Tensor) -> Tensor:
        """The inputs of the steps predicted as answers: classes, or numbers in their own units."""
        if isinstance(self.answer, ClassAnswer):
            return following
        return self.answer.value(following)

    def _others(
        self, rows: Int[np.ndarray, " W"], lag: int, generator: torch.Generator
    ) -> Int[np.ndarray, " W"]:
        """For each row another, drawn from all that hold another sequence where there is one."""
        drawable, hashes = self.drawable(lag), self.rows.hashes
        others = drawable.any(len(rows), generator)
        for _ in range(REDRAWS):
            same = hashes[others] == hashes[rows]
            others[same] = drawable.any(int(same.sum()), generator)
        return others


def _answer(fitted: Fitted) -> ClassAnswer | NumberAnswer:
    steps = fitted.steps
    if isinstance(steps, TokenSteps):
        return ClassAnswer(len(steps.vocabulary))
    # right or wrong is not asked of a stream: any tolerance would do
    return NumberAnswer(math.inf, scale=steps.deviation[0], offset=steps.mean[0])
