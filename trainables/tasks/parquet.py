"""``parquet``: the user's own labelled sequences, told apart after a gap, or at their own lag.

x_1 .. x_n f_1 .. f_lag  ->  y, at the last step
f_1 .. x_1 .. x_n        ->  y, at the last step, if a column says how far back the evidence lies

Every row of a Parquet file, or of a folder of them, is a sequence x (a list, or a list of lists)
and its target y (a class or a number); f is filler.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Bool, Int
from pydantic import Field
from torch import Tensor

from trainables.encoding.answers import Label
from trainables.encoding.encoding import Encoding, Padding
from trainables.encoding.plain import is_list
from trainables.encoding.steps import FillerKind
from trainables.tasks.accounts.account import AnswersRead
from trainables.tasks.accounts.answers import Answered, answers_read
from trainables.tasks.answer import not_asked
from trainables.tasks.asked.columns import ColumnLabels, labels_of_columns, target_keys
from trainables.tasks.asked.config import AnswersConfig
from trainables.tasks.asked.lags import lags_of
from trainables.tasks.asked.lists import Asked, of_lists, one_a_column, one_a_row
from trainables.tasks.asked.places import NO_ANSWER, last_alone, near
from trainables.tasks.rows.fitting import fit
from trainables.tasks.rows.labels import Labels, labels
from trainables.tasks.rows.task import RowsTask
from trainables.tasks.split.partition import LEFT_OUT, Partition
from trainables.tasks.task import Batch, shown


class Parquet(RowsTask):
    """One answer a sequence, at its last step; or several.

    With a gap, T = n + lag, with n the longest row's steps: the last step of x lies exactly ``lag``
    steps before the answer. Of several asked after it, the others follow, a step each.

    With a column of lags there is no gap: at ``lag``, rows are shown whose own lag is from ``lag``
    up to, and not including, ``nearness * lag``; the training part shows those of shorter lags as
    well. T is the longest one's steps. Of several answers within a row, each with a lag of its own,
    those are asked. Without a column, answers within a row have its steps as their lag, which then
    names a length.

    Shorter rows begin with filler, so that all end at the same step.
    """

    class Config(AnswersConfig):
        """Which columns of which file, and what fills the gap.

        Attributes:
            filler: ``noise``: uniform over the training values' range; ``blank``: their mean, or a
                symbol of its own; ``resample``: training values, drawn one by one
            longest: rows of more steps are left out; null for none
            pad: shorter rows are padded to the ``longest`` of all, or to that of their ``batch``

        """

        later: ClassVar[frozenset[str]] = AnswersConfig.later | {"longest", "pad"}

        kind: Literal["parquet"] = "parquet"
        filler: FillerKind = "noise"
        longest: Annotated[int, Field(ge=1)] | None = None
        pad: Literal["longest", "batch"] = "longest"

        @property
        def partition(self) -> Partition:
            return replace(super().partition, longest=self.longest)

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        rows, target = self.rows, f"{config.target_name} of {config.path}"
        self.asked = asked = self._asked(target)
        self.has_answer = asked.places.counts > 0
        if not self.has_answer.all():
            self.parts = np.where(self.has_answer, self.parts, LEFT_OUT).astype(np.int8)
            self._restrict(None)
        self.labels = self._labels(target)
        self.fitted = fit(
            rows,
            config.values,
            config.filler,
            config.sequence_name,
            config.partition,
            config.scaling,
        )
        self.has_gap = asked.places.lags is None
        self.promises_lag = self.has_gap or config.lag is not None
        self.padding = self._padding()
        self.answer, self.inputs = self.labels.answer, self.fitted.inputs

    def _asked(self, target: str) -> Asked:
        """Which answers are asked for, where, and how far back each needs inputs."""
        config, rows = self.config, self.rows
        column = rows.columns["target"]
        if not isinstance(config.target, str):
            return one_a_column(column, len(config.target))
        if not is_list(column.type):
            for key in ("asked", "mask", "ignore"):
                if getattr(config, key) is not None:
                    raise ValueError(
                        f"{key}: {getattr(config, key)!r} is for lists of labels; target: {target}"
                        f" holds {column.type}"
                    )
            asked = one_a_row(column)
        else:
            where: Literal["within", "after"] = config.asked or "within"
            asked = of_lists(rows, target, where, config.mask, config.ignore)
        places = asked.places
        if config.lag is not None:
            lags = lags_of(rows, places, config.lag, asked.chosen)
        elif asked.is_within:
            lags = rows.lengths[places.of_row]
        else:
            return asked
        return replace(asked, places=replace(places, lags=lags))

    def _labels(self, target: str) -> Labels | ColumnLabels:
        config, asked, train = self.config, self.asked, self.of_part("train")
        how = config.answer, config.tolerance
        if not isinstance(config.target, str):
            keys = target_keys(config.target)
            columns = {name: self.rows.columns[key] for key, name in keys.items()}
            return labels_of_columns(columns, str(config.path), *how, train)
        of_row = asked.places.of_row
        return labels(
            asked.labels, target, *how, train[of_row], None if asked.chosen is None else of_row
        )

    @property
    def lags(self) -> Int[np.ndarray, " N"] | None:
        """Of each answer; None where a gap says it."""
        return self.asked.places.lags

    @property
    def shortest_lag(self) -> int:
        """With a gap, none of it: the answer at the row's own last step."""
        return 0 if self.has_gap else 1

    @property
    def encoding(self) -> Encoding:
        return Encoding(
            task=self.config.kind,
            columns=dict(self.config.columns),
            steps=self.fitted.steps,
            missing="filled" if self.config.missing else "refused",
            filler=self.fitted.travelling_filler,
            padding=self.padding if self.config.pad == "longest" else None,
            after_gap=self.lags is None,
            each_step=self.asked.is_within,
            answers=1 + self.asked.gap,
            answer=self.labels.encoded,
            fields=self.rows.fields,
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
        return self.asked.places.rows_near(self._shortest(lag), lag, self.config.nearness)

    def _shortest(self, lag: int) -> int:
        """The shortest lag of the answers that this part asks for at ``lag``."""
        return 1 if self.part == "train" else lag

    def length(self, lag: int) -> int:
        return self._steps(lag) + (lag + self.asked.gap if self.lags is None else 0)

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
        targets, back = self._answers(rows, lag)
        return Batch(shown(inputs), targets, length - 1 - back)

    def _answers(self, rows: Int[np.ndarray, " B"], lag: int) -> tuple[Tensor, Int[Tensor, "B S"]]:
        """What is right, and how many steps before the last; first come those that are none.

        Those are said to be asked where the first is that is one.
        """
        places = self.asked.places
        numbers = places.of(rows)
        if places.lags is not None:
            own = near(places.lags[numbers], self._shortest(lag), lag, self.config.nearness)
            numbers = last_alone(numbers, (numbers != NO_ANSWER) & own)
        is_none = numbers == NO_ANSWER
        first = np.take_along_axis(numbers, (~is_none).argmax(1)[:, None], axis=1)
        back = places.back[np.where(is_none, first, numbers)]
        targets = self.labels.targets[torch.from_numpy(numbers)]
        if is_none.any():
            targets = not_asked(targets, torch.from_numpy(is_none))
        return targets, torch.from_numpy(back)

    def left_out(self) -> Iterator[tuple[str, int]]:
        yield from super().left_out()
        silent = int((~self.has_answer & self.config.partition.usable(self.rows)).sum())
        if silent:
            yield "nothing is asked of them", silent

    def told_by_columns(self) -> list[np.ndarray]:
        targets = self.labels.targets.numpy()
        bits = targets.view(np.int32) if targets.dtype == np.float32 else targets
        told = [bits.astype(np.int64)]
        if self.lags is not None and self.config.lag is not None:
            told.append(self.lags)
        if self.asked.is_several:
            told = [self.asked.places.digests([*told, self.asked.places.back])]
        return [column.view(np.uint64) for column in told] + super().told_by_columns()

    def told_classes(self) -> tuple[tuple[Label, int], ...]:
        return self.labels.counts_by_class()

    def answers_read(self) -> AnswersRead:
        return answers_read(
            Answered(self.rows, self.parts, self.fitted, self.labels, self.asked.places),
            self.config.target_name,
            self.rows.file.name,
            f"sequence: {self.config.sequence_name!r} of {self.rows.file.name}",
            is_padded=self.lags is None and self.config.pad == "longest",
        )

    def under(self, encoding: Encoding) -> Self:
        own = self.encoding
        if encoding == own:
            return self
        other = super().under(encoding)
        name = f"{self.config.target_name} of {self.rows.file}"
        if (own.answers, own.each_step) != (encoding.answers, encoding.each_step):
            raise ValueError(
                f"target: {name} asks for {own.asks_for}; the model gives {encoding.asks_for}"
            )
        other.labels = self.labels.named_as(encoding.answer, f"target: {name}")
        other.answer = other.labels.answer
        other.padding = encoding.padding or self.padding
        return other

    def _padding(self) -> Padding:
        """To which length rows are padded, at every lag."""
        longest = self._longest
        if self.lags is None:
            return Padding(steps=longest)
        of_row = self.asked.places.of_row
        shown = self.used[of_row]
        lags, lengths = self.lags[shown], self.rows.lengths[of_row][shown]
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
        near_it = self.asked.places.rows_near(1, lag, self.config.nearness)
        shown = self.rows.lengths[near_it & self.used]
        return max(self.padding.steps_at(lag), int(shown.max(initial=1)))
