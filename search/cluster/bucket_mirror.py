"""A copy of the runs folder in a bucket, brought up to date now and then, and taken back from it.

What refers to other files is copied after them, so that the copy can be gone on with whenever it
was cut off: weights before the checkpoint that names them, records before the study.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from pyarrow import fs

from trainables.files.whole_files import aside_of, is_being_written, remove_left_over

log = logging.getLogger(__name__)


class Mirror:
    """Copies what is new or changed under a folder.

    Args:
        uri: where to, such as ``s3://bucket/folder``
    """

    def __init__(self, folder: Path, uri: str) -> None:
        self._folder, self._uri = folder, uri
        self._copied: dict[Path, tuple[int, int]] = {}

    def update(self) -> bool:
        """Copy what changed since the last time; what fails is named and tried again next time.

        Returns:
            whether everything was copied
        """
        try:
            there, root = fs.FileSystem.from_uri(self._uri)
            state = {file: _state(file) for file in _files(self._folder)}
            for file in sorted(state, key=lambda f: (-len(f.parts), f)):
                if state[file] != self._copied.get(file):
                    self._copy(file, there, f"{root}/{file.relative_to(self._folder)}")
                    self._copied[file] = state[file]
            for gone in self._copied.keys() - state.keys():
                with contextlib.suppress(FileNotFoundError):
                    there.delete_file(f"{root}/{gone.relative_to(self._folder)}")
                del self._copied[gone]
        except (OSError, sqlite3.Error) as error:
            log.warning("%s: cannot be written: %s; tried again later", self._uri, error)
            return False
        return True

    def _copy(self, file: Path, there: fs.FileSystem, target: str) -> None:
        there.create_dir(target.rpartition("/")[0], recursive=True)
        try:
            with tempfile.TemporaryDirectory() as aside:
                source = _snapshot(file, Path(aside)) if file.suffix == ".db" else file
                _stream(fs.LocalFileSystem(), str(source), there, target)
        except FileNotFoundError:
            if file.exists():
                raise


def _stream(here: fs.FileSystem, source: str, there: fs.FileSystem, target: str) -> None:
    fs.copy_files(source, target, source_filesystem=here, destination_filesystem=there)


def _snapshot(database: Path, folder: Path) -> Path:
    """A SQLite database as it is between two writes."""
    target = folder / database.name
    with closing(sqlite3.connect(database)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)
    return target


def _files(folder: Path) -> list[Path]:
    """Every file but those being written, SQLite's own, and what has a dot first in its path."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not is_being_written(path)
        and not path.name.endswith(("-wal", "-shm", "-journal"))
    ]


def _state(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except FileNotFoundError:
        return (0, 0)
    return found.st_size, found.st_mtime_ns


def fetch(uri: str, folder: Path) -> None:
    """Take everything back from a bucket into an empty folder, all of it or nothing.

    Nothing is done where there is nothing.

    Raises:
        OSError: if the bucket cannot be read.
    """
    there, root = fs.FileSystem.from_uri(uri)
    if there.get_file_info(root).type == fs.FileType.NotFound:
        return
    remove_left_over(folder.parent)
    aside = aside_of(folder)
    aside.mkdir(parents=True)
    try:
        fs.copy_files(
            root, str(aside), source_filesystem=there, destination_filesystem=fs.LocalFileSystem()
        )
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
