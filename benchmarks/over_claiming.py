"""How often a search's winner claims too long a lag: on one seed, on 3 of 3, and certified.

    python -m benchmarks.over_claiming

Nothing is trained. A configuration's member that stands on a rung solves it with a known
probability; everything else is the real code: the climb and its curtailment, progress, the ranking
of 60 trials, the choice of candidates, the seeds of fresh members, and the loop that runs them and
decides. A claim is too long if a member learns that lag with a probability below 0.8. Minutes.

Before that, members whose success rate is just below the one asked for, looked at twenty times by
the real rule: how many are ever called solved.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from search.certifying.candidates import of_search
from search.certifying.climbing import Certification, Reached, run_members
from search.certifying.members import Climbed, Job
from search.disk.ranking import rank
from search.disk.record import Record
from search.spec import ResourcesConfig, Spec
from trainables.measure.certificate import Plan, certified_lag, plan_for, verdicts
from trainables.measure.ladder import Climb, Rule, climb, progress
from trainables.measure.looks.stages import Stages
from trainables.measure.plain import digest
from trainables.measure.records import MemberRung
from trainables.measure.reliability import look_confidence
from trainables.measure.report import Report

RELIABILITY, CONFIDENCE = 0.8, 0.95
CONFIGURATIONS, LOOKS = 60, 20
SPEC = Spec.model_validate(
    {"name": "fake", "space": "quick", "tasks": ["recall"], "ladder": {"start": 8, "stop": 1024}}
)
LAGS = SPEC.ladder.rungs

Probabilities = np.ndarray
"""(configurations, rungs): of solving a rung, for a member that stands on it.

