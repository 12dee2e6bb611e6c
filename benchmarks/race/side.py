"""Running one side: until it has candidates enough, by a clock of wall and of processor time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.race.candidates import Candidate, announced

SIDES = ("ray_tune", "plain_optuna", "grid", "longspan_search")
MARK = "LONGSPAN_RACE"
"""A variable by whose value a side's processes are known, whoever started them."""

TICK = 0.5


@dataclass
class Ran:
    """What a side came to.

    Attributes:
        began: seconds since the epoch
        candidates: in the order in which they came up
        clock: by time since the epoch, seconds of processors used so far
    """

    began: float
    candidates: list[Candidate] = field(default_factory=list)
    clock: list[tuple[float, float]] = field(default_factory=list)

    def until(self, candidate: Candidate) -> tuple[float, float]:
        """Wall and processor seconds until it came up."""
        cpu = next((used for at, used in self.clock if at >= candidate.at), self.clock[-1][1])
        return candidate.at - self.began, cpu


def run(side: str, spec: Path, seed: int, folder: Path, seconds: float, enough: int) -> Ran:
    """Run a side until it has ``enough`` candidates, ends by itself, or the time is over."""
    folder.mkdir(parents=True)
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", f"benchmarks.race.sides.{side}"]
    ran, used = Ran(time.time()), dict[int, float]()
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(
            [*command, str(spec), str(seed), str(folder)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, MARK: mark, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
    while process.poll() is None and time.time() - ran.began < seconds:
        time.sleep(TICK)
        used |= _processor_seconds(mark)
        ran.clock.append((time.time(), sum(used.values())))
        ran.candidates = announced(folder / "candidates")
        if len(ran.candidates) >= enough:
            break
    _end(process, mark)
    ran.candidates = announced(folder / "candidates")
    return ran


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """End the side and all that it started."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)
    while left := list(_processor_seconds(mark)):
        for number in left:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        process.poll()
        time.sleep(TICK)


def _processor_seconds(mark: str) -> dict[int, float]:
    """By process of a side, the processor time that it has used."""
    found, ticks = {}, os.sysconf("SC_CLK_TCK")
    sought = f"{MARK}={mark}".encode()
    for there in Path("/proc").iterdir():
        if not there.name.isdigit():
            continue
        with suppress(OSError):
            if sought not in (there / "environ").read_bytes().split(b"\0"):
                continue
            fields = (there / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                found[int(there.name)] = (int(fields[11]) + int(fields[12])) / ticks
    return found
