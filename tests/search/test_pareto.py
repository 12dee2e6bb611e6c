"""Several aims: who is beaten by whom, where it is said, and what goes out."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.disk.ranking import AIMS, fronts
from search.disk.record import Record
from search.errors import UserError
from search.results.export import Wanted, _wanted
from search.results.leaderboard import leaderboard
from search.results.review.tables import parameters, trials
from search.spec import take
from search.spec.sections import LESSER
from tests.search.conftest import in_process
from tests.search.test_ranking import CONFIGURATION
from trainables.measure.records import MemberRung
from trainables.measure.report import Report

CONTENT = {"name": "fake", "space": "quick", "tasks": ["recall"]}
TWO = ["progress", "parameters"]


def record(
    number: int,
    progress: float,
    size: int = 1,
    state: int = 1,
    step: float = 1,
    latency: float = 1,
    gflop: float = 1,
) -> Record:
    """It has passed lag 8; what it took on the rung above, which failed, is no aim."""
    rows = tuple(
        MemberRung(
            "recall",
            lag,
            0,
            ended,
            training_gflop=cost,
            parameters=size,
            state_bytes=bytes_,
            flops_per_step=flops,
            latency=latency,
        )
        for lag, ended, cost, bytes_, flops in (
            (8, "solved", gflop, state, step),
            (16, "budget", 99, 99, 99),
        )
    )
    report = Report(progress=progress, reach=8, reaches={"recall": 8}, rows=rows)
    return Record(number, {}, CONFIGURATION, str(number), 0, 1, "failed_rung", report=report)


def test_a_front_is_what_no_other_beats() -> None:
    """Trial 1 is as good as 0 and larger; 3 is as good as 2 in everything."""
    found = [record(0, 9, 40), record(1, 9, 50), record(2, 7, 10), record(3, 7, 10),
             record(4, 6, 20), record(5, 5, 60)]  # fmt: skip
    assert fronts(found, TWO) == {0: 1, 1: 2, 2: 1, 3: 1, 4: 2, 5: 3}
    assert fronts(found, ["progress"]) == {0: 1, 1: 1, 2: 2, 3: 2, 4: 3, 5: 4}
    nothing = replace(found[0], report=Report(progress=2.0))
    assert fronts([nothing], TWO) == {}


@pytest.mark.parametrize("seed", range(5))
def test_fronts_are_those_of_the_definition(seed: int) -> None:
    """By peeling off, one after the other, whoever none of those left beats."""
    rng = np.random.default_rng(seed)
    objectives = ["progress", *LESSER][: 2 + seed % 5]
    found = [record(n, *map(int, rng.integers(1, 7, 6))) for n in range(60)]
    aims = {r.number: [AIMS[objective](r) for objective in objectives] for r in found}
    expected: dict[int, int] = {}
    left, front = set(aims), 0
    while left:
        beaten = {
            b for a, b in product(left, left)
            if aims[a] != aims[b] and all(x <= y for x, y in zip(aims[a], aims[b], strict=True))
        }  # fmt: skip
        front += 1
        expected |= dict.fromkeys(left - beaten, front)
        left = beaten
    assert fronts(found, objectives) == expected


def test_what_an_aim_is() -> None:
    """Of the rungs that were passed."""
    one = record(0, 9, 40, 16, 30.5, 0.25, 2.5)
    assert (one.parameters_of_model, one.state_bytes, one.gflop_to_reach) == (40, 16, 2.5)
    assert (one.flops_per_step, one.latency) == (30.5, 0.25)
    assert record(0, 9, latency=0).latency == math.inf  # nobody asked for it
    assert record(0, 9, step=0).flops_per_step == math.inf  # not told by an earlier version
    assert AIMS.keys() == {"progress", *LESSER}


def test_where_fronts_are_said() -> None:
    found = [record(0, 9, 40), record(1, 9, 50)]
    table = trials(found, objectives=TWO)
    assert list(table["front"]) == [1, 2]
    assert "latency" not in table
    timed = trials([*found, record(2, 8, latency=0)], objectives=[*TWO, "latency"])
    assert list(timed["latency"].fillna(-1)) == [1, 1, -1]
    assert "front" not in trials(found)
    assert "front" not in parameters(table)
    shown = io.StringIO()
    Console(file=shown, width=200).print(leaderboard(found, objectives=TWO))
    said = " ".join(shown.getvalue().split())
    assert "front: 1 if no other trial is as good in progress, parameters" in said


def test_the_first_front_goes_out(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path, "fake")
    spec = take(CONTENT | {"search": {"objectives": TWO}})
    folder.create(spec.to_yaml())
    ledger = Ledger(folder)
    for one in (record(0, 9, 40), record(1, 8, 50), record(2, 7, 10)):
        ledger.started(one.number, {}, CONFIGURATION, one.digest)
        ledger.reported(one.number, one.report)
        ledger.finished(one.number, "failed_rung")

    def exported(top: int) -> list[int]:
        return [r.number for r, _ in _wanted(folder, spec, Wanted(top, pareto=True))]

    assert (exported(9), exported(1)) == ([0, 2], [0])
    at = ("fake", "--runs", str(tmp_path))
    head, *lines = in_process("trials", *at).stdout.splitlines()
    assert "front" in head.split()
    assert [line.split()[:2] for line in lines[:3]] == [["0", "8"], ["1", "8"], ["2", "8"]]
    assert [line.partition("16")[2].split()[0] for line in lines[:3]] == ["1", "2", "1"]
    assert in_process("report", *at).returncode == 0
    assert '<button type="button">front</button>' in (folder.path / "report.html").read_text()
    for command in (("trials", "--top", "2"), ("status",)):
        printed = in_process(*command, "fake", "--json", "--runs", str(tmp_path)).stdout
        shown = json.loads(printed)
        rows = shown if command[0] == "trials" else shown["trials"]
        assert [(row["trial"], row["front"]) for row in rows[:2]] == [(0, 1), (1, 2)]
    refused = in_process("export", "fake", "--pareto", "--trial", "1", "--to", str(tmp_path / "x"),
                         "--runs", str(tmp_path))  # fmt: skip
    assert (refused.returncode, "--pareto" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("objectives", "says"),
    [(["parameters"], "progress comes first"), (["progress", "speed"], "'speed' is not known"),
     (["progress", "parameters", "parameters"], "twice"), ([], "progress comes first")],
)  # fmt: skip
def test_what_is_no_aim_is_refused(objectives: list[str], says: str) -> None:
    with pytest.raises(UserError, match=r"search\.objectives: .*") as refused:
        take(CONTENT | {"search": {"objectives": objectives}})
    assert says in str(refused.value)
