"""Tables that keep a log of which of their files count: their files alone are not their rows.

Deleted rows and labels that were corrected lie beside the current ones, in files of the same kind:
only the log tells. (Delta: https://github.com/delta-io/delta/blob/master/PROTOCOL.md; Iceberg:
https://iceberg.apache.org/spec; Hudi: https://hudi.apache.org/tech-specs; Paimon:
https://paimon.apache.org/docs/master/concepts/spec/overview; Spark's streaming sink likewise.)
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from trainables.messages import one_line

DELTA = "a Delta table"
PREFIX = "delta:"
WITHIN_FILES = {"deletionVectors", "columnMapping"}
"""Features by which a file that counts has rows that do not, or columns by other names."""

HOW = "write its current rows out as plain Parquet and give that"
FOLDERS = {
    "_delta_log": DELTA,
    ".hoodie": "a Hudi table",
    "_spark_metadata": "the output of a Spark stream",
}
"""What a folder of this name makes of the one around it."""

SNAPSHOTS = ("EARLIEST", "LATEST")
HUDI_PARTITION = ".hoodie_partition_metadata"


def require_plain(names: Iterable[str], root: str) -> None:
    """Refuse what is below ``root`` if some of it is a table with a log.

    Args:
        names: every file below, relative to ``root``, hidden ones too
        root: the folder, for the error

    Raises:
        ValueError: in one line that says how to read it

    """
    for name in names:
        parts = PurePosixPath(name).parts
        for place, part in enumerate(parts):
            kind = FOLDERS.get(part) or _kind_by_file(parts[:place], part)
            if kind:
                table = "/".join([root.rstrip("/"), *_around(parts[:place], part)])
                raise ValueError(refusal(root, table, kind))


def require_outside(path: Path) -> None:
    """Refuse a file or folder that lies in such a table: raises as `require_plain`."""
    for folder in path.resolve().parents:
        for name, kind in FOLDERS.items():
            if (folder / name).is_dir():
                raise ValueError(refusal(str(path), str(folder), kind))
        marks = [f"snapshot/{name}" for name in SNAPSHOTS] + [HUDI_PARTITION]
        names = [mark for mark in marks if os.path.isfile(folder / mark)]  # noqa: PTH113 - raises nothing
        logs = folder / "metadata"
        if path.resolve() != logs and os.path.isdir(logs):  # noqa: PTH112 - raises nothing
            names += [f"metadata/{name}" for name in _listed(logs)]
        require_plain(names, str(folder))


def below(folder: Path) -> Iterable[str]:
    """Every file and folder below, relative, through no links: logs lie beside their files."""
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield str((Path(place) / name).relative_to(folder))


def refusal(path: str, table: str, kind: str) -> str:
    """One line that says what the path is, and how it is read."""
    if kind == DELTA:
        way = f"`path: delta:{table}` reads it by the package deltalake; or {HOW}"
    else:
        way = HOW
    where = f"{path} is" if path.rstrip("/") == table else f"{path} is of {table},"
    return f"path: {where} {kind}, whose log says which of its files count; {way}"


def is_delta(path: Path) -> bool:
    """Whether the path asks for a Delta table by its log: ``delta:folder``."""
    return str(path).startswith(PREFIX)


def delta_files(path: Path) -> tuple[Path, list[Path]]:
    """The table's folder, and the files that its log counts in, by the package deltalake.

    Raises:
        ValueError: in one line, if the package is not there or refuses the table

    """
    folder = Path(str(path).removeprefix(PREFIX)).expanduser()
    try:
        deltalake = importlib.import_module("deltalake")
    except ImportError:
        raise ValueError(
            f"path: {path} takes the package deltalake (pip install deltalake), or {HOW}"
        ) from None
    try:
        table = deltalake.DeltaTable(folder)
        features = set(table.protocol().reader_features or ()) & WITHIN_FILES
        uris = table.file_uris()
    except (deltalake.exceptions.DeltaError, OSError, ValueError) as error:
        raise ValueError(f"path: {path} cannot be read: {one_line(error)}") from None
    if features:
        raise ValueError(
            f"path: {path} has {', '.join(sorted(features))}, by which its files alone are not"
            f" its rows; {HOW}"
        )
    return folder, sorted(Path(uri.removeprefix("file://")) for uri in uris)


def _kind_by_file(folders: tuple[str, ...], name: str) -> str | None:
    is_metadata = name == "version-hint.text" or ".metadata.json" in name
    if folders[-1:] == ("metadata",) and is_metadata:
        return "an Iceberg table"
    if folders[-1:] == ("snapshot",) and name in SNAPSHOTS:
        return "a Paimon table"
    return "a Hudi table" if name == HUDI_PARTITION else None


def _around(folders: tuple[str, ...], name: str) -> tuple[str, ...]:
    return folders if name in FOLDERS or name == HUDI_PARTITION else folders[:-1]


def _listed(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir()) if os.access(folder, os.R_OK) else []
