"""Members in Ray's workers, one task each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import ray

from search.certifying.members import Climbed, Job, crashed, run_member
from search.scheduling.machines import Machine, here, slots
from search.scheduling.resources import options
from search.scheduling.retries import MOST_DEATHS
from search.spec import ResourcesConfig
from trainables.messages import one_line

SECONDS_TO_STOP = 30.0


class RayPool:
    """A pool over the Ray that this process is connected to, of this machine unless told others."""

    def __init__(self, resources: ResourcesConfig, machines: Sequence[Machine] = ()) -> None:
        self.slots = slots(machines or here(), resources)
        self._run = ray.remote(run_member).options(
            **options(resources),
            max_retries=MOST_DEATHS,  # of workers that die; they go on from the checkpoint
        )
        self._running: dict[Any, Job] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """End the workers of members that are still under way."""
        for job in list(self._running.values()):
            self.stop(job)

    def start(self, job: Job) -> None:
        """Hand a member to Ray."""
        self._running[self._run.remote(job)] = job

    def stop(self, job: Job) -> None:
        """End a member's worker, and wait until it is gone: another may take up its folder."""
        reference = next(ref for ref, other in self._running.items() if other.key == job.key)
        del self._running[reference]
        ray.cancel(reference, force=True)
        ray.wait([reference], timeout=SECONDS_TO_STOP)

    def next(self) -> tuple[Job, Climbed]:
        """Wait for any member to end.

        Raises:
            OSError: if one could not write its checkpoint or read its data.
        """
        (reference,), _ = ray.wait(list(self._running), num_returns=1)
        job = self._running.pop(reference)
        try:
            climbed: Climbed = ray.get(reference)
        except OSError as error:
            raise getattr(error, "cause", error) from None
        except ray.exceptions.RayError as error:
            return job, crashed(job, one_line(error, 300))
        return job, climbed
