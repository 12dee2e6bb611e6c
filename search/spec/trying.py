"""Somebody's own code in a copy of this process first: what ends it or hangs is told.

Code can raise, which whoever imports or calls it sees. It can also end the process without a word
(``os._exit``, a crash in C), never come back, or leave a thread that keeps the process from ending;
then the copy shows it, and this process says so and never runs it.
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
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from trainables.plugins import look_in

SECONDS = 10.0
"""How long a module may take to be imported, or a call to come back; `LONGER` allows more."""

LONGER = "LONGSPAN_IMPORT_SECONDS"

CAME_BACK = 77
"""Exit codes of the copy; a module that ends it with one of these is told all the same."""
INTERRUPTS = 78
LEAVES_A_THREAD = 79

LOOKS_EVERY = 0.01

CALLED = b"."
"""What the copy says after each call."""


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


def try_calls(what: str, calls: Iterable[object]) -> None:
    """Run calls of somebody's own code in a copy of this process, on Linux; each has its time.

    What they raise they raise again in the process itself.

    Args:
        what: is called, as the line that refuses it names it
        calls: an iterator that makes one at each step

    Raises:
        ValueError: in one line, if one ends the copy or does not come back.
    """
    if sys.platform != "linux":
        return
    seconds = _seconds()
    told, tell = os.pipe()
    copy = _fork()
    if not copy:
        _call_and_end(calls, tell)
    os.close(tell)
    os.set_blocking(told, False)
    heard = bytearray()
    with os.fdopen(told, "rb", buffering=0) as pipe:

        def hears() -> bool:
            said = pipe.read() or b""
            heard.extend(said)
            return bool(said)

        status = ended(copy, seconds, hears)
        hears()
    if status is None:
        raise ValueError(
            f"{what} did not come back within {seconds:g} s when it was called; "
            f"if it takes long: {LONGER}=SECONDS"
        )
    if status < 0:
        raise ValueError(f"{what} crashes when it is called: {signal.strsignal(-status)}")
    if status not in (CAME_BACK, INTERRUPTS) or heard[-1:] != bytes([status]):
        raise ValueError(f"{what} ends the process when it is called (exit code {status})")
    if status == INTERRUPTS:
        raise ValueError(f"{what} raises KeyboardInterrupt when it is called")


def _seconds() -> float:
    given = os.environ.get(LONGER, "")
    try:
        return float(given) if given else SECONDS
    except ValueError:
        raise ValueError(f"{LONGER}: {given!r} is not allowed; seconds, as 60") from None


def _try(name: str, seconds: float) -> None:
    told, tell = os.pipe()
    copy = _fork()
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


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: the copy uses none
        return os.fork()


def _keep_quiet() -> None:
    """In the copy: nothing is printed, and no other thread is waited for."""
    os.setpgid(0, 0)  # Ctrl-C is for the process itself; and what the module starts is ended too
    faulthandler.disable()
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silent, stream)


def _call_and_end(calls: Iterable[object], tell: int) -> NoReturn:
    """In the copy: nothing is tidied up."""
    import torch

    process = os.getpid()
    _keep_quiet()
    torch.set_num_threads(1)  # a copy has none of the threads that OpenMP would wait for
    code = CAME_BACK
    try:
        for _ in calls:
            os.write(tell, CALLED)
    except KeyboardInterrupt:
        code = INTERRUPTS
    except BaseException:
        code = CAME_BACK  # what it raises it raises again in the process itself
    _tell_and_end(code, process, tell)


def _import_and_end(name: str, tell: int) -> NoReturn:
    """In the copy: nothing is tidied up."""
    process = os.getpid()
    _keep_quiet()
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
    _tell_and_end(code, process, tell)


def _tell_and_end(code: int, process: int, tell: int) -> NoReturn:
    if os.getpid() == process:  # and no copy that the module itself has made
        with contextlib.suppress(OSError):
            os.write(tell, bytes([code]))
    os._exit(code)


def ended(copy: int, seconds: float, hears: Callable[[], bool] = lambda: False) -> int | None:
    """The exit code of the copy, negative for a signal; None if it had to be killed.

    Its time begins anew whenever something of it is heard.
    """
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            if hears():
                deadline = time.monotonic() + seconds
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
