"""Who first has a configuration that fresh members confirm.

    python -m benchmarks.race [COURSE ...] [--seeds 5] [--sides SIDE ...] [--minutes 10]
                              [--enough 8] [--certify] [--to FILE]

Sides take turns, seed by seed: the recipe of Ray Tune's documentation (function trainable,
OptunaSearch, ASHA, MLflow's callback), plain Optuna with its pruner and two processes, a grid in a
Ray pool with an early stop at 99 % as zoology runs it, and Longspan. The first three train one
member at the course's lag. A side's configurations that pass by its own measure are its candidates;
each in turn is tried, off the clock, by five fresh members trained as that side trains, and the
first of which all five learn the lag counts: printed are wall and processor seconds until it came
up. With `--certify` a candidate must pass 21 of 22, and the time that takes, two at a time, counts.
Two cores; processor seconds are those of all of a side's processes.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks.race.course import COURSES, write
from benchmarks.race.judging import judge
from benchmarks.race.side import SIDES, Ran, run

MEMBERS, CERTIFICATE, FAILURES = 5, 22, 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("courses", nargs="*", default=[], metavar="COURSE", help=", ".join(COURSES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--sides", nargs="*", default=list(SIDES), choices=SIDES)
    parser.add_argument("--minutes", type=float, default=10.0, help="of wall time, a side")
    parser.add_argument("--enough", type=int, default=8, help="candidates, that end a side")
    parser.add_argument("--certify", action="store_true")
    parser.add_argument("--to", type=Path, help="where each result is added as a line of JSON")
    asked = parser.parse_args()
    for course in asked.courses or COURSES:
        if course not in COURSES:
            parser.error(f"COURSE: {course!r} is not known; allowed: {', '.join(COURSES)}")
    print("| course | side | seed | candidates | tried | wall s | CPU s |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for course in asked.courses or COURSES:
        for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
            for side in asked.sides:
                with tempfile.TemporaryDirectory() as made:
                    result = race(course, side, seed, Path(made), asked)
                found[course, side].append(result)
    print("\n| course | side | confirmed | wall s, median (least, most) | CPU s, median |")
    print("| --- | --- | ---: | ---: | ---: |")
    for (course, side), results in found.items():
        walls, cpus = ([each[k] for each in results] for k in (0, 1))
        held = f"{sum(map(math.isfinite, walls))} of {len(results)}"
        wall = f"{statistics.median(walls):.0f} ({min(walls):.0f}, {max(walls):.0f})"
        print(f"| {course} | {side} | {held} | {wall} | {statistics.median(cpus):.0f} |")


def race(
    course: str, side: str, seed: int, folder: Path, asked: argparse.Namespace
) -> tuple[float, float]:
    """One side on one course: wall and processor seconds; infinite if nothing was confirmed."""
    spec = folder / "race.yaml"
    write(course, seed, spec)
    ran = run(side, spec, seed, folder / side, 60 * asked.minutes, asked.enough)
    tried, wall, cpu = confirmed(ran, spec, side == "longspan_search", asked.certify)
    if not ran.candidates:
        print((folder / side / "output").read_text()[-500:])
    print(f"| {course} | {side} | {seed} | {len(ran.candidates)} | {tried} | {wall:.0f} |"
          f" {cpu:.0f} |", flush=True)  # fmt: skip
    if asked.to:
        line = {"course": course, "side": side, "seed": seed, "certify": asked.certify,
                "candidates": len(ran.candidates), "tried": tried,
                "wall": wall, "cpu": cpu}  # fmt: skip
        with asked.to.open("a") as opened:
            opened.write(json.dumps(line) + "\n")
    return wall, cpu


def confirmed(ran: Ran, spec: Path, climbs: bool, certify: bool) -> tuple[int, float, float]:
    """How many candidates were tried, and the seconds until the first that holds."""
    members, failures = (CERTIFICATE, FAILURES) if certify else (MEMBERS, 0)
    spent_wall = spent_cpu = 0.0
    for tried, candidate in enumerate(ran.candidates, start=1):
        found = judge(spec, candidate.chosen, climbs, members, failures)
        if certify:
            spent_wall, spent_cpu = spent_wall + found.seconds, spent_cpu + found.cpu
        if found.passed:
            wall, cpu = ran.until(candidate)
            return tried, wall + spent_wall, cpu + spent_cpu
    return len(ran.candidates), math.inf, math.inf


if __name__ == "__main__":
    main()
