"""Files that one process holds at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from search.errors import UserError

SECONDS_BETWEEN_TRIES = 0.2


@contextmanager
def held(
    path: Path, refusal: str, seconds: float = 0.0, meanwhile: Callable[[], None] | None = None
) -> Iterator[TextIO]:
    """Hold the file ``path`` for this process; the hold goes with it, however it dies.

    Args:
        path: made where it is not there
        refusal: one line for who asks in vain
        seconds: how long to wait for another process
        meanwhile: called each time that another was found to hold it

    Raises:
        UserError: ``refusal``, if another process holds it to the end.
    """
    deadline = time.monotonic() + seconds
    with path.open("a+") as file:  # nobody's file is emptied before it is held
        while not _taken(file):
            if meanwhile is not None:
                meanwhile()
            if time.monotonic() >= deadline:
                raise UserError(refusal)
            time.sleep(SECONDS_BETWEEN_TRIES)
        yield file


def is_held(path: Path) -> bool:
    """Whether another process holds the file ``path``; looking writes nothing and makes none."""
    if not path.exists():
        return False
    with path.open() as file:  # a shared hold needs no writing, on any file system
        return not _taken(file, fcntl.LOCK_SH)


def _taken(file: TextIO, how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sign(file: TextIO) -> None:
    """Say in a file that is held which process holds it."""
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()


def signed(path: Path) -> int | None:
    """The process that signed last; it may have ended since. None where nobody has."""
    said = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    return int(said) if said.isdecimal() else None
