"""Longspan's own search, as its command runs it; a candidate is a trial that passed the top."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from benchmarks.race.candidates import announce
from benchmarks.race.course import course_of
from benchmarks.race.side import TICK
from search.cli import main as longspan
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger


def watch(folder: Path, top: int) -> None:
    """Announce trials as they pass the top, by as many members as the spec asks for."""
    told: set[int] = set()
    while True:
        time.sleep(TICK)
        if not (folder / "race" / "trials").is_dir():
            continue
        for number, record in Ledger(SearchFolder(folder, "race")).records.items():
            if number not in told and record.report.reach >= top:
                told.add(number)
                announce(folder / "candidates", record.configuration)


def main(path: str, folder: Path) -> None:
    """Search until the process is ended."""
    top = course_of(path).ladder.stop
    threading.Thread(target=watch, args=(folder, top), daemon=True).start()
    sys.argv = ["longspan", "search", path, "--runs", str(folder)]
    longspan()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[3]))
