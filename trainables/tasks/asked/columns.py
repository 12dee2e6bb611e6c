"""Several columns of labels: an answer of each, with classes of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool
from torch import Tensor

from trainables.encoding.answers import AnyAnswers, ColumnsAnswers, Label
from trainables.tasks.rows.labels import AnswerKind, Labels, labels
from trainables.tasks.task import ClassAnswer

TARGET = "target"


def target_keys(names: str | Sequence[str]) -> dict[str, str]:
    """Keys for one column of labels or several: ``target``, ``target 2``, .."""
    first, *others = (names,) if isinstance(names, str) else names
    return {TARGET: first, **{f"{TARGET} {n}": name for n, name in enumerate(others, 2)}}


@dataclass(frozen=True, eq=False)
class ColumnLabels:
    """The right answers of R rows in each of several columns.

    Attributes:
        columns: by name, in the order in which they are asked
    """

    columns: Mapping[str, Labels]

    @cached_property
    def targets(self) -> Tensor:
        """Of all rows, one row's after the other's, by number among its column's classes."""
        return torch.stack([part.targets for part in self.columns.values()], dim=1).flatten()

    @property
    def answer(self) -> ClassAnswer:
        """What is asked for: of each column as many classes as it has."""
        counts = [part.answer.outputs for part in self.columns.values()]
        return ClassAnswer(max(counts), of_places=tuple(counts))

    @property
    def encoded(self) -> ColumnsAnswers:
        """The same as it goes along with a model."""
        parts = {name: part.classes for name, part in self.columns.items()}
        return ColumnsAnswers(columns=tuple(parts), names=tuple(parts.values()))

    def counts_by_class(self) -> tuple[tuple[Label, int], ...]:
        """Each class with its column, and its rows."""
        return tuple(
            (f"{name}: {label!r}", rows)
            for name, part in self.columns.items()
            for label, rows in part.counts_by_class()
        )

    def named_as(self, answer: AnyAnswers, name: str) -> ColumnLabels:
        """As that of `Labels`, column by column.

        Raises:
            ValueError: beginning with ``name``, as there, or if they are other columns'.
        """
        if not isinstance(answer, ColumnsAnswers) or answer.columns != tuple(self.columns):
            raise ValueError(f"{name} are several columns, of which the model answers others")
        parts = zip(self.columns.items(), answer.parts, strict=True)
        return replace(
            self,
            columns={own: part.named_as(of, f"target: {own!r}") for (own, part), of in parts},
        )


def labels_of_columns(
    columns: Mapping[str, pa.Array],
    file: str,
    answer: AnswerKind | None,
    tolerance: float | None,
    train: Bool[np.ndarray, " R"],
) -> ColumnLabels:
    """The classes that several columns ask for, by their names.

    Raises:
        ValueError: as `labels`, or if one of them holds lists or numbers.

    """
    found = {}
    for name, column in columns.items():
        where = f"{name!r} of {file}"
        if answer == "number" or (answer is None and pa.types.is_floating(column.type)):
            raise ValueError(
                f"target: {where} is a number, {column.type}; of several columns, allowed:"
                " integers, text, booleans, or `answer: class` of whole numbers"
            )
        found[name] = labels(column, where, answer, tolerance, train)
    return ColumnLabels(found)
