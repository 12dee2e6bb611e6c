"""Files that one process holds at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search.errors import UserError


@contextmanager
def held(path: Path, refusal: str) -> Iterator[None]:
    """Hold the file ``path`` for this process; the hold goes with it, however it dies.

    Raises:
        UserError: ``refusal``, if another process holds it.
    """
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(refusal) from None
        yield
