"""``check-task``, and the controls before a first search."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from rich.console import Console

from search.checking import controls as controlling
from search.checking.controls import measure_once, refuse
from search.checking.preflight import check_tasks
from search.errors import UserError
from search.spec import Spec, read
from tests.search.test_refusals import refused, run, spec_with
from trainables.controls import measuring


@pytest.fixture
def leaking(tmp_path: Path) -> Path:
    """A spec on rows whose column of lags promises 8 to 15; the label is their last input."""
    rows = [[row + step for step in range(18)] + [row % 2] for row in range(900)]
    table = {
        "x": rows,
        "y": [row % 2 for row in range(900)],
        "back": [8 + r % 8 for r in range(900)],
    }
    pq.write_table(pa.table(table), tmp_path / "leaking.parquet")
    task = {"kind": "parquet", "path": "leaking.parquet", "sequence": "x", "target": "y"}
    return spec_with(
        tmp_path, tasks=[{**task, "lag": "back"}], ladder={"start": 8, "stop": 8, "success": 0.9}
    )


def once(spec: Spec, runs: Path) -> str:
    """What is printed before a search."""
    console = Console(width=120, record=True, file=io.StringIO())
    tasks = check_tasks(spec)
    refuse(spec, tasks, runs, measure_once(spec, tasks, runs), console)
    return console.export_text()


def test_the_table_of_controls_is_whole_at_80_columns(tmp_path: Path) -> None:
    """With every column, and 100 % in some."""
    (task,) = check_tasks(read(spec_with(tmp_path))).values()
    measured = [controlling.measure(task, lag) for lag in (8, 4096)]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(controlling.table("recall", measured, 0.9, [0.0, 1.0], nearest=1.0))
    said = console.export_text()
    assert "…" not in said
    heads = {"lag", "chance", "constant", "last", "input", "blinded", "shuffled", "nearest", "seen"}
    assert heads <= {*said.split()}
    assert max(map(len, said.splitlines())) <= 80


def test_a_sound_task_is_told_so_and_not_measured_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table has every control and the success asked for; the next search asks no more."""
    runs, spec = tmp_path / "runs", spec_with(tmp_path)
    assert run(monkeypatch, "check-task", str(spec), "--runs", str(runs)) == 0
    said = capsys.readouterr().out
    for name in ("recall: without memory", "chance", "blinded", "shuffled", "90.0%", "Nothing was"):
        assert name in said
    assert once(read(spec), runs) == ""
    other = read(spec).model_copy(
        update={"ladder": read(spec).ladder.model_copy(update={"success": 0.8})}
    )
    assert "80.0%" in once(other, runs)
    assert len(list((runs / "controls").iterdir())) == 2


def test_a_task_that_leaks_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    leaking: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the command and before a search, which leaves nothing behind."""
    runs = tmp_path / "runs"
    for command in ("check-task", "search"):
        assert run(monkeypatch, command, str(leaking), "--runs", str(runs)) == 2
        refused(capsys, "tasks: parquet: whoever sees the last input alone succeeds on", "at lag 8")
    assert run(monkeypatch, "check-task", str(leaking), "--runs", str(runs), "--json") == 2
    told = json.loads(capsys.readouterr().out)["tasks"]["parquet"]
    assert told["account"]["files"] == 1
    assert "whoever sees the last input alone succeeds" in told["complaints"][0]
    assert not runs.exists()


def test_the_spec_may_ask_for_a_warning_or_for_nothing(tmp_path: Path, leaking: Path) -> None:
    spec, runs = read(leaking), tmp_path / "runs"
    with pytest.raises(UserError, match="`controls: warn` searches anyway"):
        once(spec, runs)
    warned = once(spec.model_copy(update={"controls": "warn"}), runs)
    assert "parquet: whoever sees the last input alone succeeds" in warned
    assert once(spec.model_copy(update={"controls": "off"}), runs) == ""
    assert not runs.exists()


def test_data_that_changed_is_measured_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, leaking: Path
) -> None:
    """A task is known by its keys and by its files as they are."""
    monkeypatch.setattr(measuring.Controls, "complaint", lambda self, success: None)
    spec, runs = read(leaking), tmp_path / "runs"
    assert "parquet" in once(spec, runs)
    assert once(spec, runs) == ""
    os.utime(tmp_path / "leaking.parquet", (0, 0))
    assert "parquet" in once(spec, runs)


def test_the_first_the_middle_and_the_last_rung_are_measured(tmp_path: Path) -> None:
    spec = read(spec_with(tmp_path, ladder={"start": 8, "stop": 128}))
    (task,) = check_tasks(spec).values()
    measured = controlling.controls_of(task, spec.ladder.rungs)
    assert [one.lag for one in measured] == [8, 32, 128]
    assert yaml.safe_load(spec.to_yaml())["controls"] == "refuse"


def test_controls_are_measured_on_one_thread(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Beside Ray's start and a busy machine several threads wait for each other; then as before."""
    seen, before = [], torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        whole = controlling.measure
        monkeypatch.setattr(
            controlling, "measure", lambda *a: (seen.append(torch.get_num_threads()), whole(*a))[1]
        )
        spec = read(spec_with(tmp_path))
        measure_once(spec, check_tasks(spec), tmp_path / "runs")
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
