"""Files that are whole or found out: the one way that a file is kept.

Written aside under a name of its own, synced, renamed, and the rename synced with the folder: a
power cut at any moment leaves the file as it was or as it is to be. JSON carries its SHA-256.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from trainables.files.bounded import require_file

_HEAD = b'{"sha256": "%s", "value": '
_HEAD_BYTES = len(_HEAD % (b"0" * 64))

ASIDE = ".new"
"""How the name of a file ends that is being written."""

_WRITER = re.compile(r"\..+\.(\d+)-[0-9a-f]+\.new")
_EARLIER = re.compile(r"\..+\.\d+")
"""What the version before called it, or with `ASIDE` alone."""


class DamagedFileError(ValueError):
    """A file is not what was written."""


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON under its checksum, whole or not at all."""
    payload = json.dumps(value).encode()
    write_aside(path, _head(payload), payload, b"}\n")


def read_json(path: Path) -> Any:
    """The value in ``path``.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedFileError: in one line, if it is not what `write_json` wrote.
    """
    try:
        require_file(path)  # a pipe would never be read to its end
    except ValueError:
        raise DamagedFileError(f"{path}: damaged (it is no regular file)") from None
    content = path.read_bytes()
    payload = content[_HEAD_BYTES:-2]
    if content != _head(payload) + payload + b"}\n":
        raise DamagedFileError(f"{path}: damaged (its checksum does not match)")
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:  # the sum is right, and it is no JSON of ours
        raise DamagedFileError(f"{path}: damaged ({type(error).__name__})") from None


def _head(payload: bytes) -> bytes:
    return _HEAD % hashlib.sha256(payload).hexdigest().encode()


def write_aside(
    path: Path,
    *content: bytes | memoryview,
    previous: Path | None = None,
    mode: int = 0o666,
) -> None:
    """Replace ``path`` by ``content``, whole or not at all; on disk when this returns.

    Its ``mode`` is that less the umask.

    What was at ``path`` becomes ``previous``, if that is given: then a crash at any moment leaves a
    whole file under one of the two names.

    Raises:
        OSError: if the disk does not take it; what was there is as it was.
    """
    aside = aside_of(path)
    try:
        _write(aside, mode, *content)
        if previous is not None:
            with suppress(FileNotFoundError):
                path.replace(previous)
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _write(path: Path, mode: int, *content: bytes | memoryview) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(content)
        file.flush()
        os.fsync(file.fileno())


def make_secret(path: Path, content: bytes) -> None:
    """Make a file that its owner alone may read, whole or not at all, where there is none.

    One that is there stays as it is, if it is not empty, as one is whose writer was killed.

    Raises:
        OSError: if the disk does not take it.
    """
    if path.exists() and path.stat().st_size:
        return
    aside = aside_of(path)
    try:
        _write(aside, 0o600, content)
        if path.exists():
            aside.replace(path)
        else:
            with suppress(FileExistsError):  # another was faster: theirs is whole, too
                os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


def aside_of(path: Path) -> Path:
    """A name beside ``path`` for this writer alone, which `is_being_written` knows."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{ASIDE}")


def is_being_written(path: Path) -> bool:
    """Whether a file or folder is not whole yet; or never will be, for its writer has died."""
    return path.name.endswith(ASIDE) or _EARLIER.fullmatch(path.name) is not None


def remove_left_over(folder: Path) -> None:
    """Take away what writers that died have left in a folder; no writer of this machine minds."""
    for path in folder.glob(f".*{ASIDE}"):
        writer = _WRITER.fullmatch(path.name)
        if writer is not None and not _is_alive(int(writer[1])):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Let what was renamed in a folder outlast a power cut, where its file system can be asked."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that nothing takes it for whole and nothing of it is lost.

    ``NAME.damaged``, then ``NAME.damaged-2`` and so on: none that was set aside is overwritten.
    """
    names = (f"{path.name}.damaged" + (f"-{n}" if n > 1 else "") for n in count(1))
    kept = next(free for name in names if not (free := path.with_name(name)).exists())
    path.replace(kept)
    return kept
