"""Trials, best first."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
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
