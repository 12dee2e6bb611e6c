"""How often something is made again while a search runs."""

from __future__ import annotations

LEAST_PART = 20
"""It is made again at the earliest after so many times as long as it took last."""


class Pace:
    """When something that tells of the trials that ended is to be made again.

    Args:
        seconds: at least from one to the next
        first: the time at which it may be made first, by the clock that is asked by
    """

    def __init__(self, seconds: float, first: float) -> None:
        self._seconds, self._from = seconds, first
        self._told = -1

    def is_due(self, ended: int, now: float) -> bool:
        """Whether more has ended than it tells of, and the last one is paid for."""
        return ended != self._told and now >= self._from

    def made(self, ended: int, began: float, now: float) -> None:
        """It has been made, from ``began`` until ``now``, of so many trials that ended."""
        self._told = ended
        self._from = now + max(self._seconds, LEAST_PART * (now - began))
