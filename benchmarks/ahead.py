"""Going ahead against climbing from the bottom: what each spends until a configuration passes.

    python -m benchmarks.ahead

Random configurations, the same for each way, are tried one after the other until one passes the
ladder's top by three members of three; of each way it is counted which trial that is, how many
sequences were trained on by then, and the operations of training and of tests on rungs. One core.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.looks import counted
from search import spec as specs
from search.proposing.draws import proposed
from search.proposing.new_study import new_study
from search.proposing.samplers import make_sampler
from search.spec.spaces import find_space
from trainables.config import TrialConfig
from trainables.measure.ladder_config import LadderConfig
from trainables.models.model import outline
from trainables.tasks import make_task
from trainables.trial import TrialSpec, run_trial

LADDER = {"members": 3, "quorum": 3, "looks": "sequential"}
CASES: dict[str, dict[str, Any]] = {
    "recall 256": {"space": "quick", "tasks": ["recall"],
                   "ladder": {"start": 16, "stop": 256, "sequences": 10_000}},
    "copying 128": {"space": "examples/spaces/linear_recurrences.yaml", "tasks": ["copying"],
                    "ladder": {"start": 16, "stop": 128, "sequences": 10_000}},
}  # fmt: skip
MOST_TRIALS = 12
WAYS: dict[str, Callable[[LadderConfig], int | None]] = {
    "upwards": lambda ladder: None,
    "looking first": lambda ladder: ladder.start,
    "ahead": lambda ladder: ladder.stop,
}


def until_one_passes(
    case: str, way: str, seed: int, budget: int, only: tuple[int, int] | None
) -> str:
    """A row of the table."""
    asked = specs.take({**CASES[case], "name": "ahead"})
    given = {**asked.ladder.model_dump(), **LADDER, "ahead": WAYS[way](asked.ladder)}
    given |= {"sequences": budget}
    ladder, space = LadderConfig.model_validate(given), find_space(asked)
    ((name, task),) = asked.tasks_by_name.items()
    made = make_task(task, None)
    study = new_study(sampler=make_sampler("random", seed if only is None else only[0], 0))
    for _ in range(0 if only is None else only[1]):
        proposed(space, study.ask())
    sequences = training = tests = 0.0
    untrained = solved = tried = ahead = 0
    for _ in range(MOST_TRIALS if only is None else 1):
        tried += 1
        config = TrialConfig.model_validate(proposed(space, study.ask()))
        spec = TrialSpec(config, {name: task}, ladder, seed, curve=False)
        with tempfile.TemporaryDirectory() as folder, counted() as spent:
            report = run_trial(spec, Path(folder), lambda *_: None, torch.device("cpu"))
        model, answers = outline(config.model, made), made.sample(ladder.start, 1, _seeded())
        tests += sum(
            1e-9 * n * model.flops(made.length(lag), answers.targets.shape[1])
            for lag, n in spent.shown.items()
        )
        sequences += sum(row.sequences for row in report.rows)
        training += report.training_gflop
        solved += sum(row.solved for row in report.rows)
        untrained += sum(row.solved and not row.sequences for row in report.rows)
        ahead += sum(member.solved for member in spent.ahead)
        if report.ended_by == "top":
            break
    ended = f"trial {tried - 1}" if report.ended_by == "top" else f"none of {MOST_TRIALS}"
    return (
        f"| {case} | {seed} | {way} | {ended} | {sequences:,.0f} | {training:,.1f} "
        f"| {tests:,.1f} | {untrained} of {solved} | {ahead} |"
    )


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--sequences", type=int, default=10_000, help="of a member on a rung")
    parser.add_argument(
        "--only",
        nargs=2,
        type=int,
        metavar=("SEED", "TRIAL"),
        help="train this configuration alone",
    )
    parser.add_argument("--ways", nargs="*", choices=WAYS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    only = (asked.only[0], asked.only[1]) if asked.only else None
    print("| task | seed | way | first that passed | sequences | training, GFLOP | tests, GFLOP "
          "| rungs solved untrained | got ahead |")  # fmt: skip
    print("| --- | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for case in asked.cases:
        for seed in range(asked.seeds):
            for way in asked.ways or WAYS:
                print(until_one_passes(case, way, seed, asked.sequences, only), flush=True)


if __name__ == "__main__":
    main()
