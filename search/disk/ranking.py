"""Trials, best first."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby

from search.disk.record import Record

Standing = tuple[float, bool, bool, float]
"""What an order can be defended by; the smaller, the better."""


def rank(records: Iterable[Record], certified: Collection[str] = ()) -> list[Record]:
    """Trials by what they stand by; of equals the one that cost less training, then the earlier.

    ``certified`` holds the digests of the configurations of which a certificate claims a lag.
    """
    return sorted(
        (record for record in records if record.reported),
        key=lambda r: (standing(r, certified), r.report.training_gflop, r.number),
    )


def standing(record: Record, certified: Collection[str] = ()) -> Standing:
    """By the reach; of equal reaches the certified first, then the censored, which may do more.

    Then by what the rung that failed showed. On several tasks the reaches' mean counts, in
    doublings. A lower bound never stands below a value of the same reach, which it may exceed; a
    reach of 0 bounds nothing.
    """
    reaches = [on.reach for on in record.tasks] or [record.reach]
    doublings = sum(math.log2(max(1, reach)) for reach in reaches) / len(reaches)
    may_do_more = record.censored and doublings > 0
    return -doublings, record.digest not in certified, not may_do_more, -record.progress


def places(ranked: Iterable[Record], certified: Collection[str] = ()) -> list[str]:
    """The place of each of the ranked, from 1; ``=`` where it shares it with others."""
    found: list[str] = []
    for _, tied in groupby(ranked, key=lambda record: standing(record, certified)):
        together = len(list(tied))
        found += [f"{len(found) + 1}{'=' if together > 1 else ''}"] * together
    return found


AIMS: Mapping[str, Callable[[Record], float]] = {
    "progress": lambda record: -record.progress,
    "parameters": lambda record: record.parameters_of_model,
    "state_bytes": lambda record: record.state_bytes,
    "flops_per_step": lambda record: record.flops_per_step,
    "latency": lambda record: record.latency,
    "gflop_to_reach": lambda record: record.gflop_to_reach,
}
"""By objective, what of a trial is to be small."""


def fronts(records: Iterable[Record], objectives: Sequence[str]) -> dict[int, int]:
    """By number, the Pareto front of each trial that has passed a rung, from 1.

    A trial beats another if it is no worse in any objective and better in one. The first front is
    beaten by nobody, the second by the first alone, and so on: efficient non-dominated sorting
    (Zhang et al. 2015). Trials are taken in the order of their aims, so none beats an earlier one.
    """
    aims = [AIMS[objective] for objective in objectives]
    points = sorted((tuple(aim(r) for aim in aims), r.number) for r in records if r.reach)
    found: dict[int, int] = {}
    on: list[list[tuple[float, ...]]] = []
    for point, number in points:
        front = next((k for k, those in enumerate(on) if not _beaten(point, those)), len(on))
        if front == len(on):
            on.append([])
        on[front].append(point)
        found[number] = front + 1
    return found


def fronts_of(records: Iterable[Record], objectives: Sequence[str]) -> dict[int, int]:
    """The `fronts` where a search has several objectives; else none are spoken of."""
    return fronts(records, objectives) if len(objectives) > 1 else {}


def _beaten(point: tuple[float, ...], others: Sequence[tuple[float, ...]]) -> bool:
    """Whether one of the others, each first in order, is no worse in anything and not equal."""
    return any(
        other != point and all(a <= b for a, b in zip(other, point, strict=True))
        for other in reversed(others)
    )
