"""What a search may spend: hours of a run, training cost of the whole.

When it is used up, nothing new is handed out and what is under way is stopped where it is; it goes
on from its checkpoint if the search is resumed, as after Ctrl-C.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ray.tune import Stopper

from search.disk.ledger import Ledger
from search.spec import SearchConfig


class Budget(Stopper):
    """Tune's stopper of a whole search.

    The hours count from when it is made: each run of a search, a resume too, has as many.

    Args:
        pause: whether trials are to stop where they are for something else
        besides: the training cost of something else, in GFLOP
    """

    def __init__(
        self,
        limits: SearchConfig,
        ledger: Ledger,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[], bool] = lambda: False,
        besides: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._limits, self._ledger, self._clock = limits, ledger, clock
        self._pause, self._besides = pause, besides
        self._started = clock()

    @property
    def used_up(self) -> str | None:
        """What is used up, as key and value in words; None while there is some of everything."""
        hours, gflop = self._limits.hours, self._limits.gflop
        if hours is not None and self._clock() - self._started >= 3600 * hours:
            return f"search.hours: {hours:g} are used up"
        if gflop is not None and self._spent >= gflop:
            return f"search.gflop: {gflop:g} are used up"
        return None

    @property
    def _spent(self) -> float:
        return self._ledger.training_gflop + self._besides()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No trial is stopped by itself."""
        return False

    def stop_all(self) -> bool:
        """Whether all trials are to stop where they are."""
        return self._pause() or self.used_up is not None

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its stoppers for `Tuner.restore`, which is not how a search resumes."""
        return {}
