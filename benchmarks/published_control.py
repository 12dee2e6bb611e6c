"""Zoology's control, trained by Longspan: how many single answers are right, epoch by epoch.

    python examples/data/make_mqar.py
    python -m benchmarks.published_control [--rate 0.00215] [--minutes 60]
    python -m benchmarks.published_control --choose training/batch_size=64

Rows, budget and member are those of `examples/mqar.yaml` and its space, but for what is chosen in
its place, each a PATH=VALUE in YAML. Four times an epoch the member is tested on all held-out rows,
which decides nothing; training ends where the published protocol ends, once 99 % of the single
answers are right, or when the rung is solved or the minutes are over. One thread.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from search.proposing.draws import nested
from search.spec.reading import read
from trainables.config import TrialConfig
from trainables.tasks import make_task
from trainables.training.climber import Climber
from trainables.training.held_out.evaluation import evaluate
from trainables.training.rung import RungTraining

SPEC = Path(__file__).parents[1] / "examples" / "mqar.yaml"
EPOCH, TESTS_AN_EPOCH, ENOUGH = 99_000, 4, 0.99
CPU = torch.device("cpu")


class OverError(Exception):
    """Enough answers are right, or the time is."""


class Watch:
    """Tests the member under way on all held-out rows, and prints a row."""

    def __init__(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds
        self.due = (k * EPOCH // TESTS_AN_EPOCH for k in itertools.count(1))
        self.next = next(self.due)

    def __call__(self, training: RungTraining) -> None:
        """After a training step."""
        now, over = training.progress, time.monotonic() > self.ends
        if now.sequences < self.next and not over:
            return
        while self.next <= now.sequences:
            self.next = next(self.due)
        held_out, chance = training.splits["test"], torch.Generator().manual_seed(0)
        tally = evaluate(training.member.judged, held_out, training.lag, EPOCH, chance, CPU)
        right = tally.answers_right / tally.answers
        print(
            f"| {now.sequences / EPOCH:.2f} | {now.sequences:,} | {training.recent_loss:.3f} |"
            f" {right:.1%} | {tally.rate:.1%} | {now.seconds:.0f} |",
            flush=True,
        )
        if over or right > ENOUGH:
            raise OverError


def main() -> None:
    """Print the curve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=0.00215)
    parser.add_argument("--choose", nargs="*", default=[], metavar="PATH=VALUE")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    spec = read(SPEC)
    (task,) = spec.tasks
    assert spec.choices is not None
    chosen: dict[str, Any] = {**spec.choices, "training/learning_rate": asked.rate}
    for choice in asked.choose:
        path, _, value = choice.partition("=")
        chosen[path] = yaml.safe_load(value)
    print("| epochs | sequences | loss | single answers right | whole rows | seconds |")
    print("| ---: " * 6 + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        climber = Climber(
            config=TrialConfig.model_validate(nested(chosen)),
            name=task.kind,
            task=make_task(task),
            task_config=task,
            ladder=spec.ladder,
            seed=asked.seed,
            weights=Path(folder),
            device=CPU,
            tick=Watch(60 * asked.minutes),
            measured=lambda row: print(row, flush=True),
        )
        try:
            climber.climb()
        except OverError:
            return


if __name__ == "__main__":
    main()
