"""Trials, best first."""

from __future__ import annotations

from collections.abc import Iterable

from search.disk.record import Record


def rank(records: Iterable[Record]) -> list[Record]:
    """Trials by progress; of equals the one that cost less training, then the earlier."""
    return sorted(
        (record for record in records if record.reported),
        key=lambda r: (-r.progress, r.report.training_gflop, r.number),
    )
