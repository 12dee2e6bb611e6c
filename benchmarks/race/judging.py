"""Whether a candidate holds: fresh members of it, trained as its side trains, two at a time."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks.race.course import CPU, course_of, rounds
from trainables.config import TrialConfig
from trainables.trial import TrialSpec, run_trial

FIRST_SEED = 1_000_000
"""Of fresh members; no search has it."""

PROCESSES = 2


@dataclass(frozen=True)
class Judged:
    """What fresh members of a candidate did.

    Attributes:
        seconds: of wall time, until it was decided
        cpu: seconds of processors
    """

    passed: bool
    seconds: float
    cpu: float


def judge(path: Path, chosen: dict[str, Any], climbs: bool, members: int, failures: int) -> Judged:
    """Train ``members`` fresh ones, of which ``failures`` may fail; ends when it is decided.

    Args:
        path: of the course's spec
        chosen: the nested configuration
        members: tried at most
        failures: allowed among them
        climbs: whether they climb the ladder, as Longspan's do, or train at its top alone
    """
    began, cpu, failed, passed = time.monotonic(), 0.0, 0, 0
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        for learned, used in _each(pool, partial(_member, path, chosen, climbs), members):
            cpu += used
            failed, passed = failed + (not learned), passed + learned
            if failed > failures or passed == members - failures:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    return Judged(failed <= failures, time.monotonic() - began, cpu)


def _each(
    pool: ProcessPoolExecutor, member: partial[tuple[bool, float]], members: int
) -> Iterator[tuple[bool, float]]:
    """What each member did, in the order in which they end; no more are begun than run."""
    seeds = iter(range(FIRST_SEED, FIRST_SEED + members))
    running: set[Future[tuple[bool, float]]] = set()
    while True:
        running |= {pool.submit(member, s) for s in islice(seeds, PROCESSES - len(running))}
        if not running:
            return
        ended, running = wait(running, return_when=FIRST_COMPLETED)
        yield from (each.result() for each in ended)


def _member(path: Path, chosen: dict[str, Any], climbs: bool, seed: int) -> tuple[bool, float]:
    began = time.process_time()
    learned = (_climbs if climbs else _learns_at_the_top)(path, chosen, seed)
    return learned, time.process_time() - began


def _learns_at_the_top(path: Path, chosen: dict[str, Any], seed: int) -> bool:
    return any(heard.passed for heard in rounds(course_of(path), chosen, seed))


def _climbs(path: Path, chosen: dict[str, Any], seed: int) -> bool:
    torch.set_num_threads(1)
    spec = course_of(path)
    ladder = spec.ladder.model_copy(update={"members": 1, "quorum": 1})
    trial = TrialSpec(
        config=TrialConfig.model_validate(chosen),
        tasks={task.kind: task for task in spec.tasks},
        ladder=ladder,
        seed=seed,
        curve=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        report = run_trial(trial, Path(folder), lambda _, __: None, CPU)
    return report.reach >= ladder.stop
