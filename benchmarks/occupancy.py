"""How much of the workers' wall time a finished search spent inside training.

    python -m benchmarks.occupancy runs/NAME

A worker's wall time runs from the first trial proposed for it, process start and imports included,
to its last trial's end. Training is the time in `trainables.trial.run_trial`, held-out tests,
checkpoints and forgetting curves included, less the time a report waits for Tune.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.disk.record import Record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("search", type=Path, help="folder of a finished search")
    folder = parser.parse_args().search
    records = list(Ledger(SearchFolder(folder.parent, folder.name)).records.values())
    by_worker: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_worker[record.report.worker].append(record)
    table = Table("worker", "trials", "wall s", "training s", "share")
    total_wall = total_busy = 0.0
    for worker, done in sorted(by_worker.items()):
        wall = (max(r.ended_ms or 0 for r in done) - min(r.started_ms for r in done)) / 1000
        busy = sum(r.report.busy_seconds for r in done)
        total_wall, total_busy = total_wall + wall, total_busy + busy
        table.add_row(worker, str(len(done)), f"{wall:.0f}", f"{busy:.0f}", f"{busy / wall:.1%}")
    whole = max(r.ended_ms or 0 for r in records) - min(r.started_ms for r in records)
    all_slots = whole / 1000 * len(by_worker)
    table.add_row("all", str(len(records)), f"{total_wall:.0f}", f"{total_busy:.0f}",
                  f"{total_busy / total_wall:.1%}")  # fmt: skip
    Console().print(table)
    print(f"of all slots from the first start to the last end: {total_busy / all_slots:.1%}")


if __name__ == "__main__":
    main()
