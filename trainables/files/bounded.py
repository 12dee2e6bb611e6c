"""Files that others left: read only if they are files, and no larger than there is sense in."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_bounded(path: Path, most: int) -> bytes:
    """What is in ``path``, at most ``most`` bytes.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: in one line, if it is a folder, a pipe or a device, or larger.
    """
    descriptor = _opened(path)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path}: larger than the {most:,} bytes that are allowed")
    return content


def require_file(path: Path) -> None:
    """Refuse what is there if it is no file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: in one line, if it is a folder, a pipe, a device or a link to itself.
    """
    os.close(_opened(path))


def _opened(path: Path) -> int:
    """Never waits for somebody at a pipe's other end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise ValueError(f"{path}: cannot be read: it is a link that leads to itself") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{path}: cannot be read: it is no file, but a folder, pipe or device")
    return descriptor
