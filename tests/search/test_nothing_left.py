"""Ray is started for what is left of a search, and where nothing is, it is not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search import run
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.spec import Spec
from trainables.measure.records import FinalPoints, MemberRung
from trainables.measure.report import Report

SPEC = Spec.model_validate(
    {"name": "s", "space": "quick", "tasks": [{"kind": "recall"}], "search": {"trials": 2}}
)
SOLVED = MemberRung("recall", 4, 0, "solved", sequences=64)


@pytest.mark.parametrize(
    ("ended", "measured", "waits", "started"),
    [(2, 2, False, False), (1, 1, False, True), (2, 1, False, True), (2, 2, True, True)],
    ids=["nothing", "a trial", "a measurement", "a candidate"],
)
def test_ray_is_started_for_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: int, measured: int, waits: bool,
    started: bool,
) -> None:  # fmt: skip
    folder = SearchFolder(tmp_path, "s")
    folder.create(SPEC.to_yaml())
    ledger = Ledger(folder)
    for number in range(ended):
        final = {"recall": FinalPoints()} if number < measured else {}
        ledger.started(number, {}, {}, "d")
        report = Report(reaches={"recall": 4}, rows=(SOLVED,), final=final, ended_by="top")
        ledger.reported(number, report)
        ledger.finished(number, "top")
    asked: list[Any] = []
    monkeypatch.setattr(run, "ray_for", lambda *given: asked.append(given))
    hunt = SimpleNamespace(waits=lambda: waits)
    run._ray(SPEC, folder, ledger, hunt)  # type: ignore[arg-type]
    assert bool(asked) == started
