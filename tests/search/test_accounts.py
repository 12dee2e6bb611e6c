"""What was read is said before a search, by ``--dry-run``, kept with it, and shown on cards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search.checking.preflight import check_tasks
from search.disk.folder import SearchFolder
from search.disk.kept_tasks import keep_tasks, kept_task
from search.recording.datasets import accounts
from search.recording.tracker import Tracker
from search.results.card import read_section
from search.spec import read
from tests.search.test_refusals import run, spec_with
from trainables.files.whole_files import read_json, write_json


@pytest.fixture
def spoiled(tmp_path: Path) -> Path:
    """A spec on two classes of numbers, of which 1 % are -999."""
    g = np.random.default_rng(0)
    classes = g.integers(0, 2, 1200)
    rows = g.normal(0, 1, (1200, 10))
    rows[:, 3] += 6 * classes
    rows[g.random(rows.shape) < 0.01] = -999
    (tmp_path / "data").mkdir()
    table = pa.table({"x": rows.tolist(), "y": classes.astype(bool)})
    pq.write_table(table, tmp_path / "data" / "a.parquet")
    (tmp_path / "data" / "notes.csv").write_text("left out")
    task = {"kind": "parquet", "path": "data", "sequence": "x", "target": "y"}
    return spec_with(tmp_path, tasks=[task], ladder={"start": 4, "stop": 4, "success": 0.8})


def test_a_dry_run_says_it_and_starts_nothing(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    spoiled: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = tmp_path / "runs"
    assert run(monkeypatch, "search", str(spoiled), "--dry-run", "--runs", str(runs)) == 0
    said = capsys.readouterr().out
    for part in (
        "parquet read data",
        "1 file, 1,200 rows, 1,200 used",
        "left out: notes.csv",
        "steps a row: 10 to 10, median 10",
        "1 number a step: ",
        "-999 to 9.9",
        "2 classes: True 5",
        "of the values are -999, ",
        "`missing: -999`",
        "What it may cost",
        "trials      1, 1 side by side",
        "at most",
        "At most: every member of every trial uses its whole budget",
        "Nothing was started.",
    ):
        assert part in said
    assert not runs.exists()


def test_it_is_kept_with_the_search_and_shown(tmp_path: Path, spoiled: Path) -> None:
    """As JSON and back; classes keep their type."""
    tasks = check_tasks(read(spoiled))
    folder = SearchFolder(tmp_path / "runs", "kept")
    folder.create(read(spoiled).to_yaml())
    keep_tasks(folder, tasks)
    account = tasks["parquet"].account
    assert account is not None
    kept = kept_task(folder, "parquet")
    assert kept is not None
    assert kept.account == account
    assert [type(each.name) for each in kept.account.answers.classes] == [bool, bool]
    assert accounts(folder, ["parquet"]) == {"parquet": account}
    shown = read_section({"read": [*account.lines(), *account.warnings]})
    assert "- 1 file, 1,200 rows" in shown
    assert read_section({}) == ""


def test_a_search_of_an_earlier_version_kept_none(tmp_path: Path, spoiled: Path) -> None:
    folder = SearchFolder(tmp_path / "runs", "kept")
    folder.create(read(spoiled).to_yaml())
    keep_tasks(folder, check_tasks(read(spoiled)))
    (file,) = folder.encodings.glob("*.json")
    plain = read_json(file)
    del plain["account"]
    write_json(file, plain)
    assert accounts(folder, ["parquet"]) == {}
    assert kept_task(folder, "parquet") is not None


def test_the_searches_own_run_in_mlflow_has_it(tmp_path: Path, spoiled: Path) -> None:
    spec = read(spoiled)
    folder = SearchFolder(tmp_path / "runs", spec.name)
    folder.create(spec.to_yaml())
    keep_tasks(folder, check_tasks(spec))
    tracker = Tracker(spec, folder)
    tracker.begin()
    (said,) = (tmp_path / "runs").rglob("read/parquet.txt")
    assert "`missing: -999`" in said.read_text()
    assert "1,200 rows" in said.read_text()
