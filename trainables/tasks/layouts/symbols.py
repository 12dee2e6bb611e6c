"""A column of text as sequences of symbols: lists of words, or the characters of a text."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from trainables.encoding.plain import is_list
from trainables.tasks.layouts.layout import TextKind
from trainables.tasks.rows.on_disk import OnDisk
from trainables.tasks.rows.steps import Steps

CODE = np.dtype(np.int64)
"""Of a symbol's number, as it is kept."""


class Symbols:
    """The symbols met so far, numbered as they came."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._digests: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._numbers)

    @property
    def names(self) -> list[str]:
        """Of symbols 0, 1, .."""
        return list(self._numbers)

    def steps_of(self, column: pa.Array, name: str, first_row: int, text: TextKind) -> Steps:
        """The numbers of a column's symbols: (N, 1) over all rows.

        Args:
            column: texts, whose characters (code points) count, or lists of texts
            text: which of the two
            name: the column and its file, for errors
            first_row: the number of the column's first row, for errors

        Raises:
            ValueError: if it holds something else, a null or an empty row

        """
        allowed = _is_text(column.type) if text == "characters" else holds_text(column.type)
        if not allowed:
            what = "text" if text == "characters" else "a list of text"
            raise ValueError(f"sequence: {name} holds {column.type}; allowed: {what}")
        inner = pc.list_flatten(column) if is_list(column.type) else column
        _refuse(column.is_null(), name, first_row, "a null")
        of_lists = is_list(column.type)
        lengths = pc.list_value_length(column) if of_lists else pc.utf8_length(column)
        lengths = lengths.to_numpy(zero_copy_only=False).astype(np.int64)
        _refuse(lengths == 0, name, first_row, "an empty row")
        if of_lists and inner.null_count:
            place = int(np.argmax(inner.is_null().to_numpy(zero_copy_only=False)))
            row = int(np.searchsorted(np.cumsum(lengths), place, side="right"))
            raise ValueError(f"sequence: {name} has a null in row {first_row + row}")
        codes = self._of_lists(inner) if of_lists else self._of_characters(column)
        return Steps(codes[:, None], lengths)

    def by_spelling(self, steps: Steps) -> Steps:
        """The steps by what they spell, 64 bits each: equal in whatever order symbols came."""
        digests = np.array(self._digests, dtype=np.uint64)
        return Steps(digests[steps.values].view(np.int64), steps.lengths)

    def _of_lists(self, texts: pa.Array) -> Int[np.ndarray, " N"]:
        coded = texts.dictionary_encode()
        return self._numbered(coded.dictionary.to_pylist())[coded.indices.to_numpy()]

    def _of_characters(self, texts: pa.Array) -> Int[np.ndarray, " N"]:
        points = np.frombuffer("".join(texts.to_pylist()).encode("utf-32-le"), "<u4")
        distinct, places = np.unique(points, return_inverse=True)
        return self._numbered([chr(point) for point in distinct.tolist()])[places]

    def _numbered(self, names: Sequence[str]) -> Int[np.ndarray, " V"]:
        for name in names:
            if name not in self._numbers:
                if name.endswith("\0"):  # which NumPy's texts do not tell apart from none
                    raise ValueError(f"sequence: the symbol {name!r} ends in a zero character")
                self._numbers[name] = len(self._numbers)
                digest = blake2b(name.encode(), digest_size=8).digest()
                self._digests.append(int.from_bytes(digest, "little"))
        return np.array([self._numbers[name] for name in names], dtype=CODE)


class Spelled:
    """N steps of one symbol each, kept by number; slices are of text (n, 1)."""

    def __init__(self, codes: Int[np.ndarray, "N 1"] | OnDisk, names: Sequence[str]) -> None:
        self._codes, self._names = codes, np.array(names)
        self.shape, self.dtype = codes.shape, self._names.dtype

    def __getitem__(self, steps: slice) -> np.ndarray:
        return self._names[self._codes[steps]]


def _refuse(wrong: pa.Array | np.ndarray, name: str, first_row: int, what: str) -> None:
    places = np.flatnonzero(np.asarray(wrong))
    if len(places):
        raise ValueError(f"sequence: {name} has {what} in row {first_row + int(places[0])}")


def holds_text(kind: pa.DataType) -> bool:
    """Whether it holds lists of text."""
    return is_list(kind) and _is_text(kind.value_type)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
