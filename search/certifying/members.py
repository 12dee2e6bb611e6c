"""Fresh members: each climbs the ladder alone, as a trial of one member with a seed of its own."""

from __future__ import annotations

import platform
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch

from search.certifying.candidates import Candidate
from search.scheduling.preparation import prepare_for
from search.spec import ResourcesConfig
from trainables.measure.plain import read
from trainables.measure.records import MemberRung
from trainables.measure.report import Report
from trainables.messages import named
from trainables.plugins import load_plugins
from trainables.trial import run_trial


@dataclass(frozen=True)
class Job:
    """One fresh member, to be sent up to the lag ``goal``.

    Attributes:
        seed: the certificate's
        folder: where it keeps its checkpoint
    """

    candidate: Candidate
    member: int
    seed: int
    goal: int
    folder: Path
    resources: ResourcesConfig

    @property
    def key(self) -> tuple[str, int]:
        """Which member it is."""
        return self.candidate.label, self.member

    @property
    def root(self) -> int:
        """The seed of all its streams."""
        return self.candidate.member_seed(self.seed, self.member)


@dataclass(frozen=True)
class Climbed:
    """What came of a fresh member.

    Attributes:
        seed: the root of its streams
        goal: the lag it was sent to
        reach: the longest lag it learned, 0 for none
        ended_by: as of a climb, or ``error``
        error: one line, where it ended by an error
        device: what it was trained on
        kernels: how its recurrences were computed; empty where an earlier version kept it
        environment: threads and allocator; empty likewise
        rows: with this member's number
    """

    member: int
    seed: int
    goal: int
    reach: int
    ended_by: str
    error: str | None
    device: str
    rows: tuple[MemberRung, ...]
    kernels: str = ""
    environment: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**vars(self), "rows": [row.to_json() for row in self.rows]}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """From plain values.

        Raises:
            NotReadableError: in one line, if a later version wrote them.
        """
        return read(cls, {**found, "rows": tuple(map(MemberRung.from_json, found["rows"]))})


class _Last:
    """Keeps a trial's last report, for a member that ends by an error."""

    def __init__(self) -> None:
        self.report = Report()

    def __call__(self, report: Report, checkpoint: Path | None) -> None:
        self.report = report


def run_member(job: Job) -> Climbed:
    """Train one member from where its checkpoint left it.

    An error of its own is an outcome like any other; a disk that fails says nothing of the member.

    Raises:
        OSError: if its checkpoint cannot be written or its data cannot be read.
        ValueError: if a plugin cannot be loaded.
    """
    candidate, last = job.candidate, _Last()
    load_plugins(candidate.plugins, candidate.import_from)
    ladder = candidate.ladder.model_copy(update={"members": 1, "quorum": 1, "stop": job.goal})
    error = None
    try:
        trial, device = prepare_for(
            job.resources,
            candidate.configuration,
            {candidate.task: candidate.certified_task},
            ladder,
            job.root,
            curve=False,
            encodings={candidate.task: candidate.encoding} if candidate.encoding else {},
        )
        run_trial(trial, job.folder, last, device)
    except OSError:
        raise
    except Exception as failure:
        error = named(failure)
    return Climbed(
        member=job.member,
        seed=job.root,
        goal=job.goal,
        reach=last.report.reach,
        ended_by=last.report.ended_by or "error",
        error=error,
        device=f"{socket.gethostname()}: {_device(job.resources)}",
        rows=tuple(replace(row, member=job.member) for row in last.report.rows),
        kernels=last.report.kernels,
        environment=last.report.environment,
    )


def crashed(job: Job, reason: str) -> Climbed:
    """A member whose worker died again and again: it has learned nothing."""
    return Climbed(job.member, job.root, job.goal, 0, "error", reason, "", ())


def forget(job: Job) -> None:
    """Remove a member's checkpoint and weights, once its outcome is kept."""
    shutil.rmtree(job.folder, ignore_errors=True)


def _device(resources: ResourcesConfig) -> str:
    if resources.gpus_at_least > 0:
        return torch.cuda.get_device_name()
    return platform.processor() or platform.machine()
