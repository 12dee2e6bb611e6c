"""Every trial of a search on one line of eighty columns, in words that need no glossary."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.disk.record import Record
from search.results.live_table import Display
from search.results.trial_lines import SORTS, ordered, trial_lines
from search.results.words import end_in_words, in_words, reach_in_words
from search.spec import Spec
from tests.search.conftest import in_process
from tests.search.review.trials import spec, trial
from tests.search.written_down import written_down

LADDER = spec().ladder


@pytest.mark.parametrize(
    ("reach", "ended_by", "shown", "end", "said"),
    [
        (0, "failed_rung", "below 8", "failed at 8", "below 8"),
        (0, "pruned", "–", "stopped at 8", "stopped at 8, may do more"),
        (16, "failed_rung", "16", "failed at 32", "reach 16, failed at 32"),
        (16, "pruned", "≥ 16", "stopped at 32", "reach ≥ 16, stopped at 32, may do more"),
        (64, "top", "≥ 64", "passed the top", "reach ≥ 64, passed the top, may do more"),
        (16, "memory", "≥ 16", "out of memory at 32", "reach ≥ 16, out of memory at 32"),
        (8, "length", "≥ 8", "out of positions at 16", "reach ≥ 8, out of positions at 16"),
        (0, "error", "–", "failed by error", "failed by error"),
        (16, None, "≥ 16", "unfinished at 32", "reach ≥ 16, unfinished at 32"),
    ],
)
def test_words(reach: int, ended_by: str | None, shown: str, end: str, said: str) -> None:
    record = trial(0, reach, ended_by=ended_by)
    assert reach_in_words(record, LADDER) == shown
    assert end_in_words(record, LADDER) == end
    assert in_words(record, LADDER) == said


def lines(records: list[Record], by: str = "reach") -> list[str]:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(trial_lines(records, by, LADDER))
    return console.export_text().splitlines()


def long(number: int, reach: int, regime: str = "incremental", rate: float = 1e-3) -> Record:
    record = trial(number, reach)
    configuration: dict[str, Any] = json.loads(json.dumps(record.configuration))
    configuration["model"]["front_end"] = {"kind": "conv", "kernel_width": 17}
    configuration["training"]["learning_rate"] = rate
    configuration["training"]["regime"] = {"kind": regime}
    return replace(record, configuration=configuration)


def test_a_trial_is_one_line_and_says_what_tells_it_apart() -> None:
    """Learning rate and regime among it; what all share is said once."""
    shown = lines([long(0, 32), long(12345, 0, "scratch", 2e-3)])
    assert " ".join(shown[1].split()) == "0 32 failed at 64 1.0e-03 incremental gru 8"
    assert " ".join(shown[2].split()) == "12345 below 8 failed at 8 2.0e-03 scratch gru 8"
    assert "all: conv 17 · read-out last" in " ".join(" ".join(shown[3:]).split())
    alone = lines([long(0, 32)])
    assert "failed at 64  1.0e-03  gru 8 · conv 17 · read-out last" in alone[1]
    assert len(alone) == 3


@pytest.mark.parametrize(
    ("by", "numbers"),
    [("reach", [2, 0, 1, 3]), ("trial", [0, 1, 2, 3]), ("gflop", [0, 1, 2, 3]),
     ("parameters", [0, 1, 2, 3]), ("skill", [2, 0, 1, 3]), ("time", [2, 0, 1, 3])],
)  # fmt: skip
def test_trials_are_sorted(by: str, numbers: list[int]) -> None:
    silent = trial(3, 0, ended_by="error", error="no")
    records = [silent, trial(1, 8), trial(2, 32), trial(0, 16)]
    found = ordered(records, by, {})
    assert [record.number for record in found] == numbers
    if SORTS[by]:
        assert len({len(line.rstrip()) > 0 for line in lines(found, by)}) == 1


def test_the_command(tmp_path: Path) -> None:
    runs = written_down(tmp_path).runs
    said = in_process("trials", "made", "--runs", str(runs), "--top", "2")
    assert [line.split()[:2] for line in said.stdout.splitlines()[1:3]] == [
        ["1", "64"],
        ["0", "32"],
    ]
    assert "2 of 3; --all shows the others" in said.stdout
    assert "of 3" not in in_process("trials", "made", "--runs", str(runs), "--all").stdout
    found = json.loads(in_process("trials", "made", "--runs", str(runs), "--json").stdout)
    assert [row["trial"] for row in found] == [1, 0, 2]
    assert "model/cell/kind" in found[0]
    assert {row["limited_by"] for row in found} == {"forgetting"}
    refused = in_process("trials", "made", "--runs", str(runs), "--sort", "size")
    assert refused.returncode == 2
    assert "--sort: 'size' is not known; allowed: reach, trial, skill" in refused.stderr


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def left(folder: SearchFolder, records: list[Record], after: float, **limits: object) -> str:
    """What a search of ten trials says of its time ``after`` so many seconds."""
    made, clock = spec(), Clock()
    search = made.search.model_copy(update={"trials": 10, **limits})
    chosen: Spec = made.model_copy(update={"search": search})
    display = Display(Console(file=io.StringIO()), chosen, clock)
    ledger = Ledger(folder)
    with display.following(ledger):
        clock.now = after
        ledger.records.update({record.number: record for record in records})
        return display.time_left(records)


def test_the_time_left_is_told_from_the_first_rung_on(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path, "made")
    folder.create(spec().to_yaml())
    started = [trial(n, 0, ended_by=None, error="nothing reported yet") for n in (0, 1)]
    running = [trial(n, 8, ended_by=None) for n in (0, 1)]
    ended = [trial(0, 8), running[1]]
    assert left(folder, started, 60) == "60 s so far"
    assert left(folder, running, 120) == "2.0 min so far, over 8.0 min left"
    assert left(folder, ended, 120) == "2.0 min so far, about 18 min left"


def test_a_budget_may_end_it_sooner(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path, "made")
    folder.create(spec().to_yaml())
    ended = [trial(0, 8), trial(1, 8, ended_by=None)]  # 1 and 2 GFLOP
    assert left(folder, ended, 120, hours=0.1).endswith("at most 4.0 min left")
    assert left(folder, ended, 120, hours=10).endswith("about 18 min left")
    assert left(folder, ended, 120, gflop=6).endswith("about 2.0 min left")
    assert left(folder, ended[1:], 120, hours=10).endswith("at most 10.0 h left")
