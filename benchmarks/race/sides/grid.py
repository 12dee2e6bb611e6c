"""A grid in a pool of Ray's, each run ended early at 99 %, as zoology runs its sweeps.

The grid is that of what is chosen first, kinds and widths, and four learning rates; everything else
is as in a random draw of the kind. Its order is shuffled, as a sweep has none that helps.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray

from benchmarks.race.candidates import announce
from benchmarks.race.course import course_of, rounds
from search.proposing.draws import flat_draws, nested
from search.spec.spaces import find_space
from search.spec.spec import Spec

ENOUGH, RATES, DRAWS = 0.99, (1e-4, 10 ** (-10 / 3), 10 ** (-8 / 3), 1e-2), 64


def points(spec: Spec, seed: int) -> list[dict[str, Any]]:
    """The grid's, in a random order."""
    first: dict[tuple[Any, Any], dict[str, Any]] = {}
    for flat in flat_draws(find_space(spec), DRAWS):
        first.setdefault((flat["model/cell/kind"], flat["model/hidden_size"]), flat)
    found = [
        nested({**flat, "training/learning_rate": rate}) for flat in first.values()
        for rate in RATES
    ]  # fmt: skip
    random.Random(seed).shuffle(found)
    return found


def passing(path: str, seed: int, folder: Path, waiting: list[dict[str, Any]]) -> Iterator[None]:
    """Run the grid, two points at a time."""

    @ray.remote(num_cpus=1)
    def run(chosen: dict[str, Any]) -> None:
        for heard in rounds(course_of(path), chosen, seed):
            if heard.passed:
                announce(folder / "candidates", chosen)
            if heard.success >= ENOUGH:
                return

    running: list[Any] = []
    while waiting or running:
        while waiting and len(running) < 2:
            running.append(run.remote(waiting.pop(0)))
        (ended,), running = ray.wait(running)
        ray.get(ended)
        yield


def main(path: str, seed: int, folder: Path) -> None:
    """The grid, to its end or the process's."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    for _ in passing(path, seed, folder, points(course_of(path), seed)):
        pass


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
