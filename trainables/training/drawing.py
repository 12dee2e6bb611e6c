"""The training batches of an attempt: for an accelerator, each is drawn while it learns another."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from trainables.tasks.task import Batch

Draw = Callable[[int], tuple[int, Batch]]
"""From a number of sequences to their lag and the batch."""


class Drawing:
    """Batches drawn one after the other from one generator; which is drawn when changes none.

    Args:
        draw: draws from ``generator``, and from nothing else
        ahead: whether a thread draws the batch after the one that was taken
    """

    def __init__(self, draw: Draw, generator: torch.Generator, ahead: bool) -> None:
        self._draw, self._generator = draw, generator
        self._thread = ThreadPoolExecutor(1, "drawing") if ahead else None
        self._waiting: tuple[Future[tuple[int, Batch]], torch.Tensor] | None = None

    def take(self, size: int, following: int) -> tuple[int, Batch]:
        """The next batch, of ``size`` sequences, and its lag.

        The one after it will be asked for with ``following`` sequences; 0 if there is none.
        """
        if self._thread is None:
            return self._draw(size)
        taken = self._waiting[0].result() if self._waiting else self._draw(size)
        before, self._waiting = self._generator.get_state(), None
        if following:
            self._waiting = self._thread.submit(self._draw, following), before
        return taken

    @property
    def state(self) -> torch.Tensor:
        """The generator's, as it was before a batch that nobody has taken yet."""
        return self._waiting[1] if self._waiting else self._generator.get_state()
