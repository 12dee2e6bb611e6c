"""How many times sooner two workers end the same search than one.

    python -m benchmarks.workers [SPEC] [--trials 48] [--times 3]

The random sampler and no scheduler: the trials of both are the same, and so are their outcomes,
which is checked. Searches by one worker and by two take turns. Printed are seconds from the first
trial's first step to the last one's end and from the command to the prompt, each as medians, and
what one worker takes over what two take. On a machine of two cores the second worker has to share
its core with the driver, with MLflow's recorder and with Ray.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.around import stretch
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger

SPEC = """
space: quick
tasks: [recall]
ladder: {start: 8, stop: 64, ratio: 2, members: 2, quorum: 2, sequences: 10000}
controls: off
"""

COMMAND = "from search.cli import main; main()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("spec", type=Path, nargs="?", help="another search than the one here")
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    spec = yaml.safe_load(given.spec.read_text() if given.spec else SPEC)
    found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    outcomes = []
    for _ in range(given.times):
        for workers in found:
            with tempfile.TemporaryDirectory() as made:
                trials, whole, reached = searched(spec, workers, given.trials, Path(made))
            found[workers].append((trials, whole))
            outcomes.append(reached)
            if reached != outcomes[0]:
                raise SystemExit("the searches came to different outcomes")
            print(f"{workers}: trials {trials:.1f} s, whole {whole:.1f} s", flush=True)
    for name, place in (("trials", 0), ("whole", 1)):
        one, two = (statistics.median(each[place] for each in found[k]) for k in (1, 2))
        print(f"{name}: one {one:.1f} s, two {two:.1f} s, {one / two:.2f} times sooner")


def searched(
    spec: dict[str, object], workers: int, trials: int, place: Path
) -> tuple[float, float, object]:
    """Seconds of the trials and of the whole, and each trial's reach."""
    settings = {"trials": trials, "sampler": "random", "scheduler": "none", "concurrency": workers}
    path = place / "workers.yaml"
    path.write_text(yaml.safe_dump({**spec, "name": "workers", "search": settings}))
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", COMMAND, "search", str(path), "--runs", str(place / "runs")],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    whole = time.monotonic() - began
    records = Ledger(SearchFolder(place / "runs", "workers")).records
    first, last = stretch(records.values())
    reached = {
        number: (each.report.reach, each.report.progress) for number, each in records.items()
    }
    return last - first, whole, reached


if __name__ == "__main__":
    main()
