"""A target column as answers: one of several classes, or a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Bool
from torch import Tensor

from trainables.encoding.answers import (
    AnyAnswers,
    ClassAnswers,
    ColumnsAnswers,
    Label,
    NumberAnswers,
    typed,
)
from trainables.tasks.task import ClassAnswer, NumberAnswer

AnswerKind = Literal["class", "number"]

MANY = 100
"""So many classes are hardly meant."""

EXACT = 2**53
"""Beyond it, doubles no longer tell whole numbers apart."""


@dataclass(frozen=True)
class Labels:
    """The right answers of R rows.

    Attributes:
        targets: classes (R,), int64, or numbers (R,), float32, in the file's units
        answer: what is asked for, and when it is right
        classes: the file's value of each class, ascending; empty for numbers

    """

    targets: Tensor
    answer: ClassAnswer | NumberAnswer
    classes: tuple[Label, ...] = ()

    @property
    def encoded(self) -> ClassAnswers | NumberAnswers:
        """What is asked for, as it goes along with a model."""
        answer = self.answer
        if isinstance(answer, ClassAnswer):
            return ClassAnswers(names=self.classes)
        return NumberAnswers(scale=answer.scale, offset=answer.offset, tolerance=answer.tolerance)

    def counts_by_class(self) -> tuple[tuple[Label, int], ...]:
        """Each class's name and rows, or answers; none of numbers."""
        if not self.classes:
            return ()
        counts = torch.bincount(self.targets, minlength=len(self.classes))
        return tuple(zip(self.classes, counts.tolist(), strict=True))

    def named_as(self, answer: AnyAnswers, name: str) -> Labels:
        """The same rows' answers numbered and scaled as ``answer`` has them.

        Raises:
            ValueError: beginning with ``name``, if they are of another kind, a class is not known
                there, or one that is has no row.
        """
        if answer.kind != self.encoded.kind:
            raise ValueError(f"{name} is no {answer.kind}, which is what the model answers with")
        assert not isinstance(answer, ColumnsAnswers)
        if isinstance(answer, NumberAnswers):
            tolerance = answer.tolerance or 0.0
            return replace(self, answer=NumberAnswer(tolerance, answer.scale, answer.offset))
        known = [typed(value) for value in answer.names]
        own = [typed(value) for value in self.classes]
        new = [repr(value) for kind, value in own if (kind, value) not in known]
        gone = [repr(value) for kind, value in known if (kind, value) not in own]
        if new or gone:
            said = [f"has {', '.join(new)}, which the model does not know"] if new else []
            said += [f"has no row of {', '.join(gone)}"] if gone else []
            raise ValueError(
                f"{name} {' and '.join(said)}; its classes: {', '.join(map(repr, answer.names))}"
            )
        numbers = torch.tensor([known.index(value) for value in own])
        return Labels(numbers[self.targets], ClassAnswer(len(known)), answer.names)


def labels(
    column: pa.Array,
    name: str,
    answer: AnswerKind | None,
    tolerance: float | None,
    train: Bool[np.ndarray, " R"],
    of_row: Sequence[int] | np.ndarray | None = None,
) -> Labels:
    """The answers that a column without nulls asks for.

    Args:
        column: the targets of all rows
        name: the column and its file, for errors
        answer: None for what the column's type suggests: floats are numbers, all else classes
        tolerance: of a number, in its units; None for a class
        train: the rows that a number's scale is taken from
        of_row: of labels of which rows have several, the row of each, for errors

    Raises:
        ValueError: if the column's type, its values or the tolerance do not fit the answer.

    """
    kind = column.type
    is_float, is_whole = pa.types.is_floating(kind), pa.types.is_integer(kind)
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not (is_float or is_whole or is_text or pa.types.is_boolean(kind)):
        raise ValueError(
            f"target: {name} holds {kind}; allowed: integers, floats, text, booleans, or lists"
            " of them"
        )
    answer = answer or ("number" if is_float else "class")
    if answer == "class":
        try:
            return _classes(whole(column, name, of_row), name, tolerance)
        except FractionError as error:
            raise ValueError(f"answer: class, but {error}; allowed: number") from None
    if not (is_float or is_whole):
        raise ValueError(f"answer: number, but {name} holds {kind}; allowed: class")
    return _numbers(column, name, tolerance, train, of_row)


def _classes(column: pa.Array, name: str, tolerance: float | None) -> Labels:
    if tolerance is not None:
        raise ValueError(f"tolerance: {tolerance} is for numbers, but {name} is a class")
    values = pc.unique(column)
    values = values.take(pc.sort_indices(values))
    if len(values) < 2:
        raise ValueError(
            f"target: {name} is {values[0].as_py()!r} in every row; allowed: 2 or more classes"
        )
    classes = pc.index_in(column, value_set=values).to_numpy().astype(np.int64)
    return Labels(torch.from_numpy(classes), ClassAnswer(len(values)), tuple(values.to_pylist()))


def _numbers(
    column: pa.Array,
    name: str,
    tolerance: float | None,
    train: Bool[np.ndarray, " R"],
    of_row: Sequence[int] | np.ndarray | None,
) -> Labels:
    if tolerance is None:
        raise ValueError(
            f"tolerance: this key is required, because {name} is a number{_or_classes(column)}"
        )
    exact = column.to_numpy(zero_copy_only=False).astype(np.float64)
    with np.errstate(over="ignore"):
        numbers = exact.astype(np.float32)
    if not np.isfinite(numbers).all():
        place = int(np.argmin(np.isfinite(numbers)))
        row = place if of_row is None else of_row[place]
        raise ValueError(
            f"target: {name} has NaN, infinity or a number beyond float32 in row {row}"
        )
    resolved = float(np.spacing(np.abs(numbers).max()))
    if tolerance < resolved:
        raise ValueError(
            f"tolerance: {tolerance} is finer than float32 tells the numbers of {name} apart;"
            f" allowed: {resolved} or more"
        )
    seen = exact[train]
    deviation = float(seen.std()) if seen.min() < seen.max() else 0.0
    answer = NumberAnswer(tolerance, scale=deviation or 1.0, offset=float(seen.mean()))
    return Labels(torch.from_numpy(numbers), answer)


def _or_classes(column: pa.Array) -> str:
    """What to write, if there are few numbers and all are whole."""
    distinct = pc.unique(column)
    if len(distinct) >= MANY:
        return ""
    try:
        whole(distinct, "")
    except FractionError:
        return ""
    return f"; its values are {len(distinct)} whole numbers: if those are classes, `answer: class`"


class FractionError(ValueError):
    """A number that is not whole where only whole ones are allowed."""


def whole(
    column: pa.Array, name: str, of_row: Sequence[int] | np.ndarray | None = None
) -> pa.Array:
    """The column, without nulls, as 64-bit integers where it is of floats; others stay as they are.

    Raises:
        FractionError: beginning with ``name``, with the first row that is not whole; ``of_row``
            says which row a value is of, where there are several a row.
    """
    if not pa.types.is_floating(column.type):
        return column
    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    wrong = ~((np.floor(values) == values) & (np.abs(values) <= EXACT))
    if wrong.any():
        place = int(np.argmax(wrong))
        row = place if of_row is None else of_row[place]
        raise FractionError(
            f"{name} holds {column.type}, and {values[place]} in row {row} is no whole number"
        )
    return pa.array(values.astype(np.int64))
