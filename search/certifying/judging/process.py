"""Starting the process that a layer is judged in, hearing what it finds, and ending it in time."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from search.certifying.judging.request import OF_THE_LAYER, VERDICTS, Request
from search.scheduling import WORKER_ENVIRONMENT

STDERR = 2
MOST_READ = 2**16
SECONDS_TO_END = 10.0
SECONDS_TO_BEGIN = 600.0
"""Until the task is read: data may be large, and the machine busy."""


def judge(request: Request) -> dict[str, Any]:
    """What a layer's own process finds of it, with ``verdict`` and ``exit_code``.

    What the layer prints goes to where errors go. The process has ended when this returns, and so
    has whatever it started that did not leave its group.
    """
    began = time.monotonic()
    with _asked(request) as (process, told):
        found, in_time = heard(told, request.seconds)
        if "verdict" not in found:
            found |= _ended_early(process, found) if in_time else _too_long(request)
    return {
        "verdict": found["verdict"],
        "exit_code": VERDICTS[found["verdict"]],
        "reason": None,
        "layer": request.layer,
        **found,
        "seconds": time.monotonic() - began,
        "limits": {"seconds": request.seconds, "memory": request.memory},
    }


@contextmanager
def _asked(request: Request) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The process, for the length of the block, and the end of the pipe that it tells by."""
    with tempfile.TemporaryDirectory(prefix="longspan-judge-") as folder:
        file = Path(folder) / "request.json"
        asked = request.model_copy(update={"folder": folder})
        file.write_text(asked.model_dump_json(), encoding="utf-8")
        told, tell = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "search.certifying.judging.judged", str(tell), str(file)],
            stdin=subprocess.DEVNULL,
            stdout=STDERR,
            pass_fds=[tell],
            start_new_session=True,  # so that its group can be ended, and Ctrl-C is ours alone
            env={**WORKER_ENVIRONMENT, **os.environ, "TMPDIR": folder},
        )
        os.close(tell)
        try:
            yield process, told
        finally:
            os.close(told)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def heard(told: int, seconds: float) -> tuple[dict[str, Any], bool]:
    """All that is said up to a verdict or the end, and whether that came in time.

    The last word on each counts. The ``seconds`` are the layer's, from when its turn is told.
    """
    found: dict[str, Any] = {}
    begun, deadline = b"", time.monotonic() + SECONDS_TO_BEGIN
    while "verdict" not in found:
        ready, _, _ = select.select([told], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return found, False
        read = os.read(told, MOST_READ)
        if not read:
            break
        *lines, begun = (begun + read).split(b"\n")
        for line in lines:
            found |= (said := json.loads(line))
            if said.get("stage") == OF_THE_LAYER:
                deadline = time.monotonic() + seconds
    return found, True


def _too_long(request: Request) -> dict[str, Any]:
    return {"verdict": "limit", "reason": f"it did not end within {request.seconds:g} s"}


def _ended_early(process: subprocess.Popen[bytes], found: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict on a process that has closed the pipe without one.

    Raises:
        RuntimeError: if it had not come to the layer.
    """
    try:
        code = process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        return {"verdict": "error", "reason": "it will not say what was found"}
    how = f"exit code {code}" if code >= 0 else signal.strsignal(-code)
    if found.get("stage") in (None, "task"):
        raise RuntimeError(f"the process that judges ended before it came to the layer: {how}")
    return {"verdict": "error", "reason": f"it ended its process: {how}"}
