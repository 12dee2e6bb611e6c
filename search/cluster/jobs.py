"""Searches as Ray jobs: submitted, found again by their name, followed and stopped."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from search.cluster.connection import Cluster
from search.cluster.packing import pack, packed_files
from search.errors import UserError
from search.spec import Spec
from trainables.models.kernels import switch

STARTED = "Searching "
"""What a search says first; before it, it may still be refused."""

SEARCH = "search"
ENVIRONMENT = ". ~/.longspan/env; export PYTHONUNBUFFERED=1; exec "
SECONDS_TO_START = 600.0
SECONDS_TO_STOP = 180.0


def submit_search(
    cluster: Cluster, spec: Spec, show: Callable[[list[tuple[str, int]]], None]
) -> str:
    """Start a search on the cluster, with the data and modules it names; back once it runs.

    Args:
        cluster: reached only after everything was shown
        spec: with paths of this machine
        show: told the files that travel, and their bytes

    Returns:
        the job's id

    Raises:
        UserError: what the head refuses, in its words.
    """
    with tempfile.TemporaryDirectory() as folder:
        packed = pack(spec, Path(folder))
        (Path(folder) / "spec.yaml").write_text(packed.to_yaml(), encoding="utf-8")
        show(packed_files(Path(folder)))
        with cluster.jobs() as client:
            return _submit(client, "longspan search spec.yaml", spec.name, {"working_dir": folder})


def submit_resume(cluster: Cluster, name: str, options: Sequence[str] = ()) -> str:
    """Go on with a search of the cluster; back once it runs."""
    with cluster.jobs() as client:
        return _submit(client, " ".join(["longspan resume", name, *options]), name, {})


def _submit(client: Any, command: str, name: str, travels: dict[str, Any]) -> str:
    job = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    client.submit_job(
        entrypoint=ENVIRONMENT + command,
        submission_id=job,
        runtime_env={**travels, "env_vars": switch()},
        metadata={SEARCH: name},
    )
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        ended = client.get_job_status(job).is_terminal()
        said = client.get_job_logs(job)
        if STARTED in said:
            return job
        if ended:
            raise UserError(
                _refusal(said) or f"job {job} ended: {client.get_job_info(job).message}"
            )
        time.sleep(1)
    raise UserError(f"--cluster: job {job} has not started after {SECONDS_TO_START:.0f} s")


def _refusal(said: str) -> str | None:
    refused = [line for line in said.splitlines() if line.startswith("longspan: ")]
    return refused[-1].removeprefix("longspan: ") if refused else None


def find_job(client: Any, name: str) -> str:
    """The newest job of a search.

    Raises:
        UserError: if there is none.
    """
    jobs = [job for job in client.list_jobs() if (job.metadata or {}).get(SEARCH)]
    found = [job for job in jobs if job.metadata[SEARCH] == name]
    if not found:
        known = ", ".join(sorted({job.metadata[SEARCH] for job in jobs})) or "none"
        raise UserError(f"name: no job of a search {name!r} on the cluster; known: {known}")
    return str(max(found, key=lambda job: job.start_time or 0).submission_id)


def follow(client: Any, job: str) -> Iterator[str]:
    """What a job writes, until it ends."""
    written = 0
    while True:
        ended = client.get_job_status(job).is_terminal()
        said = client.get_job_logs(job)
        if len(said) > written:
            yield said[written:]
            written = len(said)
        if ended:
            return
        time.sleep(2)


def stop(client: Any, job: str) -> bool:
    """End a job as Ctrl-C does, so that the search can be gone on with.

    Returns:
        whether it had still been running
    """
    if client.get_job_status(job).is_terminal():
        return False
    client.stop_job(job)
    deadline = time.monotonic() + SECONDS_TO_STOP
    while not client.get_job_status(job).is_terminal():
        if time.monotonic() > deadline:
            raise UserError(f"job {job} has not stopped after {SECONDS_TO_STOP:.0f} s")
        time.sleep(1)
    return True
