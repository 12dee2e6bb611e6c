"""Which part each row falls to: by its sequence, its group, or as a column of the user's says."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int8, UInt64
from pydantic import BeforeValidator

from trainables.parts import Config
from trainables.tasks.rows.reading import Rows
from trainables.tasks.split.splitting import ENDS, FRESH_FROM, PARTS, part_of

LEFT_OUT = -1

WORDS = {
    "train": ("train", "training"),
    "selection": ("selection", "validation", "valid", "val", "dev"),
    "test": ("test", "testing", "held out", "holdout"),
}
"""What a column may say of each part; case does not matter."""


class TimeSplit(Config):
    """Rows are split by when they are: learned from before, tested on after.

    Attributes:
        column: of dates, timestamps or numbers
        selection: rows from then on are to select by; as ISO 8601 where the column is of times
        test: rows from then on are held out
    """

    column: str
    selection: float | str
    test: float | str


def _plain(given: Any) -> Any:
    """YAML reads dates by itself."""
    if isinstance(given, dict):
        return {
            key: value.isoformat() if isinstance(value, datetime.date) else value
            for key, value in given.items()
        }
    return given


Split = Annotated[str | TimeSplit | None, BeforeValidator(_plain)]


@dataclass(frozen=True)
class Partition:
    """How rows are split, and which are left out.

    Attributes:
        shortest: rows of fewer steps are left out
        longest: rows of more steps are; None for no limit
        is_grouped: rows of one value of the column ``group`` fall to one part
        split: what says which part a row is of; None for a hash
        seed: another one, another split; 0 for that of earlier versions
        test: whether all that is held out is shown, or the half of a search or of a certificate
    """

    shortest: int = 1
    longest: int | None = None
    is_grouped: bool = False
    split: str | TimeSplit | None = None
    seed: int = 0
    test: Literal["shared", "fresh", "certificate"] = "shared"

    def usable(self, rows: Rows) -> Bool[np.ndarray, " R"]:
        """Which rows are of a length that is shown."""
        long_enough = rows.lengths >= self.shortest
        return long_enough if self.longest is None else long_enough & (rows.lengths <= self.longest)

    def left_out(self, rows: Rows) -> Iterator[tuple[str, int]]:
        """Why rows are left out, and how many."""
        short = int((rows.lengths < self.shortest).sum())
        if short:
            yield f"shorter than the {self.shortest:,} steps of a window", short
        long = 0 if self.longest is None else int((rows.lengths > self.longest).sum())
        if long:
            yield f"longer than `longest: {self.longest}`", long
        if self.test != "shared":
            other = ~_is_shown(_hashes(rows, self), self.test) & self.usable(rows)
            kept_for = "a certificate" if self.test == "fresh" else "a search"
            yield f"kept for {kept_for} alone (`test: fresh`)", int(other.sum())

    def shared(self, rows: Rows) -> Iterator[str]:
        """A line, if held-out rows are shown in training too; a hash of sequences rules it out."""
        if self.split is None and not self.is_grouped:
            return
        parts = parts_of(rows, self)
        test = parts == PARTS.index("test")
        known = np.isin(rows.hashes[test], rows.hashes[parts == PARTS.index("train")])
        if known.any():
            yield (
                f"{'group' if self.is_grouped else 'split'}: {int(known.sum()):,} of"
                f" {int(test.sum()):,} held-out rows have the very sequence of a row to train on"
            )


@functools.lru_cache(maxsize=4)
def parts_of(rows: Rows, partition: Partition) -> Int8[np.ndarray, " R"]:
    """The number in `PARTS` of each row's part, or `LEFT_OUT`.

    Raises:
        ValueError: in one line, if the column that says it says something else.
    """
    if partition.split is None:
        hashes = _hashes(rows, partition)
        parts = np.where(_is_shown(hashes, partition.test), part_of(hashes), LEFT_OUT)
    elif isinstance(partition.split, str):
        parts = _as_said(rows.columns["split"], partition.split, rows)
    else:
        parts = _by_time(rows.columns["split"], partition.split, rows)
    return np.where(partition.usable(rows), parts, LEFT_OUT).astype(np.int8)


def _is_shown(hashes: UInt64[np.ndarray, " R"], test: str) -> Bool[np.ndarray, " R"]:
    """Which rows are of the half of those held out that is shown, or are not held out."""
    share = hashes / 2.0**64
    if test == "fresh":
        return share < FRESH_FROM
    if test == "certificate":
        return (share < ENDS[-1]) | (share >= FRESH_FROM)
    return np.ones(len(hashes), bool)


def require_parts(
    hashes: UInt64[np.ndarray, " R"], parts: Int8[np.ndarray, " R"], name: str, how: Partition
) -> None:
    """Refuse rows of which some part gets none.

    Raises:
        ValueError: beginning with ``name``.

    """
    for number, part in enumerate(PARTS):
        if (parts == number).any():
            continue
        if how.split is not None:
            raise ValueError(f"split: no row of {name} is in the {part} part")
        few = len(np.unique(hashes[parts != LEFT_OUT]))
        what = "groups" if how.is_grouped else f"different sequences ({few})"
        raise ValueError(f"path: {name} has too few {what}: none falls to the {part} part")


def _hashes(rows: Rows, partition: Partition) -> UInt64[np.ndarray, " R"]:
    """Of what keeps rows together: their group, or else their sequence."""
    hashes = rows.hashes
    if partition.is_grouped:
        encoded = rows.columns["group"].dictionary_encode()
        of_groups = [_hash(repr(value).encode()) for value in encoded.dictionary.to_pylist()]
        hashes = np.array(of_groups, np.uint64)[encoded.indices.to_numpy()]
    if partition.seed == 0:
        return hashes
    distinct, places = np.unique(hashes, return_inverse=True)
    salt = f"split {partition.seed} ".encode()
    return np.array([_hash(salt + one.tobytes()) for one in distinct], np.uint64)[places]


def _hash(content: bytes) -> int:
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little")


def _as_said(column: pa.Array, name: str, rows: Rows) -> Int8[np.ndarray, " R"]:
    numbers = {word: PARTS.index(part) for part in PARTS for word in WORDS[part]}
    values = column.cast(pa.string()).dictionary_encode()
    said = [numbers.get(value.strip().lower(), LEFT_OUT) for value in values.dictionary.to_pylist()]
    parts = np.array(said, np.int8)[values.indices.to_numpy()]
    if (parts == LEFT_OUT).any():
        row = int(np.argmax(parts == LEFT_OUT))
        raise ValueError(
            f"split: {name!r} of {rows.file} is {column[row].as_py()!r} in row {row}; allowed:"
            " train, selection (or validation), test"
        )
    return parts


def _by_time(column: pa.Array, split: TimeSplit, rows: Rows) -> Int8[np.ndarray, " R"]:
    where = f"split: {split.column!r} of {rows.file}"
    is_time = pa.types.is_temporal(column.type)
    if not (is_time or pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise ValueError(f"{where} holds {column.type}; allowed: dates, timestamps or numbers")
    begins = [_moment(value, column.type, where) for value in (split.selection, split.test)]
    if not pc.less(*begins).as_py():
        raise ValueError(f"split: selection: {split.selection} is not before test: {split.test}")
    later = [pc.greater_equal(column, begin).to_numpy(zero_copy_only=False) for begin in begins]
    return np.add(*(mask.astype(np.int8) for mask in later))


def _moment(value: float | str, kind: pa.DataType, where: str) -> pa.Scalar:
    try:
        if not pa.types.is_temporal(kind):
            return pa.scalar(float(value), pa.float64())
        given = datetime.datetime.fromisoformat(str(value))
        if pa.types.is_date(kind):
            return pa.scalar(given.date(), kind)
        if kind.tz is not None and given.tzinfo is None:
            given = given.replace(tzinfo=datetime.UTC)
        return pa.scalar(given, kind)
    except (ValueError, pa.ArrowException):
        allowed = "a time as ISO 8601" if pa.types.is_temporal(kind) else "a number"
        raise ValueError(
            f"{where} holds {kind}, and {value!r} is none; allowed: {allowed}"
        ) from None
