"""Measures configurations for the table of real trials, one after the other, until it is stopped.

    nice -n 19 python -m benchmarks.replay.collect [--to FILE] [--until COUNT] [--certify]

The random sampler draws from `everything` (`benchmarks.replay.tasks`). Every member climbs for
itself until it fails, whatever the others do, so that any rule of members can be played later. A
draw is added when all of its tasks are measured: the command may be killed at any time, and goes on
where it was. With `--certify` it measures, for the trials that stand on a ladder's top, as many
fresh members as a certificate asks for, instead of new draws.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.replay.table import TABLE, Table, read_table
from benchmarks.replay.tasks import MEASURED, MEMBERS, SEED, SPACE, Measured
from benchmarks.replay.trials import FRESH, trials_of
from search.proposing.constraints import Constraints
from search.proposing.draws import nested, proposed
from search.proposing.new_study import new_study
from search.proposing.samplers import make_sampler
from spaces import SPACES
from trainables.config import TrialConfig
from trainables.description import describe
from trainables.measure.records import MemberRung
from trainables.models import kernels
from trainables.trial import TrialSpec, run_trial


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=TABLE, help="the table")
    parser.add_argument("--until", type=int, default=100_000, help="configurations in the table")
    parser.add_argument("--certify", action="store_true", help="fresh members of the best")
    given = parser.parse_args()
    torch.set_num_threads(1)
    kernels.describe()
    table = read_table(given.to)
    if given.certify:
        certify(table)
        return
    count = len({row["number"] for row in table.rows})
    for number, parameters, config in draws(table.last + 1):
        if count >= given.until:
            break
        started = time.process_time()
        rows = [
            row for name, measured in MEASURED.items() for row in measure(name, measured, config)
        ]
        table.add(number, parameters, rows)
        count += 1
        seconds = time.process_time() - started
        print(f"{count} ({number}): {describe(config.model_dump())}: {seconds:.1f} s", flush=True)


def certify(table: Table) -> None:
    """Add the fresh members of each trial on top that has none."""
    for name, measured in MEASURED.items():
        for trial in trials_of(table, name):
            if trial.reach < measured.ladder.stop or trial.certified is not None:
                continue
            config = TrialConfig.model_validate(nested(trial.parameters))
            rows = measure(name, measured, config, MEMBERS + FRESH)
            table.add(trial.number, trial.parameters, [r for r in rows if r.member >= MEMBERS])
            print(f"{name}: fresh members of {trial.number}", flush=True)


def draws(first: int) -> Iterator[tuple[int, dict[str, Any], TrialConfig]]:
    """The draws from a number on that the constraints let pass."""
    fits = Constraints(next(iter(MEASURED.values())).spec("table"))
    number = first
    while True:
        trial = new_study(sampler=make_sampler("random", SEED, number)).ask()
        config = TrialConfig.model_validate(proposed(SPACES[SPACE], trial))
        if not fits.exceeded(config):
            yield number, dict(trial.params), config
        number += 1


def measure(
    name: str, measured: Measured, config: TrialConfig, members: int = MEMBERS
) -> list[MemberRung]:
    """Every member's climb of one task; a row of ``error`` where the trial ended by one.

    That one member is asked for on each rung lets each climb for itself.
    """
    ladder = measured.ladder.model_copy(update={"members": members, "quorum": 1})
    spec = TrialSpec(config, {name: measured.task}, ladder, SEED, curve=False)
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = run_trial(
                spec, Path(folder), _silent, torch.device("cpu"), clock=time.process_time
            )
        except Exception as error:  # an outcome of the trial, as in a search
            print(f"{name}: {error}", flush=True)
            return [MemberRung(name, ladder.start, 0, "error")]  # type: ignore[arg-type]  # an end of trials
    return list(report.rows)


def _silent(report: Any, checkpoint: Path | None) -> None:
    """Nobody is told."""


if __name__ == "__main__":
    main()
