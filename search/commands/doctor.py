"""``doctor``: what this machine is to Longspan, what is wrong with it, and what to do."""

from __future__ import annotations

import locale
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from search.cluster.connection import listens
from search.commands import EXIT_USER_ERROR, RUNS, Json, Runs, console, print_json
from search.scheduling import WORKER_ENVIRONMENT

LEAST_FREE_BYTES = 2 * 2**30
LEAST_SHARED_BYTES = 256 * 2**20
PAGES = 5000
"""The port of MLflow's pages, unless another is given."""
MOST_OFF = 5.0
"""Seconds between this machine's clock and its disk's."""
FIRST_YEAR = 1.7e9
"""Seconds since the epoch, before which there was no Longspan."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        wrong: what to do, where it hinders a search
        advice: what to do, where a search runs without it
    """

    about: str
    found: str
    wrong: str = ""
    advice: str = ""


def doctor(runs: Runs = RUNS, json: Json = False) -> None:
    """Say what this machine offers a search, what is wrong, and what to do about it.

    Exits with 2 if something would hinder a search.
    """
    found = list(_findings(runs))
    if json:
        print_json([asdict(one) for one in found])
        raise typer.Exit(_code(found))
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column(overflow="fold")
    for one in found:
        mark = "[red]wrong[/red]" if one.wrong else "[yellow]note[/yellow]" if one.advice else "ok"
        told = "; ".join(filter(None, (one.found, one.wrong or one.advice)))
        table.add_row(mark, one.about, escape(told))
    console.print(table)
    raise typer.Exit(_code(found))


def _code(found: Iterable[Finding]) -> int:
    return EXIT_USER_ERROR if any(one.wrong for one in found) else 0


def _findings(runs: Path) -> Iterator[Finding]:
    yield from _versions()
    yield from _computing()
    yield _folder("runs folder", runs.absolute())
    yield _folder("temporary folder", Path(tempfile.gettempdir()))
    yield from _shared_memory(Path("/dev/shm"))
    yield _ports()
    yield _clock(runs.absolute())
    yield _encoding()


def _versions() -> Iterator[Finding]:
    from search.disk.versions import versions

    for name, version in versions().items():
        missing = "run `make install`" if version == "not installed" and name != "longspan" else ""
        yield Finding(name, version, wrong=missing)


def _computing() -> Iterator[Finding]:
    """Processors, devices, and how recurrences are computed."""
    import torch

    from search.scheduling.machines import here
    from trainables.models.kernels import describe

    (machine,) = here()
    yield Finding("processors", f"{machine.cpus:g}")
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    yield Finding("CUDA devices", ", ".join(devices) or "none")
    path = describe()
    slow = "" if path.startswith("c: ") else "recurrences train several times slower without"
    yield Finding("kernels", path, advice=slow)
    told = [f"{name}={os.environ.get(name, value)}" for name, value in WORKER_ENVIRONMENT.items()]
    own = ", ".join(name for name in WORKER_ENVIRONMENT if name in os.environ)
    yield Finding("worker environment", ", ".join(told) + (f"; yours: {own}" if own else ""))


def _folder(about: str, folder: Path) -> Finding:
    """Whether it can be written and what is free: of the nearest folder that is there."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        free = shutil.disk_usage(there).free
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return Finding(about, str(folder), wrong=f"{error.strerror}: name another by --runs")
    text = f"{folder}, {free / 2**30:.1f} GiB free"
    little = "make room: a search keeps weights and checkpoints" if free < LEAST_FREE_BYTES else ""
    return Finding(about, text, wrong=little)


def _shared_memory(folder: Path) -> Iterator[Finding]:
    """Ray keeps its objects there."""
    if folder.is_dir():
        free = shutil.disk_usage(folder).free
        little = "Ray writes to disk instead, slowly" if free < LEAST_SHARED_BYTES else ""
        yield Finding("shared memory", f"{free / 2**30:.1f} GiB free", advice=little)


def _ports() -> Finding:
    """Ray's processes and MLflow's pages talk over 127.0.0.1."""
    try:
        with socket.socket() as any_port:
            any_port.bind(("127.0.0.1", 0))
    except OSError as error:
        return Finding(
            "ports", f"127.0.0.1: {error.strerror}", wrong="Ray needs ports there: allow them"
        )
    advice = f"{PAGES} is taken: `longspan ui` needs another, as --port {PAGES + 1}"
    return Finding("ports", "127.0.0.1 can be listened on", advice=advice if listens(PAGES) else "")


def _clock(folder: Path) -> Finding:
    """Records are dated by it, and files by the machine that their disk is on."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    now = time.time()
    told = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now))
    if now < FIRST_YEAR:
        return Finding("clock", told, wrong="it lies in the past: set it, or encrypted links fail")
    try:
        with tempfile.NamedTemporaryFile(dir=there) as file:
            off = abs(Path(file.name).stat().st_mtime - now)
    except OSError:
        return Finding("clock", told)  # that nothing can be written is told of the folder
    advice = f"the disk of {there} is {off:.0f} s off: synchronise the clocks of the two machines"
    return Finding("clock", told, advice=advice if off > MOST_OFF else "")


def _encoding() -> Finding:
    told = sys.stdout.encoding or locale.getpreferredencoding(do_setlocale=False)
    other = told.lower().replace("-", "") != "utf8"
    return Finding("terminal", told, advice="set PYTHONUTF8=1 for signs like ≥" if other else "")
