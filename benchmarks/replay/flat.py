"""Whether a sampler solves a rung sooner, where whole sequences tell it next to nothing.

    python -m benchmarks.replay.flat [--orders 20] [--first 0]

The table of real trials does not say how many single answers were right, so this is simulated. A
configuration is four numbers; the nearer they lie to a point drawn for the order, the more single
answers are right, from those by chance to all. A trial shows 512 sequences of ten answers of eight
classes, of which a sequence is right if all ten are, and solves its one rung by the exact bound.
TPE is told of its progress, as it was (whole sequences alone) and as it is. Printed are the trials
until one solves, the median and how often.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.replay.paired import said
from search.proposing.new_study import new_study
from search.proposing.samplers import make_sampler
from trainables.measure.ladder import Rule, progress
from trainables.measure.records import MemberRung
from trainables.measure.reliability import look_confidence, lower_bound

NUMBERS, ANSWERS, CHANCE, SHOWN, SUCCESS, LAG = 4, 10, 1 / 8, 512, 0.9, 8
WIDTH = 0.4
"""The distance from the best at which single answers have lost two thirds of what they had."""


def trials_to_solve(earlier: bool, order: int, most: int) -> float:
    """How many trials it takes; infinite where ``most`` are not enough."""
    draws = np.random.default_rng(order)
    best = draws.uniform(0.2, 0.8, NUMBERS)
    study = new_study()
    for number in range(most):
        study.sampler = make_sampler("tpe", order, number)
        trial = study.ask()
        at = np.array([trial.suggest_float(f"x{place}", 0, 1) for place in range(NUMBERS)])
        row = shown(float(np.linalg.norm(at - best)), draws)
        if row.solved:
            return number + 1
        value = progress([row], [LAG], Rule(1, 1), SUCCESS)
        study.tell(trial, min(0.99, row.success_rate / SUCCESS) if earlier else value)
    return float("inf")


def shown(distance: float, draws: np.random.Generator) -> MemberRung:
    """What a trial so far from the best shows at its last look."""
    rate = CHANCE + (1 - CHANCE) * np.exp(-((max(0.0, distance - 0.05) / WIDTH) ** 2))
    right = draws.random((SHOWN, ANSWERS)) < rate
    whole = int(right.all(1).sum())
    solved = lower_bound(whole, SHOWN, look_confidence(1)) >= SUCCESS
    return MemberRung(
        "copying", LAG, 0, "solved" if solved else "budget", whole / SHOWN,
        answers=ANSWERS, answer_rate=float(right.mean()), chance=CHANCE, test_sequences=SHOWN,
    )  # fmt: skip


def main() -> None:
    """Print a row for each order, and what they come to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="order to begin with")
    parser.add_argument("--trials", type=int, default=80)
    asked = parser.parse_args()
    found = []
    for order in range(asked.first, asked.first + asked.orders):
        found.append([trials_to_solve(earlier, order, asked.trials) for earlier in (True, False)])
        print(order, *found[-1], flush=True)
    print(said(np.array(found)))


if __name__ == "__main__":
    main()
