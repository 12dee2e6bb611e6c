"""Running members until every candidate is decided, and no longer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from search.certifying.candidates import Candidate
from search.certifying.members import Climbed, Job
from search.spec import ResourcesConfig
from trainables.measure.certificate import Plan, goal


class Pool(Protocol):
    """Where members run, some of them side by side.

    Attributes:
        slots: how many at once
    """

    slots: int

    def start(self, job: Job) -> None:
        """Begin with a member."""

    def stop(self, job: Job) -> None:
        """Give a member up that was started and has not ended."""

    def next(self) -> tuple[Job, Climbed]:
        """Wait for a member that was started to end."""


Reached = dict[str, dict[int, int]]
"""By candidate and member, the longest lag learned; of the members that have ended."""


@dataclass(frozen=True)
class Certification:
    """Candidates, the plan they share, and the seed of their members.

    Attributes:
        folder: of a member of a candidate
    """

    candidates: Sequence[Candidate]
    plan: Plan
    seed: int
    resources: ResourcesConfig
    folder: Callable[[Candidate, int], Path]

    def goal(self, candidate: Candidate, member: int, reached: Reached) -> int:
        """The lag that a member is worth sending to; 0 if it is not needed."""
        return goal(member, candidate.lags, self.plan, reached[candidate.label])

    def open_jobs(self, reached: Reached) -> Iterator[Job]:
        """Members that have not ended and are still needed, in the order to run them in.

        First every candidate's first member, then every second one: so that with several slots a
        candidate that fails is found out by few members.
        """
        for member in range(self.plan.members):
            for candidate in self.candidates:
                if member in reached[candidate.label]:
                    continue
                top = self.goal(candidate, member, reached)
                if top:
                    folder = self.folder(candidate, member)
                    yield Job(candidate, member, self.seed, top, folder, self.resources)


def run_members(
    certification: Certification,
    reached: Reached,
    pool: Pool,
    keep: Callable[[Job, Climbed], None],
) -> None:
    """Run members until nothing is open; ``reached`` holds those of earlier runs, and grows.

    A member under way that is no longer needed, or not so far, is given up; in the second case it
    is started again from its checkpoint. ``keep`` is called with every member that has ended,
    before anything follows from it.
    """
    running: dict[tuple[str, int], Job] = {}
    while True:
        for job in list(running.values()):
            if certification.goal(job.candidate, job.member, reached) != job.goal:
                pool.stop(running.pop(job.key))
        for job in certification.open_jobs(reached):
            if len(running) >= pool.slots:
                break
            if job.key not in running:
                pool.start(job)
                running[job.key] = job
        if not running:
            return
        job, climbed = pool.next()
        keep(job, climbed)
        del running[job.key]
        reached[job.candidate.label][job.member] = climbed.reach
