"""What is tried by the measure alone, without a model.

- a *guesser*: a member that gives the most frequent class, on rows of which 91.5 % are of one class
  (two classes and three), `success: 0.9`, as a search of one-member trials would be judged. It is
  tried at the real looks with the real controls; before, a look asked for the rate alone.
- *fishing*: certificates of one configuration with other seeds until one passes, q just below 0.8.
- *shared errors*: members that are just below the rate asked for, tested on the same finite rows.
- *flat progress*: what a sampler is told of a rung that nobody has solved, before and now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from search.disk.certificates import standing_of
from trainables.controls.measuring import Control, Controls, Rate
from trainables.measure.certificate import certified_lag, plan_for, verdicts
from trainables.measure.ladder import achieved
from trainables.measure.records import MemberRung
from trainables.measure.reliability import (
    better_than,
    look_confidence,
    lower_bound,
    successes_needed,
    upper_bound,
)

SEARCHES = 400
ROWS, HELD_OUT_SHARE, SHOWN = 2000, 0.2, 512
SHARES = {"two classes": (0.915, 0.085), "three classes": (0.915, 0.05, 0.035)}
SUCCESS = 0.9
FISHERS, SEEDS, Q = 2000, 20, 0.79
KEY = {"configuration_sha256": "fished", "task": "recall"}
HELD_OUT, JUST_BELOW, SPLITS = 400, 0.899, 20_000
FLAT = [("ten answers of eight classes", 10, 1 / 8, rate) for rate in (0.125, 0.3, 0.5, 0.7)] + [
    ("parity, guessed", 1, 0.5, 0.5)
]


def guesser(shares: Sequence[float], seed: int) -> tuple[bool, bool, bool]:
    """One data set, held out as a search would.

    Returns:
        whether the guesser passes by its rate alone, whether the task is refused now, and whether
        the guesser passes now where it is not
    """
    labels = np.random.default_rng(seed).choice(len(shares), size=ROWS, p=shares)
    held_out = labels[: round(HELD_OUT_SHARE * ROWS)][:SHOWN]
    right, shown = int((held_out == 0).sum()), len(held_out)
    by_rate = lower_bound(right, shown, look_confidence(1)) >= SUCCESS
    rates = dict.fromkeys(("constant", "last input", "bag", "blinded"), Rate(right, shown))
    rates["shuffled"] = Rate(right, shown)
    level = upper_bound(right, shown, 0.99)
    controls = Controls(8, 1 / len(shares), cast(dict[Control, Rate], rates), level)
    refused = controls.complaint(SUCCESS) is not None
    beats = better_than(0, 0, look_confidence(1))  # it is right where the constant is right
    return by_rate, refused, by_rate and beats and not refused


def fishing(q: float, seeds: int, generator: np.random.Generator) -> tuple[bool, bool]:
    """Certificates with as many seeds.

    Returns:
        whether the best of them claims the lag, and whether the one that stands does
    """
    plan = plan_for(0.8, 0.95, failures=1)
    lags = []
    for _ in range(seeds):
        reaches = dict(enumerate(np.where(generator.random(plan.members) < q, 8, 0).tolist()))
        lags.append(certified_lag(verdicts([8], plan, reaches)))
    decided = [{**KEY, "lag": lag, "rungs": [{"lag": 8, "passed": lag == 8}]} for lag in lags]
    (stands,) = standing_of(decided).values()
    return max(lags) == 8, stands["lag"] == 8


def passing_together(members: int, shared: bool, generator: np.random.Generator) -> bool:
    """Whether all members pass a look on 400 finite rows, each just below the rate asked for.

    If ``shared``, they err on the very same rows.
    """
    errors = generator.random((1 if shared else members, HELD_OUT)) >= JUST_BELOW
    right = HELD_OUT - errors.sum(1)
    needed = successes_needed(HELD_OUT, SUCCESS, look_confidence(1)) or HELD_OUT
    return bool((right >= needed).all())


def flat(answers: int, chance: float, rate: float) -> tuple[float, float]:
    """Of a rung where so many ``answers`` a sequence are right by ``rate``, the progress.

    Returns:
        as it was, by whole sequences, and as it is
    """
    right = rate**answers
    row = MemberRung("copying", 8, 0, "budget", right, asked=SUCCESS, answers=answers,
                     answer_rate=rate, chance=chance, test_sequences=SHOWN)  # fmt: skip
    return min(0.99, right / SUCCESS), achieved(row, SUCCESS)
