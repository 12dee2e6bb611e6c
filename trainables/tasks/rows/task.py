"""What tasks over the user's own rows share: read once, split by their sequences, drawn by lag."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Bool, Int8

from trainables.encoding.answers import Label
from trainables.encoding.encoding import Encoding
from trainables.encoding.identity import DataIdentity, fingerprint
from trainables.encoding.steps import NumberSteps, TokenSteps
from trainables.tasks.accounts.account import Account, AnswersRead
from trainables.tasks.accounts.accounting import lengths_of, numbers_of
from trainables.tasks.layouts.finding import names_of
from trainables.tasks.rows.buckets import local
from trainables.tasks.rows.config import RowsConfig
from trainables.tasks.rows.files import all_of, stamp
from trainables.tasks.rows.fitting import Fitted, refitted
from trainables.tasks.rows.reading import Rows, read_rows
from trainables.tasks.split.drawable_rows import DrawableRows
from trainables.tasks.split.partition import LEFT_OUT, parts_of, require_parts
from trainables.tasks.split.splitting import PARTS
from trainables.tasks.task import Split, Task


class RowsTask(Task):
    """A task over the rows of Parquet files; each part draws from rows of its own.

    Before `split`, the task draws from all rows; what is known of the numbers is learned
    from the training rows even so.

    Attributes:
        rows: all of them, of every part
        parts: the number in `PARTS` of each row's, or `LEFT_OUT`
        fitted: what the training rows determine: how numbers become inputs

    """

    Config: ClassVar[type[RowsConfig]]
    fitted: Fitted
    parts: Int8[np.ndarray, " R"]
    _at_every_lag: DrawableRows | None
    _of_file: Self | None = None
    """As its own file would have it, where it is under another's encoding."""

    def __init__(self, config: RowsConfig) -> None:
        super().__init__(config)
        self.rows = read_rows(config.path, config.all_columns, config.layout)
        such = self.usable()
        self.parts = parts_of(self.rows, config.partition)
        require_parts(self.rows.hashes, self.parts, such, config.partition)
        self._restrict(None)

    @abstractmethod
    def usable(self) -> str:
        """What the rows that can be shown are called in an error.

        Raises:
            ValueError: if the rows are none of this task's, or none of them can be shown.

        """

    @abstractmethod
    def shown_at(self, lag: int) -> Bool[np.ndarray, " R"] | None:
        """Which rows this part shows at ``lag``; None where they are the same at every one."""

    def __str__(self) -> str:
        return str(self.config.path)

    @property
    def used(self) -> Bool[np.ndarray, " R"]:
        """Which rows any part shows."""
        return self.parts != LEFT_OUT

    def of_part(self, part: Split) -> Bool[np.ndarray, " R"]:
        """Which rows ``part`` shows."""
        return self.parts == PARTS.index(part)

    def __reduce__(self) -> tuple[Any, ...]:
        """Read again where it is unpickled: the data may be too large to send."""
        encoding = None if self._of_file is None else self.encoding
        return _read_part, (type(self), self.config, self.part, encoding)

    def __copy__(self) -> Self:
        """Another over the same rows; reading again would fit again."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def distinct_sequences(self, lag: int) -> int:
        return self.drawable(lag).different

    def split(self, name: Split) -> Self:
        part = copy(self)
        part._restrict(name)
        return part

    def drawable(self, lag: int) -> DrawableRows:
        """The rows that this part shows at ``lag``, kept for the next time."""
        if lag not in self._drawable:
            chosen = self.shown_at(lag)
            if chosen is not None:
                self._drawable[lag] = self._ordered(self._of_part & chosen)
            else:
                self._at_every_lag = self._at_every_lag or self._ordered(self._of_part)
                self._drawable[lag] = self._at_every_lag
        return self._drawable[lag]

    @cached_property
    def data_fingerprint(self) -> str:
        """That of all rows of the file, whatever the part and the encoding."""
        if self._of_file is not None:
            return self._of_file.data_fingerprint
        return fingerprint([self.rows.hashes, *self.told_by_columns()], self.told_classes())

    @property
    def data(self) -> DataIdentity:
        if self._of_file is not None:
            return self._of_file.data
        rows, steps = self.rows, self.fitted.steps
        return DataIdentity(
            fingerprint=self.data_fingerprint,
            sequences=fingerprint([rows.hashes]),
            rows=len(rows),
            files=tuple(Path(name).name for name, _, _ in stamp(local(self.config.path))),
            columns=dict(self.config.columns),
            features=steps.features,
            classes=self.told_classes(),
            mean=steps.mean if isinstance(steps, NumberSteps) else (),
            deviation=steps.deviation if isinstance(steps, NumberSteps) else (),
            fields=rows.fields,
        )

    def left_out(self) -> Iterator[tuple[str, int]]:
        """Why rows are shown by no part, and how many."""
        return self.config.partition.left_out(self.rows)

    def told_by_columns(self) -> list[np.ndarray]:
        """What else than its sequence tells a row from another: columns (R,) of 64 bits."""
        is_told = self.config.group is not None or self.config.split is not None
        return [self.parts.astype(np.int64).view(np.uint64)] if is_told else []

    @cached_property
    def account(self) -> Account:
        rows, used, config = self.rows, self.used, self.config
        name = f"sequence: {config.sequence_name!r} of {rows.file.name}"
        sequence, missing, share, warnings = numbers_of(rows, used, self.fitted, name)
        answers, steps = self.answers_read(), self.fitted.steps
        found = all_of(local(config.path))
        return Account(
            source=rows.file.name,
            files=len(found.files),
            files_left_out=len(found.left_out),
            named_left_out=names_of(found.left_out),
            rows=len(rows),
            left_out=tuple(self.left_out()),
            parts=(
                int(self.of_part("train").sum()),
                int(self.of_part("selection").sum()),
                int(self.of_part("test").sum()),
            ),
            steps=lengths_of(rows, used),
            features=steps.features,
            values=config.values,
            symbols=len(steps.vocabulary) if isinstance(steps, TokenSteps) else 0,
            sequence=sequence,
            missing=missing,
            missing_share=share,
            answers=answers,
            different=len(np.unique(rows.hashes[used])),
            warnings=(
                *warnings,
                *_scattered(rows),
                *config.partition.shared(rows),
                *answers.warnings,
            ),
        )

    def answers_read(self) -> AnswersRead:
        """What is to be said of the rows' answers."""
        return AnswersRead()

    def told_classes(self) -> tuple[tuple[Label, int], ...]:
        """Each class's name and rows, if answers are classes of the file's."""
        return ()

    def under(self, encoding: Encoding) -> Self:
        """Raises ValueError, in one line, if these rows do not go with ``encoding``."""
        if encoding.task != self.config.kind or encoding.columns != dict(self.config.columns):
            raise ValueError(
                f"encoding: it is of {encoding.task} over {encoding.columns}, not of"
                f" {self.config.kind} over {dict(self.config.columns)}"
            )
        other = copy(self)
        other._of_file = self._of_file or self
        other.fitted = self._fitted_as(encoding)
        other.inputs = other.fitted.inputs
        other._restrict(self.part)
        return other

    def _fitted_as(self, encoding: Encoding) -> Fitted:
        steps, own = encoding.steps, self.fitted
        name = f"{self.config.sequence_name!r} of {self.rows.file}"
        if steps.features != self.rows.values.shape[1]:
            raise ValueError(
                f"sequence: {name} has {self.rows.values.shape[1]} features a step; the model"
                f" takes {steps.features}"
            )
        given, taken = self.rows.fields, encoding.fields
        if given and taken and given != taken:
            raise ValueError(
                f"sequence: {name} has steps of the fields {', '.join(map(repr, given))}; the model"
                f" takes {', '.join(map(repr, taken))}"
            )
        if not isinstance(steps, type(own.steps)):
            raise ValueError(
                f"values: {own.steps.kind} of {name}, but the model takes {steps.kind}"
            )
        if isinstance(steps, TokenSteps) and isinstance(own.steps, TokenSteps):
            known = set(steps.vocabulary)
            unknown = [symbol for symbol in own.steps.vocabulary if symbol not in known]
            if unknown:
                raise ValueError(
                    f"sequence: {name} has the symbol {unknown[0]!r}, which is not in the model's"
                    " vocabulary"
                )
        return own if steps == own.steps else refitted(self.rows, own, steps, self.of_part("train"))

    def example(self, last: int | None = None) -> tuple[Any, ...]:
        """The shortest row of the test part, as the file has it; of it the ``last`` steps.

        What is missing in it is filled.
        """
        test = np.flatnonzero(self.of_part("test"))
        shortest = test[np.lexsort((self.rows.hashes[test], self.rows.lengths[test]))[:1]]
        values, known = self.rows.whole(shortest), self.fitted.steps
        if isinstance(known, NumberSteps):
            values = known.filled(values)
        steps = values.tolist()[-(last or 0) :]
        return tuple(tuple(step) if len(step) > 1 else step[0] for step in steps)

    def _ordered(self, chosen: Bool[np.ndarray, " R"]) -> DrawableRows:
        return DrawableRows(np.flatnonzero(chosen), self.rows.hashes)

    def _restrict(self, part: Split | None) -> None:
        """Draw from the rows of ``part``."""
        self.part = part
        self._of_part = self.used if part is None else self.of_part(part)
        self._drawable: dict[int, DrawableRows] = {}
        self._at_every_lag = None


def _scattered(rows: Rows) -> Iterator[str]:
    """A line, if groups were put together of steps that do not follow one another."""
    if rows.scattered:
        yield (
            f"group_by: the steps of {rows.scattered:,} of {len(rows):,} groups lie in several"
            " places, with others' between them, as where files number their groups alike; each"
            " was read as one sequence, in the files' order; allowed: `order_by`, ids of their own"
        )


def _read_part(
    task: type[RowsTask], config: RowsConfig, part: Split | None, encoding: Encoding | None
) -> RowsTask:
    whole = task(config) if encoding is None else task(config).under(encoding)
    return whole if part is None else whole.split(part)