Where members go ahead there is one column more: of getting there, and so of solving every rung.
"""


def falling(width: float) -> Callable[[np.random.Generator], Probabilities]:
    """Configurations of capabilities that differ, beyond which solving falls off over ``width``.

    Probability 1 / (1 + exp((log2 lag - capability) / width)), capability ~ N(6, 1.5).
    """

    def draw(rng: np.random.Generator) -> Probabilities:
        capability = rng.normal(6, 1.5, (CONFIGURATIONS, 1))
        return 1 / (1 + np.exp((np.log2(LAGS) - capability) / width))

    return draw


def at_rung(rung: int, probability: float) -> Callable[[np.random.Generator], Probabilities]:
    """Configurations all alike: sure but for one rung, which they solve with ``probability``."""

    def draw(rng: np.random.Generator) -> Probabilities:
        found = np.ones((CONFIGURATIONS, len(LAGS)))
        found[:, rung] = probability
        return found

    return draw


def ahead(
    chance: float, else_: Callable[[np.random.Generator], Probabilities]
) -> Callable[[np.random.Generator], Probabilities]:
    """Members that go ahead and get there with a ``chance``; the others climb as ``else_`` says."""

    def draw(rng: np.random.Generator) -> Probabilities:
        return np.pad(else_(rng), ((0, 0), (0, 1)), constant_values=chance)

    return draw


POPULATIONS = {
    "falls off slowly": falling(0.5),
    "falls off fast": falling(0.15),
    "0.79 at the second rung": at_rung(1, 0.79),
    "0.6 at the first rung": at_rung(0, 0.6),
    "half go ahead, others fall off slowly": ahead(0.5, falling(0.5)),
    "0.79 go ahead, others fail the second rung": ahead(0.79, at_rung(1, 0.0)),
}


def climb_alone(
    probabilities: Probabilities, rng: np.random.Generator, rule: Rule, lags: tuple[int, ...]
) -> Climb:
    """A climb by the real ladder, with members that solve by chance."""
    got_ahead: dict[int, bool] = {}

    def attempt(lag: int, member: int) -> MemberRung:
        if len(probabilities) > len(LAGS) and member not in got_ahead:
            got_ahead[member] = bool(rng.random() < probabilities[-1])
        solved = bool(rng.random() < probabilities[LAGS.index(lag)])
        solved = solved or got_ahead.get(member, False)
        rate = 0.97 if solved else 0.5 * rng.random()
        ended = "solved" if solved else "budget"
        return MemberRung("recall", lag, member, ended, rate, rate, training_gflop=1.0)

    return climb(attempt, lags, rule)


def search(truth: Probabilities, rng: np.random.Generator, rule: Rule) -> list[Record]:
    """The trials of one search: every configuration once."""
    records = []
    for number, probabilities in enumerate(truth):
        done = climb_alone(probabilities, rng, rule, LAGS)
        score = progress(done.outcomes, LAGS, rule, SPEC.ladder.success)
        cost = sum(row.training_gflop for row in done.outcomes)
        reaches = {"recall": done.reach}
        report = Report(score, done.reach, reaches, training_gflop=cost)
        configuration = {"fake": number}
        records.append(Record(number, {}, configuration, digest(configuration), 0, 1,
                              done.ended_by, None, report))  # fmt: skip
    return records


class FakePool:
    """Runs members by chance, some side by side, and lets them end in any order."""

    def __init__(self, truth: Probabilities, rng: np.random.Generator, slots: int) -> None:
        self.truth, self.slots, self._rng = truth, slots, rng
        self.started: list[Job] = []
        self._running: list[Job] = []

    def start(self, job: Job) -> None:
        self.started.append(job)
        self._running.append(job)

    def stop(self, job: Job) -> None:
        self._running.remove(job)

    def next(self) -> tuple[Job, Climbed]:
        job = self._running.pop(self._rng.integers(len(self._running)))
        done = self.climb(job, job.goal)
        return job, Climbed(job.member, job.seed, job.goal, done.reach, done.ended_by, None, "", ())

    def climb(self, job: Job, goal: int) -> Climb:
        """What comes of a member that is sent to ``goal``."""
        lags = tuple(lag for lag in LAGS if lag <= goal)
        rng = np.random.default_rng(job.root)
        return climb_alone(self.truth[job.candidate.trial], rng, Rule(1, 1), lags)


@dataclass(frozen=True)
class Certified:
    """What came of one candidate.

    Attributes:
        claimed: the search's estimate
        certified: the lag certified, 0 for none
        true: the longest lag learned with the probability asked for
        sent: members sent to the claimed lag
        members: members run
        training: spent, over that of the whole plan at the claimed lag; a rung costs its lag
    """

    claimed: int
    certified: int
    true: int
    sent: int
    members: int
    training: float


def true_lag(probabilities: Probabilities) -> int:
    """The longest lag that a member learns with the probability asked for."""
    got_ahead = probabilities[len(LAGS) :].sum()
    learned = got_ahead + (1 - got_ahead) * np.cumprod(probabilities[: len(LAGS)])
    return max((lag for lag, q in zip(LAGS, learned, strict=True) if q >= RELIABILITY), default=0)


def certify(
    truth: Probabilities, records: list[Record], top: int, failures: int, slots: int, seed: int
) -> list[Certified]:
    """Certify the best of a search."""
    candidates = of_search(SPEC, records, top)
    plan = plan_for(RELIABILITY, CONFIDENCE, failures, len(candidates))
    pool = FakePool(truth, np.random.default_rng([seed, 1]), slots)
    certification = Certification(
        candidates, plan, seed, ResourcesConfig(), lambda candidate, member: Path()
    )
    reached: Reached = {candidate.label: {} for candidate in candidates}
    run_members(certification, reached, pool, lambda job, climbed: None)
    found = []
    for candidate in candidates:
        own = [job for job in pool.started if job.candidate is candidate]
        whole = [replace(own[0], member=m) for m in range(plan.members)]
        fixed = sum(o.lag for job in whole for o in pool.climb(job, candidate.reach).outcomes)
        spent = sum(o.lag for job in own for o in pool.climb(job, job.goal).outcomes)
        found.append(
            Certified(
                claimed=candidate.reach,
                certified=certified_lag(verdicts(candidate.lags, plan, reached[candidate.label])),
                true=true_lag(truth[candidate.trial]),
                sent=sum(job.goal == candidate.reach for job in own),
                members=len(own),
                training=spent / fixed,
            )
        )
    return found


def over_claims(records: list[Record], truth: Probabilities) -> bool:
    """Whether the search's winner claims more than is true."""
    winner = rank(records)[0]
    return winner.reach > true_lag(truth[winner.number])


@dataclass(frozen=True)
class Searches:
    """What came of many searches of one population.

    Attributes:
        one_seed: whether each search's winner over-claimed, with one member a trial
        three_of_three: likewise, with three
        certified: the winner's certificate, a search each
        families: the certificates of the best ``top`` together
    """

    one_seed: list[bool]
    three_of_three: list[bool]
    certified: list[Certified]
    families: list[list[Certified]]


def simulate(
    draw: Callable[[np.random.Generator], Probabilities],
    searches: int,
    top: int,
    failures: int,
    slots: int,
    seed: int,
) -> Searches:
    """Many searches, each of configurations of its own."""
    found = Searches([], [], [], [])
    for number in range(searches):
        rng = np.random.default_rng([seed, number])
        truth = draw(rng)
        found.one_seed.append(over_claims(search(truth, rng, Rule(1, 1)), truth))
        records = search(truth, rng, Rule(3, 3))
        found.three_of_three.append(over_claims(records, truth))
        certificate_seed = int(rng.integers(2**31))
        found.certified.extend(certify(truth, records, 1, failures, slots, certificate_seed))
        family = certify(truth, records, top, failures, slots, certificate_seed + 1)
        found.families.append(family)
    return found


def too_long(found: list[Certified]) -> bool:
    """Whether any of the certificates claims more than is true."""
    return any(c.certified > c.true for c in found)


