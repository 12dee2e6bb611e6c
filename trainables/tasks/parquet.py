"""``parquet``: the user's own labelled sequences, told apart after a gap.

x_1 .. x_n f_1 .. f_lag  ->  y, at the last step

Every row of a Parquet file is a sequence x (a list, or a list of lists) and its target y (a class
or a number); f is filler.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from jaxtyping import Int
from pydantic import Field

from trainables.tasks.rows.encoding import VALUES, FillerKind
from trainables.tasks.rows.labels import AnswerKind, labels
from trainables.tasks.rows.reading import Rows, read_rows
from trainables.tasks.rows.splitting import PARTS, in_part
from trainables.tasks.task import Batch, Split, Task, TaskConfig


class Parquet(Task):
    """One answer a sequence; T = n + lag, with n the longest row's steps.

    The last step of x lies exactly ``lag`` steps before the answer. Shorter rows begin with filler,
    so that all end at the same step. Before `split`, the task draws from all rows; the range, mean
    and deviation of the numbers are those of the training rows even so.
    """

    class Config(TaskConfig):
        """Which columns of which file, and what fills the gap.

        Attributes:
            path: a Parquet file
            sequence: a column of lists of numbers, or of lists of as many numbers each
            target: a column of integers, text or booleans (classes), or of numbers
            answer: null for a number if the target is a float, else a class
            tolerance: of a number, in its own units: right if off by less
            filler: ``noise``: uniform over the training values' range; ``blank``: their mean, or a
                symbol of its own; ``resample``: training values, drawn one by one
            values: ``numbers``, which are standardised, or ``tokens``: integers that are symbols

        """

        kind: Literal["parquet"] = "parquet"
        path: Path
        sequence: str
        target: str
        answer: AnswerKind | None = None
        tolerance: float | None = Field(default=None, gt=0)
        filler: FillerKind = "noise"
        values: Literal["numbers", "tokens"] = "numbers"

        @property
        def identity(self) -> dict[str, Any]:
            return self.model_dump(mode="json", exclude={"path"})

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        rows = read_rows(config.path, config.sequence, config.target)
        _require_parts(rows)
        _require_values(rows, config)
        train = in_part(rows.hashes, "train")
        target = f"{config.target!r} of {config.path}"
        self.labels = labels(rows.targets, target, config.answer, config.tolerance, train)
        self.encoding = VALUES[config.values](rows, train, config.filler)
        self.rows, self.answer, self.inputs = rows, self.labels.answer, self.encoding.inputs
        self._by_hash = np.argsort(rows.hashes, kind="stable")
        self._restrict(None)

    def __str__(self) -> str:
        return str(self.config.path)

    def __reduce__(self) -> tuple[Any, ...]:
        """Read again where it is unpickled: the data may be too large to send."""
        return _read_part, (type(self), self.config, self._part)

    @property
    def distinct_sequences(self) -> int:
        """Different sequences: one that is repeated tells no more than once."""
        return len(self._firsts)

    def length(self, lag: int) -> int:
        return self.rows.longest + lag

    def split(self, name: Split) -> Self:
        part = copy(self)
        part._restrict(name)
        return part

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        self._require(lag)
        picks = torch.randint(len(self._order), (batch_size,), generator=generator)
        return self.show(self._order[picks.numpy()], lag, generator)

    def draw(
        self, lag: int, sequences: int, batch_size: int, generator: torch.Generator
    ) -> Iterator[Batch]:
        """Each sequence at most once, in random order; of equal ones, a row picked at random."""
        self._require(lag)
        chosen = torch.randperm(len(self._firsts), generator=generator)[:sequences].numpy()
        unit = torch.rand(len(chosen), generator=generator, dtype=torch.float64).numpy()
        picks = self._firsts[chosen] + (unit * self._repeats[chosen]).astype(np.int64)
        for first in range(0, len(picks), batch_size):
            yield self.show(self._order[picks[first : first + batch_size]], lag, generator)

    def show(self, rows: Int[np.ndarray, " B"], lag: int, generator: torch.Generator) -> Batch:
        """The rows asked for, by their number in the file, with fresh filler."""
        inputs = self.encoding.fill(len(rows), self.length(lag), generator)
        values, real = self.rows.aligned(rows)
        there = torch.from_numpy(real)
        inputs[:, : self.rows.longest][there] = self.encoding.encode(values)[there]
        targets = self.labels.targets[torch.from_numpy(rows)][:, None]
        scored = torch.full((len(rows), 1), self.length(lag) - 1)
        return Batch(inputs, targets, scored)

    def _restrict(self, part: Split | None) -> None:
        """Draw from the rows of ``part``, in the order of their hashes: the file's is no matter."""
        self._part = part
        hashes = self.rows.hashes[self._by_hash]
        chosen = np.ones(len(hashes), dtype=bool) if part is None else in_part(hashes, part)
        self._order = self._by_hash[chosen]
        _, self._firsts, self._repeats = np.unique(
            hashes[chosen], return_index=True, return_counts=True
        )


def _require_parts(rows: Rows) -> None:
    for part in PARTS:
        if not in_part(rows.hashes, part).any():
            different = len(np.unique(rows.hashes))
            raise ValueError(
                f"path: {rows.file} has too few different sequences ({different}): none falls to"
                f" the {part} part"
            )


def _require_values(rows: Rows, config: Parquet.Config) -> None:
    is_symbols = rows.values.dtype.kind in "iu" and rows.values.shape[1] == 1
    if config.values == "tokens" and not is_symbols:
        raise ValueError(
            f"values: tokens, but {config.sequence!r} of {rows.file} is no list of integers;"
            " allowed: numbers"
        )


def _read_part(task: type[Parquet], config: Parquet.Config, part: Split | None) -> Parquet:
    whole = task(config)
    return whole if part is None else whole.split(part)
