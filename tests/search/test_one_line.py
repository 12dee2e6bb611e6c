"""A trial is one line of the terminal, at any width, and says what tells it apart."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from search.disk.record import Record
from search.results.leaderboard import leaderboard
from search.results.trial_lines import trial_lines
from tests.search.review.trials import spec, trial

LADDER = spec().ladder
WIDTHS = [60, 80, 100, 120, 200]


def one(
    number: int,
    reach: int,
    cell: str = "gru",
    tasks: tuple[str, ...] = ("recall",),
    regime: str = "incremental",
    rate: float = 1e-3,
    ended_by: str = "failed_rung",
) -> Record:
    """A trial of a long name, on those tasks."""
    record = trial(number, reach, ended_by=ended_by)
    configuration: dict[str, Any] = json.loads(json.dumps(record.configuration))
    model, training = configuration["model"], configuration["training"]
    model |= {
        "cell": {"kind": cell},
        "hidden_size": 128,
        "depth": 2,
        "front_end": {"kind": "conv", "kernel_width": 17},
        "positions": {"kind": "sinusoidal"},
        "residual": {"kind": "scaled"},
        "readout": {"kind": "attention" if number % 2 else "last"},
    }
    training |= {"learning_rate": rate, "regime": {"kind": regime}}
    reaches = dict.fromkeys(tasks, reach)
    report = replace(record.report, reaches=reaches)
    return replace(record, configuration=configuration, report=report)


SEVERAL = ("recall", "copying", "a-parquet-file-of-sensors")
CASES = {
    "one task": [one(n, reach, "transformer") for n, reach in enumerate((64, 32, 16, 0, 0))],
    "several tasks": [one(n, 32, "self_attention", SEVERAL) for n in range(4)],
    "a dozen tasks": [one(n, 32, tasks=tuple(f"task-{m}" for m in range(12))) for n in range(4)],
    "both regimes": [one(0, 32), one(1, 16, regime="scratch"), one(12345, 0, rate=2e-3)],
    "stopped": [one(0, 64, ended_by="top"), one(1, 16, ended_by="pruned")],
}
AIMS = ["progress", "parameters", "state_bytes", "flops_per_step", "gflop_to_reach"]


def printed(table: Any, width: int) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    said = console.export_text().splitlines()
    assert all(len(line) <= width for line in said)
    return said


@pytest.mark.parametrize("aims", [(), AIMS], ids=["one aim", "several aims"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("case", CASES)
def test_a_trial_of_the_leaderboard_is_one_line(case: str, width: int, aims: list[str]) -> None:
    """Its place, number and reach are there, and what tells rate and regime apart."""
    records = CASES[case]
    certified = {records[0].digest: "64"}
    table = leaderboard(records, 10, certified, LADDER, None, aims, width)
    _, head, *lines = printed(table, width)
    assert head.split()[:3] == ["#", "trial", "reach"]
    rows, caption = lines[: len(records)], " ".join(lines[len(records) :])
    shown = {int(row.split()[1]): row for row in rows}
    assert shown.keys() == {record.number for record in records}
    assert caption.startswith("≥: it may do more")
    for record in records:
        assert (f"≥ {record.reach}" if record.censored else str(record.reach or "below 8")) in (
            shown[record.number]
        )
    for tells in ("scratch", "incremental") if case == "both regimes" and width > 60 else ():
        assert any(tells in row for row in rows)
    if case == "both regimes":
        assert "2.0e-" in shown[12345]
        assert "1.0e-" in shown[0]
    if aims:
        assert "front" in head


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("case", CASES)
def test_so_it_is_among_all_trials(case: str, width: int) -> None:
    records = CASES[case]
    table = trial_lines(records, "gflop", LADDER, {0: 1}, width)
    _, *lines = printed(table, width)
    assert [int(line.split()[0]) for line in lines[: len(records)]] == [
        record.number for record in records
    ]
    assert lines[len(records)].startswith("≥: it may do more")


def heads(width: int, records: list[Record] = CASES["one task"]) -> str:
    return " ".join(printed(leaderboard(records, 10, None, LADDER, width=width), width)[1].split())


def test_what_goes_first_and_what_last() -> None:
    """Nothing goes while there is room; then what all share is said once, and the skill goes."""
    assert heads(200) == "# trial reach skill then architecture"
    assert heads(80) == "# trial reach skill then architecture"
    assert heads(58) == "# trial reach then architecture"
    wide = printed(leaderboard(CASES["one task"], 10, None, LADDER, width=200), 200)
    name = "2 x transformer 128 · conv 17 · sinusoidal · residual scaled · read-out attention"
    assert f"{name} · lr 1.0e-03" in wide[3]
    narrow = printed(leaderboard(CASES["one task"], 10, None, LADDER, width=80), 80)
    assert " ".join(narrow[3].split()) == "2 1 32 90.0% failed at 64 2 x transformer 128, attention"
    narrower = printed(leaderboard(CASES["one task"], 10, None, LADDER, width=66), 66)
    assert " ".join(narrower[3].split()) == "2 1 32 90.0% failed 2 x transformer 128, attention"
    said = " ".join(" ".join(narrow[7:]).split())
    assert "all: conv 17 · sinusoidal · residual scaled · lr 1.0e-03 · incremental" in said


def test_the_reach_on_each_of_several_tasks() -> None:
    """By name while there is room, then in the order of the tasks; of a dozen not at all."""

    def shown(case: str, width: int) -> str:
        table = leaderboard(CASES[case], 10, None, LADDER, width=width)
        return " ".join(" ".join(printed(table, width)).split())

    assert "recall 32, copying 32, a-parquet-file-of-sensors 32" in shown("several tasks", 200)
    narrow = shown("several tasks", 80)
    assert "32/32/32" in narrow
    assert "by task: recall/copying/a-parquet-file-of-sensors" in narrow
    assert "by task" not in shown("a dozen tasks", 60)
    assert "the reach is the least on a task: --json has all" in shown("a dozen tasks", 60)


def test_what_is_too_long_is_cut_and_says_so() -> None:
    lines = printed(leaderboard(CASES["several tasks"], 10, None, LADDER, width=40), 40)
    assert [line.rstrip()[-1] for line in lines[2:6]] == ["…"] * 4


def test_a_name_is_no_markup() -> None:
    odd = replace(CASES["one task"][0], configuration=json.loads(
        json.dumps(CASES["one task"][0].configuration).replace("transformer", "[b]own")
    ))  # fmt: skip
    assert "[b]own" in printed(leaderboard([odd], 10, None, LADDER, width=200), 200)[2]
