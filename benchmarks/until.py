"""How often a search that goes on until a certificate claims what is not true, and what that costs.

    python -m benchmarks.until

Nothing is trained: as in `benchmarks.over_claiming`, a configuration's member that stands on a rung
solves it with a known probability. Candidates are tried in the order in which their trials end,
each by the plan of its turn, until one is certified or all 60 were tried. A claim is false if a
member learns the lag with a probability below 0.8. A minute.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.over_claiming import (
    CONFIDENCE,
    CONFIGURATIONS,
    LAGS,
    POPULATIONS,
    RELIABILITY,
    SPEC,
    FakePool,
    Probabilities,
    Rule,
    at_rung,
    search,
    share,
    true_lag,
)
from search.certifying.candidates import of_trial
from search.certifying.climbing import Certification, Reached, run_members
from search.disk.record import Record
from search.spec import ResourcesConfig
from trainables.measure.certificate import certified_lag, plan_for, verdicts


@dataclass(frozen=True)
class Hunted:
    """What came of one search: the trial that was certified, None for none, and what it took."""

    trial: int | None
    is_true: bool
    candidates: int
    members: int


def hunt(
    truth: Probabilities, records: list[Record], lag: int, seed: int, spending: bool = True
) -> Hunted:
    """Certify at ``lag`` whoever reached it, one after the other; without ``spending`` each at 5 %.

    What is not spent is what a user does who runs a certificate for each.
    """
    members = turn = 0
    pool = FakePool(truth, np.random.default_rng(seed), 1)
    for record in records:
        if record.reach < lag:
            continue
        turn += 1
        plan = plan_for(RELIABILITY, CONFIDENCE, 1, turn=turn if spending else 0)
        candidate = replace(of_trial(SPEC, record, "recall"), to=lag, only=True)
        reached: Reached = {candidate.label: {}}
        run_members(
            Certification([candidate], plan, seed + turn, ResourcesConfig(), lambda c, m: Path()),
            reached, pool, lambda job, climbed: None,
        )  # fmt: skip
        members += len(reached[candidate.label])
        if certified_lag(verdicts(candidate.lags, plan, reached[candidate.label])):
            return Hunted(record.number, true_lag(truth[record.number]) >= lag, turn, members)
    return Hunted(None, True, turn, members)


def hunts(
    name: str,
    lag: int,
    count: int,
    seed: int,
    spending: bool = True,
    most: int = CONFIGURATIONS,
) -> list[Hunted]:
    """Many searches, each of the first ``most`` configurations that it draws from a population."""
    draw = {**POPULATIONS, "0.79 at the first rung": at_rung(0, 0.79)}[name]
    found = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        truth = draw(rng)[:most]
        records = search(truth, rng, Rule(3, 3))
        found.append(hunt(truth, records, lag, int(rng.integers(2**31)), spending))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print("| population, lag | false | without spending | certified | candidates | members |")
    print("| --- |" + " ---: |" * 5)
    for name, lag in (
        ("falls off slowly", 64), ("falls off slowly", 256), ("falls off fast", 256),
        ("0.79 at the first rung", LAGS[0]),
    ):  # fmt: skip
        found = hunts(name, lag, asked.searches, asked.seed)
        each = hunts(name, lag, asked.searches, asked.seed, spending=False)
        cells = [f"{name}, {lag}", share(not h.is_true for h in found),
                 share(not h.is_true for h in each), share(h.trial is not None for h in found),
                 f"{np.median([h.candidates for h in found]):.0f}",
                 f"{np.median([h.members for h in found]):.0f}"]  # fmt: skip
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