def share(events: Iterable[bool]) -> str:
    """How many of the events came about, in per cent."""
    listed = list(events)
    return f"{100 * sum(listed) / len(listed):.1f} %"


def claims_row(name: str, found: Searches) -> str:
    """Over-claims of one population, in Markdown."""
    certified = [c for c in found.certified if c.certified]
    exact = share(c.certified == c.true for c in certified) if certified else "–"
    cells = [name, share(found.one_seed), share(found.three_of_three),
             share(too_long([c]) for c in found.certified), share(map(too_long, found.families)),
             share(c.certified > 0 for c in found.certified), exact]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def costs_row(name: str, found: Searches, plan: Plan) -> str:
    """What certifying winners cost in one population, in Markdown."""
    passed = [c for c in found.certified if c.certified == c.claimed]
    failed = [c for c in found.certified if c.certified < c.claimed]
    nothing = [c for c in failed if not c.certified]

    def mean(values: list[float]) -> str:
        return f"{np.mean(values):.2f}" if values else "–"

    exactly = f"{min(c.sent for c in passed)} to {max(c.sent for c in passed)}" if passed else "–"
    cells = [name, str(plan.members), str(len(passed)), exactly, str(len(failed)),
             mean([c.sent / plan.members for c in failed]), mean([c.training for c in failed]),
             str(len(nothing)), mean([c.members / plan.members for c in nothing])]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def called_solved(
    rate: float, by_stages: bool, rows: int | None, members: int, rng: np.random.Generator
) -> float:
    """The share of members of a success rate that pass any of `LOOKS` looks; none is given up.

    The ``rows`` held out are the same at each look, and a member errs on the same each time; where
    they are None, sequences are drawn anew.
    """
    sequences = SPEC.ladder.test_sequences
    shown = sequences if rows is None else min(rows, sequences)
    fixed = None if rows is None else rng.random((members, rows)) < rate
    solved = np.zeros(members, dtype=bool)
    for look in range(1, LOOKS + 1):
        error = 1 - look_confidence(look)
        stages = Stages.of(shown, SPEC.ladder.success, error, by_stages)
        found = rng.random((members, shown)) < rate
        if fixed is not None:
            found = rng.permuted(fixed, axis=1)[:, :shown]
        counts = found.cumsum(axis=1)
        for size, needed in zip(stages.sizes, stages.needed, strict=True):
            solved |= counts[:, size - 1] >= needed
    return float(solved.mean())


def print_looks(members: int, seed: int) -> None:
    """How often members just below the success are called solved, in per cent."""
    success, rng = SPEC.ladder.success, np.random.default_rng([seed, 2])
    rate = success - 1e-3
    print(f"{members} members right in {rate:.3f} of sequences, {LOOKS} looks; called solved:")
    print("\n| looks | drawn anew | the same 400 rows each time | the same 2,000 |")
    print("| --- | ---: | ---: | ---: |")
    for name, by_stages in (("whole", False), ("sequential", True)):
        found = [called_solved(rate, by_stages, n, members, rng) for n in (None, 400, 2000)]
        print(f"| {name} | {' | '.join(f'{100 * share:.2f} %' for share in found)} |")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=400)
    parser.add_argument("--top", type=int, default=3, help="candidates of a family")
    parser.add_argument("--failures", type=int, default=1)
    parser.add_argument("--slots", type=int, default=1, help="members side by side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--populations", nargs="*", choices=POPULATIONS, default=list(POPULATIONS))
    parser.add_argument("--members", type=int, default=20_000, help="looked at, each many times")
    asked = parser.parse_args()
    plan = plan_for(RELIABILITY, CONFIDENCE, asked.failures)
    print_looks(asked.members, asked.seed)
    found = {
        name: simulate(draw, asked.searches, asked.top, asked.failures, asked.slots, asked.seed)
        for name, draw in POPULATIONS.items()
        if name in asked.populations
    }
    print(
        f"{asked.searches} searches of {CONFIGURATIONS} configurations; claims that are too long:"
    )
    family = f"any of {asked.top} certificates"
    print_head(["one seed", "3 of 3", "certificate", family, "certified at all", "exactly right"])
    for name, searches in found.items():
        print(claims_row(name, searches))
    print("\nCost of a winner's certificate, in members and training, the whole plan being 1:")
    heads = ["plan", "claims that passed", "members sent", "claims that failed", "members sent"]
    print_head([*heads, "training", "nothing certified", "members run"])
    for name, searches in found.items():
        print(costs_row(name, searches, plan))
    together = [c for searches in found.values() for c in searches.certified]
    print(costs_row("all together", Searches([], [], together, []), plan))


def print_head(heads: list[str]) -> None:
    """The first lines of a table in Markdown."""
    print(f"\n| population | {' | '.join(heads)} |")
    print("| --- |" + " ---: |" * len(heads))


if __name__ == "__main__":
    main()
