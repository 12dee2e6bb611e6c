"""What a search takes besides training: trials that fail at once, from the command to the prompt.

    python -m benchmarks.around [--trials 100] [--runs DIR]

Printed are seconds from the command to the first trial's first step, from there to the last
trial's end, from there to the prompt, and processor seconds of the driver's own process. A runs
folder that is new takes controls and an MLflow database of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.disk.record import Record

SPEC = """
name: trivial
space: quick
tasks: [copying]
ladder: {start: 16, stop: 64, members: 1, quorum: 1, sequences: 64}
search: {trials: TRIALS, sampler: random, scheduler: none}
"""

COMMAND = """
import json, resource, sys
from search.cli import main
try:
    main()
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps(used.ru_utime + used.ru_stime))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--runs", type=Path, help="a new one, if none is given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        measure(given.trials, given.runs or Path(made) / "runs", Path(made) / "spec.yaml")


def measure(trials: int, runs: Path, spec: Path) -> None:
    """Run the search and print what it took."""
    spec.write_text(SPEC.replace("TRIALS", str(trials)))
    began = time.time()
    said = subprocess.run(
        [sys.executable, "-c", COMMAND, "search", str(spec), "--runs", str(runs)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    ended = time.time()
    records = Ledger(SearchFolder(runs, "trivial")).records.values()
    first, last = stretch(records)
    cpu = json.loads(said.splitlines()[-1])
    print(f"to the first step {first - began:.1f} s, trials {last - first:.1f} s, "
          f"after the last {ended - last:.1f} s, whole {ended - began:.1f} s; "
          f"driver {cpu:.1f} s of CPU, {cpu / len(records):.2f} a trial")  # fmt: skip


def stretch(records: Collection[Record]) -> tuple[float, float]:
    """When the first of ended trials took its first step, and the last one's end, since the epoch.

    In seconds.
    """
    ends = [(record.ended_ms or 0) / 1000 for record in records]
    starts = [end - each.report.busy_seconds for end, each in zip(ends, records, strict=True)]
    return min(starts), max(ends)


if __name__ == "__main__":
    main()
