"""Which files of a folder hold its rows, and which do not, with why.

Nothing is left out in silence: links are followed, and what is not taken is named. A name that
begins with ``.``, or with ``_`` and has no ``=``, is hidden, as it is for Spark.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trainables.tasks.layouts.tables import format_of

SUFFIXES = (".parquet", ".parq", ".pq", ".pqt")
"""Of a Parquet file, in either case, alone or before one of `PACKED`."""

PACKED = (".gz", ".gzip", ".snappy", ".zstd", ".zst", ".br", ".brotli", ".lz4")
"""What writers put behind the suffix for the codec within, and for nothing else."""

NO_PARQUET = "is no Parquet file"
MAGIC = (b"PAR1", b"PARE")
BOOKKEEPING = ("_SUCCESS", "_metadata", "_common_metadata", ".DS_Store")
"""What writers lay beside their files: no rows, and not worth a word. So are ``.*.crc``."""

LeftOut = tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
        taken: the Parquet files, in the order of their names
        left_out: every other file or folder, and why its rows are not read

    """

    taken: tuple[Path, ...]
    left_out: LeftOut


def find(folder: Path) -> Found:
    """The files below ``folder``, at any depth and through links, each once.

    Raises:
        OSError: if a folder cannot be listed

    """
    taken: list[Path] = []
    left_out: list[tuple[Path, str]] = []
    waiting, seen = [folder], dict[str, Path]()
    while waiting:
        path = waiting.pop(0)
        why = None if path == folder else reason_by_name(path.name)
        if why is not None:
            left_out.append((path, why))
            continue
        real = os.path.realpath(path)
        if real in seen:
            left_out.append((path, f"is {seen[real]} once more"))
            continue
        seen[real] = path
        if path.is_dir():
            below = [each for each in path.iterdir() if not _is_bookkeeping(each.name)]
            waiting.extend(sorted(below, key=lambda each: (each.is_symlink(), each.name)))
            waiting.sort(key=lambda each: each.is_symlink())  # what lies here before links to it
            continue
        why = _reason_by_content(path)
        if why is None:
            taken.append(path)
        else:
            left_out.append((path, why))
    if not taken:
        taken = _of_one_format(left_out)
        left_out = [(path, why) for path, why in left_out if path not in taken]
    return Found(tuple(sorted(taken)), tuple(sorted(left_out)))


def _of_one_format(left_out: Sequence[tuple[Path, str]]) -> list[Path]:
    """Where there is no Parquet file: all files of the only other format that there is."""
    files = [path for path, why in left_out if why == NO_PARQUET and format_of(path.name)]
    return files if len({format_of(path.name) for path in files}) == 1 else []


def may_hold_rows(relative: str) -> bool:
    """Whether a file by this name below a folder may be one of those that are taken."""
    parts = PurePosixPath(relative).parts
    is_open = all(reason_by_name(part) is None for part in parts)
    is_known = _is_parquet(parts[-1]) or format_of(parts[-1]) is not None
    return is_open and (is_known or "." not in parts[-1])


def reason_by_name(name: str) -> str | None:
    """Why a file or folder of this name is not looked into; None if it is."""
    if name.startswith(".") or (name.startswith("_") and "=" not in name):
        return f"is hidden: its name begins with {name[0]}"
    return None


def _is_bookkeeping(name: str) -> bool:
    is_mark = name.startswith(("_committed_", "_started_")) or name.endswith(".crc")
    return name in BOOKKEEPING or is_mark


def _is_parquet(name: str) -> bool:
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in SUFFIXES


def _reason_by_content(file: Path) -> str | None:
    if not file.exists():
        return "is a link to nothing"
    if not file.is_file():
        return "is no regular file"
    if _is_parquet(file.name):
        return None
    with file.open("rb") as opened:
        holds_parquet = opened.read(4) in MAGIC
    if not holds_parquet:
        return NO_PARQUET
    if "." not in file.name:  # a part as some writers call it
        return None
    return f"holds Parquet, but is not called {', '.join(SUFFIXES)}"


def names_of(files: Iterable[tuple[Path, str]], most: int = 3) -> str:
    """The first of the files left out, each with its reason, for a line of an error."""
    listed = [f"{path.name} {why}" for path, why in files]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return "; ".join(listed[:most]) + more
