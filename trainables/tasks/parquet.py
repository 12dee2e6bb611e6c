"""``parquet``: the user's own labelled sequences, told apart after a gap, or at their own lag.

x_1 .. x_n f_1 .. f_lag  ->  y, at the last step
f_1 .. x_1 .. x_n        ->  y, at the last step, if a column says how far back the evidence lies

Every row of a Parquet file, or of a folder of them, is a sequence x (a list, or a list of lists)
and its target y (a class or a number); f is filler.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Int
from pydantic import BeforeValidator, Field, model_validator

from trainables.encoding.answers import ClassAnswers, Label, NumberAnswers
from trainables.encoding.encoding import Encoding, Padding
from trainables.encoding.steps import FillerKind
from trainables.tasks.accounts.account import AnswersRead
from trainables.tasks.accounts.answers import Asked, answers_read
from trainables.tasks.rows.config import LATER, RowsConfig
from trainables.tasks.rows.fitting import fit
from trainables.tasks.rows.labels import AnswerKind, FractionError, labels, whole
from trainables.tasks.rows.reading import Rows
from trainables.tasks.rows.task import RowsTask
from trainables.tasks.split.partition import Partition
from trainables.tasks.task import Batch, ClassAnswer

NEARNESS = 2.0


def _one(given: Any) -> Any:
    if isinstance(given, list | tuple):
        raise ValueError(
            f"{list(given)} is not allowed: one column, not several; search each, or join them in"
            " a column of the classes' combinations"
        )
    return given


OneColumn = Annotated[str, BeforeValidator(_one)]


class Parquet(RowsTask):
    """One answer a sequence, at its last step.

    With a gap, T = n + lag, with n the longest row's steps: the last step of x lies exactly ``lag``
    steps before the answer. With a column of lags there is no gap: at ``lag``, rows are shown whose
    own lag is from ``lag`` up to, and not including, ``nearness * lag``; the training part shows
    those of shorter lags as well. T is the longest one's steps.

    Shorter rows begin with filler, so that all end at the same step.
    """

    class Config(RowsConfig):
        """Which columns of which file, and what fills the gap.

        Attributes:
            target: a column of integers, text or booleans (classes), or of numbers
            lag: a column of integers: how many steps before the row's last the evidence lies; null
                for a gap of filler after the row
            nearness: rows are tested at a lag if their own is less than this many times as long
            answer: null for a number if the target is a float, else a class
            tolerance: of a number, in its own units: right if off by less
            filler: ``noise``: uniform over the training values' range; ``blank``: their mean, or a
                symbol of its own; ``resample``: training values, drawn one by one
            longest: rows of more steps are left out; null for none
            pad: shorter rows are padded to the ``longest`` of all, or to that of their ``batch``

        """

        later: ClassVar[frozenset[str]] = LATER | {"longest", "pad"}

        kind: Literal["parquet"] = "parquet"
        target: OneColumn
        lag: str | None = None
        nearness: float = Field(default=NEARNESS, gt=1)
        answer: AnswerKind | None = None
        tolerance: float | None = Field(default=None, gt=0)
        filler: FillerKind = "noise"
        longest: Annotated[int, Field(ge=1)] | None = None
        pad: Literal["longest", "batch"] = "longest"

        @model_validator(mode="after")
        def _near_a_lag(self) -> Self:
            if self.lag is None and self.nearness != NEARNESS:
                raise ValueError(f"nearness: {self.nearness} is of a column of lags; give `lag`")
            return self

        @property
        def columns(self) -> dict[str, str]:
            named = {**super().columns, "target": self.target}
            return named if self.lag is None else {**named, "lag": self.lag}

        @property
        def partition(self) -> Partition:
            return replace(super().partition, longest=self.longest)

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        rows, train = self.rows, self.of_part("train")
        target = f"{config.target!r} of {config.path}"
        column = rows.columns["target"]
        self.labels = labels(column, target, config.answer, config.tolerance, train)
        self.fitted = fit(
            rows,
            config.values,
            config.filler,
            config.sequence_name,
            config.partition,
            config.scaling,
        )
        self.lags = None if config.lag is None else lags_of(rows, config.lag)
        self.padding = self._padding()
        self.answer, self.inputs = self.labels.answer, self.fitted.inputs

    @property
    def encoding(self) -> Encoding:
        answer = self.answer
        return Encoding(
            task=self.config.kind,
            columns=dict(self.config.columns),
            steps=self.fitted.steps,
            missing="filled" if self.config.missing else "refused",
            filler=self.fitted.travelling_filler,
            padding=self.padding if self.config.pad == "longest" else None,
            after_gap=self.lags is None,
            answer=ClassAnswers(names=self.labels.classes)
            if isinstance(answer, ClassAnswer)
            else NumberAnswers(
                scale=answer.scale, offset=answer.offset, tolerance=answer.tolerance
            ),
            example=self.example(),
        )

    def usable(self) -> str:
        longest = self.config.longest
        if longest is not None and not (self.rows.lengths <= longest).any():
            raise ValueError(
                f"longest: {longest} leaves nothing of {self.rows.file}: its shortest row has"
                f" {self.rows.lengths.min():,} steps"
            )
        return str(self.rows.file)

    def shown_at(self, lag: int) -> Bool[np.ndarray, " R"] | None:
        """With a gap, the same at every lag; training shows rows of shorter lags as well."""
        if self.lags is None:
            return None
        shortest = 1 if self.part == "train" else lag
        return near(self.lags, shortest, lag, self.config.nearness)

    def length(self, lag: int) -> int:
        return self._steps(lag) + (lag if self.lags is None else 0)

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        self._require(lag)
        return self.show(self.drawable(lag).any(batch_size, generator), lag, generator)

    def draw(
        self, lag: int, sequences: int, batch_size: int, generator: torch.Generator
    ) -> Iterator[Batch]:
        """Each sequence at most once, in random order; of equal ones, a row picked at random."""
        self._require(lag)
        picks = self.drawable(lag).each_once(sequences, generator)
        for first in range(0, len(picks), batch_size):
            yield self.show(picks[first : first + batch_size], lag, generator)

    def show(self, rows: Int[np.ndarray, " B"], lag: int, generator: torch.Generator) -> Batch:
        """The rows asked for, by their number in the file, with fresh filler."""
        length, steps = self.length(lag), self._steps(lag)
        if self.config.pad == "batch":
            shorter = steps - min(steps, int(self.rows.lengths[rows].max()))
            length, steps = length - shorter, steps - shorter
        inputs = self.fitted.fill(len(rows), length, generator)
        values, real = self.rows.aligned(rows, steps)
        there = torch.from_numpy(real)
        inputs[:, :steps][there] = self.fitted.encode(values)[there]
        targets = self.labels.targets[torch.from_numpy(rows)][:, None]
        return Batch(inputs, targets, torch.full((len(rows), 1), length - 1))

    def told_by_columns(self) -> list[np.ndarray]:
        targets = self.labels.targets.numpy()
        bits = targets.view(np.int32) if targets.dtype == np.float32 else targets
        lags = [] if self.lags is None else [self.lags]
        told = [column.astype(np.int64).view(np.uint64) for column in (bits, *lags)]
        return told + super().told_by_columns()

    def told_classes(self) -> tuple[tuple[Label, int], ...]:
        if not self.labels.classes:
            return ()
        counts = torch.bincount(self.labels.targets, minlength=len(self.labels.classes))
        return tuple(zip(self.labels.classes, counts.tolist(), strict=True))

    def answers_read(self) -> AnswersRead:
        return answers_read(
            Asked(self.rows, self.parts, self.fitted, self.labels),
            f"{self.config.target!r} of {self.rows.file.name}",
            f"sequence: {self.config.sequence_name!r} of {self.rows.file.name}",
            is_padded=self.lags is None and self.config.pad == "longest",
        )

    def under(self, encoding: Encoding) -> Self:
        if encoding == self.encoding:
            return self
        other = super().under(encoding)
        name = f"{self.config.target!r} of {self.rows.file}"
        other.labels = self.labels.named_as(encoding.answer, f"target: {name}")
        other.answer = other.labels.answer
        other.padding = encoding.padding or self.padding
        return other

    def _padding(self) -> Padding:
        """To which length rows are padded, at every lag."""
        longest = self._longest
        if self.lags is None:
            return Padding(steps=longest)
        lags, lengths = self.lags[self.used], self.rows.lengths[self.used]
        order = np.argsort(lags, kind="stable")
        so_far = np.maximum.accumulate(lengths[order])
        grows = np.flatnonzero(np.diff(so_far, prepend=0))
        pairs = zip(lags[order][grows].tolist(), so_far[grows].tolist(), strict=True)
        return Padding(steps=longest, by_lag=tuple(pairs), nearness=self.config.nearness)

    @property
    def _longest(self) -> int:
        """Steps of the longest row that is used."""
        return int(self.rows.lengths[self.used].max())

    def _steps(self, lag: int) -> int:
        """Steps of the longest row that any part shows at ``lag``, as training padded them."""
        if self.lags is None:
            return max(self.padding.steps, self._longest)
        near_it = near(self.lags, 1, lag, self.config.nearness)
        shown = self.rows.lengths[near_it & self.used]
        return max(self.padding.steps_at(lag), int(shown.max(initial=1)))


def lags_of(rows: Rows, name: str) -> Int[np.ndarray, " R"]:
    """The lag of each row, from the column that says it: from 1 to its steps less one.

    Raises:
        ValueError: if the column is not of integers, or a lag leads out of its row.

    """
    column = rows.columns["lag"]
    try:
        column = whole(column, f"lag: {name!r} of {rows.file}")
    except FractionError as error:
        raise ValueError(f"{error}; allowed: integers") from None
    if not pa.types.is_integer(column.type):
        raise ValueError(f"lag: {name!r} of {rows.file} holds {column.type}; allowed: integers")
    lags = column.to_numpy(zero_copy_only=False).astype(np.int64)
    beyond = (lags < 1) | (lags >= rows.lengths)
    if beyond.any():
        row = int(np.argmax(beyond))
        raise ValueError(
            f"lag: {name!r} of {rows.file} is {lags[row]} in row {row}, whose sequence has"
            f" {rows.lengths[row]} steps; allowed: at least 1 and less than the steps"
        )
    return lags


def near(
    lags: Int[np.ndarray, " R"], shortest: int, lag: int, nearness: float
) -> Bool[np.ndarray, " R"]:
    """Which rows' lags are at least ``shortest`` and less than ``nearness * lag``."""
    return (lags >= shortest) & (lags < nearness * lag)
