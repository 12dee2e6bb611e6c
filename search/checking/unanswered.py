"""The user's own space or sampler that does not come back in the middle of a search.

It is called in the process that leads the search, for it may keep what it has seen; meanwhile
nothing that trials report is read. So it is waited for, a line says who does not answer, and Ctrl-C
ends the search at once.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import FrameType

from search.spec import Spec
from trainables.messages import duration

SECONDS = 60.0
"""After which a call is said not to have answered; it may take as long as it needs."""

A_MOMENT = 1.0
"""Seconds after which Ctrl-C no longer waits for a call to come back by itself."""


class Watch:
    """Watches calls of the user's own code.

    Args:
        modules: whose code it is
        say: takes the line
        hint: the command that goes on with the search
    """

    def __init__(
        self,
        modules: Collection[str],
        say: Callable[[str], None],
        hint: str,
        seconds: float = SECONDS,
    ) -> None:
        self._modules, self._say, self._hint, self._seconds = modules, say, hint, seconds

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Watch the block; in the main thread, Ctrl-C ends one that takes longer than a moment."""
        timer = threading.Timer(self._seconds, self._tell, [threading.get_ident()])
        timer.daemon = True
        timer.start()
        try:
            with _ended_by_ctrl_c():
                yield
        finally:
            timer.cancel()

    def _tell(self, thread: int) -> None:
        frame = sys._current_frames().get(thread)
        self._say(
            f"{where(frame, self._modules)} has not answered for {duration(self._seconds)}, and the"
            " search waits for it; Ctrl-C ends the search, what was measured is kept, and"
            f" `{self._hint}` goes on"
        )


def own_modules(spec: Spec) -> set[str]:
    """Modules of a spec that are asked for proposals: of its space and its sampler, and plugins."""
    named = (spec.space, spec.search.sampler)
    return {*spec.plugins, *(name.partition(":")[0] for name in named if ":" in name)}


def where(frame: FrameType | None, modules: Collection[str]) -> str:
    """``module:function, line 12``: the innermost of the modules' own calls under way."""
    while frame is not None and frame.f_globals.get("__name__") not in modules:
        frame = frame.f_back
    if frame is None:
        return " or ".join(sorted(modules))
    name = f"{frame.f_globals['__name__']}:{frame.f_code.co_qualname}"
    return f"{name}, line {frame.f_lineno},"


@contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C end the block itself; Tune's own handler would wait until it has come back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    began, before = time.monotonic(), signal.getsignal(signal.SIGINT)

    def interrupt(number: int, frame: FrameType | None) -> None:
        if time.monotonic() - began > A_MOMENT or not callable(before):
            raise KeyboardInterrupt
        before(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:  # and not what Tune has put there
            signal.signal(signal.SIGINT, before)
