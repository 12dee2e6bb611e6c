"""Where a look by stages may end. A ladder knows it too, so nothing heavy is imported here."""

from __future__ import annotations

FIRST = 64
"""Sequences of the first stage; each further one goes to twice as many."""

LONGEST = 4096
"""Sequences after which nothing is decided any more before the last."""


def sizes(sequences: int) -> tuple[int, ...]:
    """Sequences shown by the end of each stage of a look at ``sequences``."""
    found, size = list[int](), FIRST
    while size < sequences and size <= LONGEST:
        found.append(size)
        size *= 2
    return (*found, sequences)
