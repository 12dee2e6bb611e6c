"""What a model's output says: one of several classes by the file's name for it, or a number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from trainables.parts import Config

Label = StrictBool | StrictInt | StrictFloat | StrictStr


def typed(name: Label) -> tuple[str, Label]:
    """A class's name with its type: True is not 1."""
    return type(name).__name__, name


def named_alike(symbols: Sequence[Label], classes: Sequence[Label]) -> tuple[int, ...]:
    """The number of the symbol that has the name of each class; empty unless every class is one."""
    numbers = {typed(name): number for number, name in enumerate(symbols)}
    if not all(typed(name) in numbers for name in classes):
        return ()
    return tuple(numbers[typed(name)] for name in classes)


class ClassAnswers(Config):
    """One of several classes.

    Attributes:
        names: of classes 0, 1, .., as the file has them and in its type
    """

    kind: Literal["class"] = "class"
    names: tuple[Label, ...] = Field(min_length=1)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names for columns of a table of probabilities; an answer of the same text is its."""
        return tuple(str(name) for name in self.names)

    def shares(self, logits: np.ndarray) -> np.ndarray:
        """The classes' probabilities, of logits (..., C)."""
        return torch.from_numpy(logits).softmax(-1).numpy()

    def decode(self, logits: np.ndarray) -> np.ndarray:
        """The likeliest class's name, for each of the logits (..., C): an array of (...)."""
        return self._named[logits.argmax(-1)]

    @cached_property
    def _named(self) -> np.ndarray:
        """The names; NumPy would hold integers on both sides of 2^63 as doubles, some as one."""
        kinds = {type(name) for name in self.names}
        if kinds in ({bool}, {int}, {float}):
            found = np.array(self.names)
            if kinds != {int} or found.dtype.kind != "f":
                return found
            if min(self.names) >= 0 and max(self.names) < 2**64:  # type: ignore[operator]  # all are integers
                return np.array(self.names, np.uint64)
        named = np.empty(len(self.names), dtype=object)
        named[:] = self.names
        return named


class ColumnsAnswers(Config):
    """One of several classes in each of S columns, each with classes of its own.

    Attributes:
        columns: of the file, in the order in which they are answered
        names: of each column's classes 0, 1, .., as the file has them and in its type; a column of
            fewer classes than another has none of the last logits
    """

    kind: Literal["columns"] = "columns"
    columns: tuple[str, ...] = Field(min_length=1)
    names: tuple[tuple[Label, ...], ...]

    @model_validator(mode="after")
    def _of_as_many(self) -> Self:
        if len(self.columns) != len(self.names) or not all(self.names):
            raise ValueError("names: each of the columns has classes of its own")
        return self

    @property
    def parts(self) -> tuple[ClassAnswers, ...]:
        """Each column's."""
        return tuple(ClassAnswers(names=names) for names in self.names)

    @property
    def counts(self) -> tuple[int, ...]:
        """Classes of each column."""
        return tuple(len(names) for names in self.names)

    def shares(self, logits: np.ndarray) -> np.ndarray:
        """The classes' probabilities, of logits (..., S, C); 0 where a column has no such class."""
        none = np.arange(logits.shape[-1]) >= np.array(self.counts)[:, None]
        return torch.from_numpy(np.where(none, -np.inf, logits)).softmax(-1).numpy()

    def decode(self, logits: np.ndarray) -> np.ndarray:
        """The likeliest class of each column, for logits (..., S, C): an array of (..., S)."""
        of_columns = [
            part.decode(logits[..., place, : len(part.names)])
            for place, part in enumerate(self.parts)
        ]
        if len({column.dtype for column in of_columns}) > 1:
            of_columns = [column.astype(object) for column in of_columns]
        return np.stack(of_columns, axis=-1)


class NumberAnswers(Config):
    """A number, offset + scale * output, in the file's units.

    Attributes:
        tolerance: an answer is right if off by less; None where right or wrong is not asked
    """

    kind: Literal["number"] = "number"
    scale: float
    offset: float
    tolerance: float | None

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """The numbers (...) of outputs (..., 1), computed as in training."""
        return (self.offset + self.scale * outputs[..., 0]).astype(np.float64)


AnyAnswers = Annotated[ClassAnswers | ColumnsAnswers | NumberAnswers, Field(discriminator="kind")]
