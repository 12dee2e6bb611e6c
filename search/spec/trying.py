"""Importing somebody's modules in a copy of this process first: one that ends it or hangs is told.

A module can raise, which whoever imports it sees. It can also end the process without a word
(``os._exit``, a crash in C), never come back, or leave a thread that keeps the process from ending;
then the copy shows it, and this process says so and never imports it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from trainables.plugins import look_in

SECONDS = 10.0
"""How long a module may take to be imported; `LONGER` allows more."""

LONGER = "LONGSPAN_IMPORT_SECONDS"

CAME_BACK = 77
"""Exit codes of the copy; a module that ends it with one of these is told all the same."""
INTERRUPTS = 78
LEAVES_A_THREAD = 79

LOOKS_EVERY = 0.01


def try_imports(names: Iterable[str], folders: Iterable[str | Path] = ()) -> None:
    """Import modules that are not imported yet in a copy of this process, on Linux.

    Args:
        names: of the modules
        folders: where modules are looked for besides where Python does, from then on

    Raises:
        ValueError: in one line, if one ends the copy, does not come back, or leaves a thread.
    """
    look_in(folders)
    if sys.platform != "linux":  # elsewhere a copy of a process with threads is not safe
        return
    for name in names:
        if name and name not in sys.modules:
            _try(name, _seconds())


def _seconds() -> float:
    given = os.environ.get(LONGER, "")
    try:
        return float(given) if given else SECONDS
    except ValueError:
        raise ValueError(f"{LONGER}: {given!r} is not allowed; seconds, as 60") from None


def _try(name: str, seconds: float) -> None:
    told, tell = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: the copy uses none
        copy = os.fork()
    if not copy:
        _import_and_end(name, tell)
    os.close(tell)
    status = ended(copy, seconds)
    with os.fdopen(told, "rb") as pipe:
        os.set_blocking(told, False)  # what the module has started may hold the other end
        said = pipe.read() or b""
    if status is None:
        raise ValueError(
            f"{name!r} did not come back within {seconds:g} s when it was imported; "
            f"if it takes long: {LONGER}=SECONDS"
        )
    if status < 0:
        raise ValueError(f"{name!r} crashes when it is imported: {signal.strsignal(-status)}")
    if said != bytes([status]):
        raise ValueError(f"{name!r} ends the process when it is imported (exit code {status})")
    if status == INTERRUPTS:
        raise ValueError(f"{name!r} cannot be imported: KeyboardInterrupt")
    if status == LEAVES_A_THREAD:
        raise ValueError(
            f"{name!r} starts a thread when it is imported that would keep the command from "
            "ending; make it a daemon"
        )


def _import_and_end(name: str, tell: int) -> NoReturn:
    """In the copy: nothing is printed, nothing is tidied up."""
    process = os.getpid()
    os.setpgid(0, 0)  # Ctrl-C is for the process itself; and what the module starts is ended too
    faulthandler.disable()
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silent, stream)
    code = CAME_BACK
    try:
        importlib.import_module(name)
    except KeyboardInterrupt:
        code = INTERRUPTS
    except BaseException:
        code = CAME_BACK  # what it raises it raises again in the process itself
    others = set(threading.enumerate()) - {threading.current_thread()}
    if any(not thread.daemon for thread in others):
        code = LEAVES_A_THREAD
    if os.getpid() == process:  # and no copy that the module itself has made
        with contextlib.suppress(OSError):
            os.write(tell, bytes([code]))
    os._exit(code)


def ended(copy: int, seconds: float) -> int | None:
    """The exit code of the copy, negative for a signal; None if it had to be killed."""
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            ended, status = os.waitpid(copy, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(LOOKS_EVERY)
        os.kill(copy, signal.SIGKILL)
        os.waitpid(copy, 0)
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(copy, signal.SIGKILL)
