"""What training several members in one stack could save: the most that it could, not a stack.

    python -m benchmarks.members_together [steps] [trials]

K members in a stack cannot take less time than one member takes that sees K times as many
sequences: calls are as few, and there is one set of weights to read instead of K. So the first
table gives, for one layer, K = 3 times a training step's time over that of a step with three times
the batch: the gain that a stack stays below. The second plays trials of `everything` apart
(`benchmarks.replay`), measures the same for the model and each lag of a trial, and gives what the
members' training would take in a stack: of the members that were tried on a rung, which nobody
knows beforehand, and of all of them until the first one failed. One thread, processor time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.replay.collect import draws
from benchmarks.replay.tasks import MEASURED, SEED
from trainables.config import TrialConfig
from trainables.description import describe
from trainables.measure.records import MemberRung
from trainables.models.kernels import describe as kernels
from trainables.tasks import make_task
from trainables.training.climber import trial_streams
from trainables.training.member import Member
from trainables.trial import TrialSpec, run_trial

TASK = "recall"
KINDS = ("lstm", "gru", "rnn", "min_gru", "lru", "mamba")
WIDTHS, BATCHES, LAGS = (8, 16, 32), (8, 32), (64, 1024)
MEMBERS = 3
CPU = torch.device("cpu")


def times(config: TrialConfig, lag: int, batches: Sequence[int], repetitions: int) -> list[float]:
    """Median seconds of a member's training step on so many sequences each, in turns."""
    task_config = MEASURED[TASK].task
    task, streams = make_task(task_config, None), trial_streams(config, task_config, SEED)
    member = Member(config, task, streams, 0, lag, CPU)
    member.enter(1.0, 1000)
    drawn = [task.sample(lag, batch, streams.generator("train", lag, 0)) for batch in batches]
    taken: list[list[float]] = [[] for _ in batches]
    for repetition in range(repetitions + 1):
        for batch, spent in zip(drawn, taken, strict=True):
            began = time.process_time()
            member.learn(batch)
            if repetition:
                spent.append(time.process_time() - began)
    return [statistics.median(spent) for spent in taken]


def one_layer(kind: str, width: int, batch: int) -> TrialConfig:
    """A model of one such layer, and the rest as it is by default."""
    return TrialConfig.model_validate(
        {"model": {"cell": {"kind": kind}, "hidden_size": width, "depth": 1},
         "training": {"batch_size": batch}}
    )  # fmt: skip


def steps(repetitions: int) -> None:
    """The first table."""
    heads = [f"{lag}, {batch} x {width}" for lag in LAGS for batch in BATCHES for width in WIDTHS]
    print(f"| lag, batch x width | {' | '.join(heads)} |")
    print(f"| --- |{' ---: |' * len(heads)}")
    for kind in KINDS:
        row = []
        for lag in LAGS:
            for batch in BATCHES:
                for width in WIDTHS:
                    config = one_layer(kind, width, batch)
                    one, all_ = times(config, lag, (batch, MEMBERS * batch), repetitions)
                    row.append(f"{MEMBERS * one / all_:.2f}")
        print(f"| `{kind}` | {' | '.join(row)} |", flush=True)


def trials(number: int, repetitions: int) -> None:
    """The second table."""
    print("| trial | architecture | training apart, s | tried in a stack | all in a stack |")
    print("| ---: | --- | ---: | ---: | ---: |", flush=True)
    totals = [0.0, 0.0, 0.0]
    for _, (draw, _, config) in zip(range(number), draws(0), strict=False):
        spent = [0.0, 0.0, 0.0]
        rows = [row for row in climb(config) if row.sequences]
        batch = config.training.batch_size
        for lag in sorted({row.lag for row in rows}):
            taken = [0.0, *times(config, lag, [k * batch for k in range(1, MEMBERS + 1)],
                                 repetitions)]  # fmt: skip
            shown = [row.sequences / batch for row in rows if row.lag == lag]
            failed = [row for row in rows if row.lag == lag and not row.solved]
            spent[0] += taken[1] * sum(shown)
            spent[1] += stacked(shown, taken)
            most = failed[0].sequences / batch if failed else max(shown)
            others = [most] * (MEMBERS - len(shown)) if failed else []
            spent[2] += stacked([*shown, *others], taken)
        totals = [total + part for total, part in zip(totals, spent, strict=True)]
        print(f"| {draw} | {describe(config.model_dump())} | {spent[0]:.2f} |"
              f" {spent[1]:.2f} | {spent[2]:.2f} |", flush=True)  # fmt: skip
    print(f"\nin all {totals[0]:.1f} s apart; at best {totals[1]:.1f} s with the tried in a stack"
          f" ({totals[0] / totals[1]:.2f} times less), {totals[2]:.1f} s with all"
          f" ({totals[0] / totals[2]:.2f})")  # fmt: skip


def stacked(shown: Iterable[float], taken: Sequence[float]) -> float:
    """Seconds of members that need so many steps, each leaving the stack when it is done."""
    total, done, left = 0.0, 0.0, sorted(shown)
    while left:
        total += (left[0] - done) * taken[len(left)]
        done = left.pop(0)
    return total


def climb(config: TrialConfig) -> tuple[MemberRung, ...]:
    """The members' rows of a trial, apart, as a search runs it."""
    measured: Any = MEASURED[TASK]
    spec = TrialSpec(config, {TASK: measured.task}, measured.ladder, SEED, curve=False)
    with tempfile.TemporaryDirectory() as folder:
        return run_trial(spec, Path(folder), lambda *_: None, CPU).rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", help="steps, trials; both, if none is named")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=7)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{kernels()}; {TASK}, {MEMBERS} members, one thread\n")
    if "steps" in asked.tables or not asked.tables:
        steps(asked.repetitions)
        print()
    if "trials" in asked.tables or not asked.tables:
        trials(asked.trials, asked.repetitions)


if __name__ == "__main__":
    main()
