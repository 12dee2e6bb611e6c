"""Which data something was measured on: told by its rows, not by where they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from trainables.encoding.answers import Label, typed
from trainables.parts import Config

UNITS = 0.25
"""Means further apart than this many deviations, or deviations by this factor, are other units."""

BESIDE = ("lag", "mask")
"""Keys of columns that tell rows apart besides their sequence and target."""


class DataIdentity(Config):
    """The rows of a file, or of a folder of them; neither their order nor place matters.

    Attributes:
        fingerprint: SHA-256 of the rows, as a set with repeats: sequence, target and lag of each
        sequences: the same of the sequences alone
        files: their names, for people
        columns: by key
        features: values of a step
        classes: each class's name and rows; none where answers are numbers
        mean: of each feature over the training steps, in the file's units; none of symbols
        deviation: of each
        fields: of steps that are records, the names of their values, in order
    """

    later: ClassVar[frozenset[str]] = frozenset({"fields"})

    fingerprint: str
    sequences: str
    rows: int
    files: tuple[str, ...]
    columns: dict[str, str]
    features: int
    classes: tuple[tuple[Label, int], ...] = ()
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    fields: tuple[str, ...] = ()

    def differences(self, other: DataIdentity) -> str | None:
        """How ``other`` differs from this, in a few words; None if it holds the same rows."""
        if self.fingerprint == other.fingerprint and not self._other_fields(other):
            return None
        return "; ".join(self._differences(other)) or "its rows are others"

    def _differences(self, other: DataIdentity) -> Iterator[str]:
        for key, column in self.columns.items():
            if other.columns.get(key, column) != column:
                yield f"{key} is the column {other.columns[key]!r}, not {column!r}"
        if other.features != self.features:
            yield f"{other.features} features a step, not {self.features}"
        if self._other_fields(other):
            most = len(other.fields)
            yield (
                f"steps of the fields {_listed(other.fields, most)}, not"
                f" {_listed(self.fields, len(self.fields))}"
            )
        yield from self._of_classes(other)
        if other.rows != self.rows:
            more = other.rows - self.rows
            word = f"{more} rows added" if more > 0 else f"{-more} rows gone"
            yield f"{word} ({other.rows}, not {self.rows})"
        elif other.sequences == self.sequences and self._are_told_otherwise(other):
            told = " or ".join(["labels", *(f"{key}s" for key in BESIDE if key in self.columns)])
            yield f"{told} changed, of the same {self.rows} sequences"
        for feature, (mean, theirs) in enumerate(zip(self.mean, other.mean, strict=False)):
            mine, its = self.deviation[feature], other.deviation[feature]
            apart = abs(theirs - mean) > UNITS * max(mine, its)
            if apart or not 1 - UNITS < its / mine < 1 / (1 - UNITS):
                which = f" of feature {feature}" if self.features > 1 else ""
                yield (
                    f"units{which}: mean {theirs:.4g} and deviation {its:.4g}, not {mean:.4g} and"
                    f" {mine:.4g}"
                )
                return

    def _of_classes(self, other: DataIdentity) -> Iterator[str]:
        gone, new = self._only_here(other), other._only_here(self)
        if gone and new:
            yield f"classes {_listed(gone)} renamed or gone, {_listed(new)} new"
        elif gone:
            yield f"classes gone: {_listed(gone)}"
        elif new:
            yield f"classes new: {_listed(new)}"

    def _other_fields(self, other: DataIdentity) -> bool:
        """Whether both are of records, of other fields; earlier identities did not say."""
        return bool(self.fields and other.fields and self.fields != other.fields)

    def _are_told_otherwise(self, other: DataIdentity) -> bool:
        """Whether what stands beside equal sequences is another, under the same names."""
        return self.fingerprint != other.fingerprint and not self._other_names(other)

    def _other_names(self, other: DataIdentity) -> bool:
        return bool(self._only_here(other) or other._only_here(self))

    def _only_here(self, other: DataIdentity) -> list[Label]:
        theirs = [typed(name) for name, _ in other.classes]
        return [name for name, _ in self.classes if typed(name) not in theirs]


def fingerprint(columns: Sequence[np.ndarray], names: object = None) -> str:
    """SHA-256 of rows (R,) of 64-bit columns, in whatever order they stand."""
    order = np.lexsort(columns[::-1])
    found = hashlib.sha256(repr(names).encode())
    for column in columns:
        found.update(column[order].astype("<u8").tobytes())
    return found.hexdigest()


def _listed(names: Sequence[Label], most: int = 4) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return f"{shown}, .." if len(names) > most else shown
