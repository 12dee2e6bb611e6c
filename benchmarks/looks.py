"""What looks by stages cost and prove, beside whole ones: forward passes, operations, errors.

    python -m benchmarks.looks

Trials of random configurations of ``quick`` on ``recall``, trained here one after the other, once
by whole looks and once by sequential ones, from the same seeds. A training sequence counts as three
forward passes, one that is shown as one. Then the exact table of errors and powers. Minutes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch

from search.proposing.draws import draw
from spaces import SPACES
from trainables.config import TrialConfig
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.looks.stages import Stages
from trainables.measure.records import MemberRung
from trainables.measure.reliability import look_confidence
from trainables.measure.report import Report
from trainables.models.model import outline
from trainables.tasks.recall import Recall
from trainables.training import rung
from trainables.training.held_out import evaluation
from trainables.trial import TrialSpec, run_trial

TASK = Recall.Config()
LADDER = {"start": 8, "stop": 128, "members": 3, "quorum": 3, "sequences": 6000}
RATES = (0.92, 0.94, 0.96)

Looks = Literal["whole", "sequential"]


class Spent:
    """Sequences shown in selections, looks and beside controls, by lag; and what they cost."""

    def __init__(self) -> None:
        self.shown: Counter[int] = Counter()
        self.ahead: list[MemberRung] = []


@contextmanager
def counted() -> Iterator[Spent]:
    """Count what is shown to members on a rung while they are tested."""
    spent, each_right = Spent(), evaluation._each_right
    begun, lag = rung.RungTraining.run, [0]

    def run(training: Any, tick: Any) -> Any:
        lag[0] = training.lag
        row = begun(training, tick)
        lag[0] = 0
        if not training.claims:
            spent.ahead.append(row)
        return row

    def noted(*arguments: Any) -> Any:
        for batch, right in each_right(*arguments):
            if lag[0]:
                spent.shown[lag[0]] += len(right)
            yield batch, right

    evaluation._each_right = noted
    rung.RungTraining.run = run  # type: ignore[method-assign]
    try:
        yield spent
    finally:
        evaluation._each_right = each_right
        rung.RungTraining.run = begun  # type: ignore[method-assign]


def climbed(config: TrialConfig, looks: Looks, seed: int) -> tuple[Report, Spent]:
    """A trial, and what its tests have shown."""
    ladder = LadderConfig.model_validate({**LADDER, "looks": looks})
    spec = TrialSpec(config, {"recall": TASK}, ladder, seed, curve=False)
    with tempfile.TemporaryDirectory() as folder, counted() as spent:
        report = run_trial(spec, Path(folder), lambda *_: None, torch.device("cpu"))
    return report, spent


def costs(configurations: list[TrialConfig], seed: int) -> None:
    heads = ["looks", "rungs solved of tried", "trained", "shown in tests"]
    print_head([*heads, "forward passes a solved rung", "tests, of all operations", "GFLOP"])
    task = Recall(TASK)
    outcomes: dict[Looks, list[tuple[int, str]]] = {}
    for looks in ("whole", "sequential"):
        kind: Looks = looks  # type: ignore[assignment]
        solved = tried = trained = shown = 0
        training = tests = 0.0
        outcomes[kind] = []
        for config in configurations:
            report, spent = climbed(config, kind, seed)
            model = outline(config.model, task)
            outcomes[kind].append((report.reach, str(report.ended_by)))
            tried += len(report.rows)
            solved += sum(row.solved for row in report.rows)
            trained += sum(row.sequences for row in report.rows)
            shown += spent.shown.total()
            training += report.training_gflop
            tests += sum(
                1e-9 * n * model.flops(task.length(lag), 1) for lag, n in spent.shown.items()
            )
        passes = (3 * trained + shown) / max(1, solved)
        print(f"| {looks} | {solved} of {tried} | {trained:,} | {shown:,} | {passes:,.0f} "
              f"| {tests / (tests + training):.0%} | {tests + training:.1f} |",
              flush=True)  # fmt: skip
    print(f"\nReach, and how it ended: {outcomes}")


def print_head(heads: list[str]) -> None:
    """The first lines of a table in Markdown."""
    print(f"\n| {' | '.join(heads)} |")
    print("| --- |" + " ---: |" * (len(heads) - 1))


def errors() -> None:
    """By recursion: what a look errs with, how often it passes, how much it shows."""
    heads = ["look", "error allowed", "of a whole look", "of one by stages", "passes with"]
    powers = [f"p = {rate}: whole, by stages" for rate in RATES]
    print_head([*heads, *powers, "shown at 0.99, 1"])
    for look in (1, 2, 3, 5, 10, 20):
        error = 1 - look_confidence(look)
        whole, staged = (Stages.of(512, 0.9, error, by_stages) for by_stages in (False, True))
        cells = [f"{look}", f"{error:.5f}", f"{whole.error:.5f}", f"{staged.error:.5f}",
                 ", ".join(f"{c} of {n}" if c <= n else "–"
                           for n, c in zip(staged.sizes, staged.needed, strict=True)),
                 *(f"{whole.chance(p):.1%}, {staged.ends(p)[0]:.1%}" for p in RATES),
                 ", ".join(f"{staged.ends(p)[1]:.0f}" for p in (0.99, 1.0))]  # fmt: skip
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    errors()
    costs(draw(SPACES["quick"], asked.trials), asked.seed)


if __name__ == "__main__":
    main()
