"""Data in a bucket: copied to the disk of each machine that reads it, and again once it changed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Annotated

import pyarrow as pa
from fsspec.core import url_to_fs
from pyarrow import fs
from pydantic import Field

from trainables.files.own_folder import own_folder
from trainables.messages import one_line
from trainables.tasks.layouts.finding import may_hold_rows
from trainables.tasks.layouts.lakes import require_plain

BucketUri = Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]*://.")]
"""Such as ``s3://bucket/folder/data.parquet``; whatever pyarrow's file systems know."""

DataPath = Annotated[BucketUri | Path, Field(union_mode="left_to_right")]

RETRY_KEY, RETRY_SECONDS = "retry_limit_seconds", 5
"""Pyarrow's word in an address of Google's for how long one that does not answer is asked again."""


def local(path: Path | str) -> Path:
    """Where the data lies on this machine; what is in a bucket is copied first, once.

    Copies lie in the folder for temporary files (``TMPDIR``), under a name that says what was
    copied, as it was: size and time of each file.

    Raises:
        ValueError: in one line, if a bucket cannot be read or holds nothing there.
    """
    if isinstance(path, Path):
        return path
    try:
        there, root = _file_system(path)
        found = _files(there, root, path)
        copies = _copies()
        state = repr([(file.path, file.size, file.mtime_ns) for file in found])
        copy = copies / hashlib.sha256(f"{path} {state}".encode()).hexdigest()[:24]
        with (copies / f"{copy.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not copy.exists():
                _copy(there, root, found, copy)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"path: {path} cannot be read: {one_line(error)}") from None
    only = copy / Path(root).name
    return only if only.exists() else copy


def _copies() -> Path:
    folder = Path(tempfile.gettempdir()) / f"longspan-data-{os.getuid()}"
    try:
        return own_folder(folder, "copies of what is in buckets", "TMPDIR")
    except ValueError as error:
        raise ValueError(f"path: {error}") from None


def _file_system(path: str) -> tuple[fs.FileSystem, str]:
    """Of pyarrow, or of the package that fsspec knows for addresses of this kind."""
    try:
        return fs.FileSystem.from_uri(_not_for_ever(path))
    except ImportError as error:
        raise ValueError(f"path: {path} cannot be read: {one_line(error)}") from None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as unknown:
        try:
            there, root = url_to_fs(path)
        except ImportError as error:
            raise ValueError(f"path: {path} cannot be read: {one_line(error)}") from None
        except ValueError:
            raise ValueError(f"path: {path} cannot be read: {one_line(unknown)}") from None
        return fs.PyFileSystem(fs.FSSpecHandler(there)), root


def _not_for_ever(path: str) -> str:
    """The address, so that Google's client asks for seconds and not for a quarter of an hour."""
    if not path.startswith(("gs://", "gcs://")) or f"{RETRY_KEY}=" in path:
        return path
    return f"{path}{'&' if '?' in path else '?'}{RETRY_KEY}={RETRY_SECONDS}"


def _files(there: fs.FileSystem, root: str, path: str) -> list[fs.FileInfo]:
    info = there.get_file_info(root)
    if info.type == fs.FileType.File:
        return [info]
    below = there.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
    names = {file.path: file.path.removeprefix(root).lstrip("/") for file in below}
    require_plain(names.values(), path)
    found = [file for file in below if file.is_file and may_hold_rows(names[file.path])]
    if not found:
        raise ValueError(f"path: nothing is at {path}; allowed: a Parquet file or a folder of them")
    return sorted(found, key=lambda file: str(file.path))


def _copy(there: fs.FileSystem, root: str, found: list[fs.FileInfo], copy: Path) -> None:
    aside = copy.with_name(f".{uuid.uuid4().hex}")
    try:
        for file in found:
            below = file.path.removeprefix(root).lstrip("/") or Path(root).name
            (aside / below).parent.mkdir(parents=True, exist_ok=True)
            fs.copy_files(
                file.path,
                str(aside / below),
                source_filesystem=there,
                destination_filesystem=fs.LocalFileSystem(),
            )
        aside.rename(copy)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
