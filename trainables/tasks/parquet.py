"""``parquet``: the user's own labelled sequences, told apart after a gap, or at their own lag.

x_1 .. x_n f_1 .. f_lag  ->  y, at the last step
f_1 .. x_1 .. x_n        ->  y, at the last step, if a column says how far back the evidence lies

Every row of a Parquet file, or of a folder of them, is a sequence x (a list, or a list of lists)
and its target y (a class or a number); f is filler.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any, Literal, Self

import numpy as np
import torch
from jaxtyping import Int
from pydantic import Field, model_validator

from trainables.tasks.rows.buckets import DataPath
from trainables.tasks.rows.drawable_rows import Shown
from trainables.tasks.rows.encoding import FillerKind, ValueKind, encoding_of
from trainables.tasks.rows.labels import AnswerKind, labels
from trainables.tasks.rows.lags import lags_of, near
from trainables.tasks.rows.reading import read_rows
from trainables.tasks.rows.splitting import in_part, require_parts
from trainables.tasks.task import Batch, Split, Task, TaskConfig

NEARNESS = 2.0


class Parquet(Task):
    """One answer a sequence, at its last step.

    With a gap, T = n + lag, with n the longest row's steps: the last step of x lies exactly ``lag``
    steps before the answer. With a column of lags there is no gap: at ``lag``, rows are shown whose
    own lag is from ``lag`` up to, and not including, ``nearness * lag``; the training part shows
    those of shorter lags as well. T is the longest one's steps.

    Shorter rows begin with filler, so that all end at the same step. Before `split`, the task draws
    from all rows; the range, mean and deviation of the numbers are those of the training rows even
    so.
    """

    class Config(TaskConfig):
        """Which columns of which file, and what fills the gap.

        Attributes:
            path: a Parquet file, or a folder of them, here or in a bucket
            sequence: a column of lists of numbers, or of lists of as many numbers each
            target: a column of integers, text or booleans (classes), or of numbers
            lag: a column of integers: how many steps before the row's last the evidence lies; null
                for a gap of filler after the row
            nearness: rows are tested at a lag if their own is less than this many times as long
            answer: null for a number if the target is a float, else a class
            tolerance: of a number, in its own units: right if off by less
            filler: ``noise``: uniform over the training values' range; ``blank``: their mean, or a
                symbol of its own; ``resample``: training values, drawn one by one
            values: ``numbers``, which are standardised, or ``tokens``: integers that are symbols

        """

        kind: Literal["parquet"] = "parquet"
        path: DataPath
        sequence: str
        target: str
        lag: str | None = None
        nearness: float = Field(default=NEARNESS, gt=1)
        answer: AnswerKind | None = None
        tolerance: float | None = Field(default=None, gt=0)
        filler: FillerKind = "noise"
        values: ValueKind = "numbers"

        @model_validator(mode="after")
        def _near_a_lag(self) -> Self:
            if self.lag is None and self.nearness != NEARNESS:
                raise ValueError(f"nearness: {self.nearness} is of a column of lags; give `lag`")
            return self

        @property
        def identity(self) -> dict[str, Any]:
            return self.model_dump(mode="json", exclude={"path"})

        @property
        def columns(self) -> dict[str, str]:
            """The columns to read, by key."""
            named = {"sequence": self.sequence, "target": self.target}
            return named if self.lag is None else {**named, "lag": self.lag}

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        rows = read_rows(config.path, config.columns)
        require_parts(rows.hashes, f"path: {rows.file}")
        train = in_part(rows.hashes, "train")
        target = f"{config.target!r} of {config.path}"
        column = rows.columns["target"]
        self.labels = labels(column, target, config.answer, config.tolerance, train)
        self.encoding = encoding_of(rows, config.values, config.filler, config.sequence)
        self.lags = None if config.lag is None else lags_of(rows, config.lag)
        self.rows, self.answer, self.inputs = rows, self.labels.answer, self.encoding.inputs
        self._restrict(None)

    def __str__(self) -> str:
        return str(self.config.path)

    def __reduce__(self) -> tuple[Any, ...]:
        """Read again where it is unpickled: the data may be too large to send."""
        return _read_part, (type(self), self.config, self._part)

    def distinct_sequences(self, lag: int) -> int:
        return self._shown(lag).different

    def length(self, lag: int) -> int:
        return self._steps(lag) + (lag if self.lags is None else 0)

    def split(self, name: Split) -> Self:
        part = copy(self)
        part._restrict(name)
        return part

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        self._require(lag)
        return self.show(self._shown(lag).any(batch_size, generator), lag, generator)

    def draw(
        self, lag: int, sequences: int, batch_size: int, generator: torch.Generator
    ) -> Iterator[Batch]:
        """Each sequence at most once, in random order; of equal ones, a row picked at random."""
        self._require(lag)
        picks = self._shown(lag).each_once(sequences, generator)
        for first in range(0, len(picks), batch_size):
            yield self.show(picks[first : first + batch_size], lag, generator)

    def show(self, rows: Int[np.ndarray, " B"], lag: int, generator: torch.Generator) -> Batch:
        """The rows asked for, by their number in the file, with fresh filler."""
        length, steps = self.length(lag), self._steps(lag)
        inputs = self.encoding.fill(len(rows), length, generator)
        values, real = self.rows.aligned(rows, steps)
        there = torch.from_numpy(real)
        inputs[:, :steps][there] = self.encoding.encode(values)[there]
        targets = self.labels.targets[torch.from_numpy(rows)][:, None]
        return Batch(inputs, targets, torch.full((len(rows), 1), length - 1))

    def _steps(self, lag: int) -> int:
        """Steps of the longest row that any part shows at ``lag``."""
        if self.lags is None:
            return self.rows.longest
        return int(self.rows.lengths[near(self.lags, 1, lag, self.config.nearness)].max(initial=1))

    def _restrict(self, part: Split | None) -> None:
        """Draw from the rows of ``part``."""
        self._part = part
        everything = np.ones(len(self.rows), dtype=bool)
        self._mask = everything if part is None else in_part(self.rows.hashes, part)
        self._by_lag: dict[int, Shown] = {}

    def _shown(self, lag: int) -> Shown:
        """The rows that this part shows at ``lag``; with a gap, the same at every one."""
        key = 0 if self.lags is None else lag
        if key not in self._by_lag:
            chosen = self._mask
            if self.lags is not None:
                shortest = 1 if self._part == "train" else lag
                chosen = chosen & near(self.lags, shortest, lag, self.config.nearness)
            self._by_lag[key] = Shown(np.flatnonzero(chosen), self.rows.hashes)
        return self._by_lag[key]


def _read_part(task: type[Parquet], config: Parquet.Config, part: Split | None) -> Parquet:
    whole = task(config)
    return whole if part is None else whole.split(part)
