"""Made-up trials, of which a review can be told beforehand."""

from __future__ import annotations

from typing import Any

from search.disk.record import Record
from search.spec import Spec, take
from trainables.config import TrialConfig
from trainables.measure.records import CurvePoint, FinalPoints, MemberRung
from trainables.measure.report import Report


def spec(**ladder: Any) -> Spec:
    rungs = {"start": 8, "stop": 64, "members": 2, "quorum": 2, "success": 0.8, **ladder}
    return take({"name": "made", "space": "gated", "tasks": [{"kind": "recall"}], "ladder": rungs})


def trial(
    number: int,
    reach: int,
    cell: str = "gru",
    ended_by: str | None = "failed_rung",
    last: tuple[str, str] = ("stalled", "stalled"),
    error: str | None = None,
) -> Record:
    """A trial whose two members solved every rung up to ``reach``, and the next as ``last``."""
    config = TrialConfig.model_validate({"model": {"cell": {"kind": cell}, "hidden_size": 8}})
    solved = [lag for lag in (8, 16, 32, 64) if lag <= reach]
    rows = [
        MemberRung(
            "recall",
            lag,
            member,
            "solved",
            0.9,
            0.85,
            100,
            1,
            500,
            parameters=100 + number,
            state_bytes=64,
        )
        for lag in solved
        for member in (0, 1)
    ]
    if ended_by == "failed_rung":
        failed = 2 * reach or 8
        rows += [
            MemberRung(
                "recall", failed, member, end, 0.5, 0.4, 100, 1, 900, parameters=100 + number
            )  # type: ignore[arg-type]  # ends are given as text
            for member, end in enumerate(last)
        ]
    curve = tuple(CurvePoint("recall", lag, 90, 100, True) for lag in solved)
    report = Report(
        progress=float(len(solved)),
        reach=reach,
        reaches={"recall": reach},
        ended_by=ended_by,
        training_gflop=float(1 + number),
        rows=tuple(rows),
        final={"recall": FinalPoints(curve)},
    )
    return Record(
        number=number,
        parameters={"model/cell/kind": cell, "training/learning_rate": 1e-3 * (number + 1)},
        configuration=config.model_dump(mode="json"),
        digest=config.digest,
        started_ms=0,
        ended_ms=1 if ended_by else None,
        ended_by=ended_by,
        error=error,
        report=Report() if error else report,
    )
