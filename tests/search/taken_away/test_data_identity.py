"""Which data a search was measured on is known, and other data is refused unless it is meant."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from search.commands import searching
from search.disk import outcomes
from search.disk.folder import SearchFolder
from tests.search.conftest import in_process
from tests.search.taken_away.taken import (
    ALL,
    DEPTH,
    FILES,
    LAGGED,
    NUMBERS,
    RECALL,
    STREAM,
    TOKENS,
    export,
    one,
    refused,
)


def test_every_outcome_says_which_data_it_was_measured_on(taken: Path) -> None:
    """By task; none of a task that generates. In the Parquet and in the exports the same."""
    rows = outcomes.read(SearchFolder(taken / "runs", "taken").outcomes).to_pylist()
    told = {row["task"]: row["data"] for row in rows}
    exported = {}
    for columns in ALL:
        outcome = json.loads((one(taken, columns) / "outcome.json").read_text())
        exported[outcome["task"]] = outcome.get("data", {"fingerprint": None})["fingerprint"]
    assert told == exported
    assert len(set(told.values())) == len(ALL)
    assert told["recall"] is None


def variants(taken: Path, folder: Path) -> dict[str, tuple[str, str, pd.DataFrame]]:
    """By name: of which task, what is said of it, and the file's other content."""
    numbers = pd.read_parquet(taken / "numbers.parquet")
    tokens = pd.read_parquet(taken / "tokens.parquet")
    depth = pd.read_parquet(taken / "depth.parquet")
    waves = pd.read_parquet(taken / "waves.parquet")
    lagged = pd.read_parquet(taken / "lagged.parquet")
    two = [np.stack([row, row], 1).tolist() for row in numbers.readings]
    return {
        "features": (NUMBERS, "has 2 features a step; the model takes 1",
                     numbers.assign(readings=two)),
        "no class": (NUMBERS, "has no row of 'shaft'", numbers[numbers.fault != "shaft"]),
        "renamed": (NUMBERS, "has 'zzz', which the model does not know and has no row of 'none'",
                    numbers.assign(fault=numbers.fault.replace({"none": "zzz"}))),
        "units": (NUMBERS, "units: mean", numbers.assign(readings=numbers.readings * 1.8 + 32)),
        "few": (NUMBERS, "it takes at least", numbers.head(20)),
        "labels": (NUMBERS, "labels changed, of the same 500 sequences",
                   numbers.assign(fault=numbers.fault.to_numpy()[::-1])),
        "added": (NUMBERS, "500 rows added (1000, not 500)", pd.concat(
            [numbers, numbers.assign(readings=[row + 1e-3 for row in numbers.readings])])),
        "symbol": (TOKENS, "has the symbol 8, which is not in the model's vocabulary",
                   tokens.assign(words=[np.where(w == 7, 8, w) for w in tokens.words])),
        "types": (TOKENS, "has 'no', 'yes', which the model does not know",
                  tokens.assign(good=np.where(tokens.good, "yes", "no"))),
        "metres": (DEPTH, "labels changed, of the same 500 sequences",
                   depth.assign(depth=depth.depth / 1000)),
        "lags": (LAGGED, "labels or lags changed, of the same 800 sequences",
                 lagged.assign(far=lagged.far % 5 + 1)),
        "waves": (STREAM, "units: mean", waves.assign(x=waves.x * 3)),
        "one more": (TOKENS, "1 rows added (501, not 500)", pd.concat(
            [tokens, pd.DataFrame({"words": [[7, 7, -3, 7, -3, -3, 7]], "good": [True]})])),
        "one label": (LAGGED, "labels or lags changed, of the same 800 sequences",
                      lagged.assign(y=np.where(lagged.index == 3, 1 - lagged.y, lagged.y))),
        "one feature": (DEPTH, "has 1 features a step; the model takes 2",
                        depth.assign(pair=[[s[:1] for s in row] for row in depth.pair])),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["features", "no class", "renamed", "units", "few", "labels", "added", "symbol", "types",
     "metres", "lags", "waves"],
)  # fmt: skip
def test_verify_refuses_other_data(taken: Path, tmp_path: Path, name: str) -> None:
    columns, said, frame = variants(taken, tmp_path)[name]
    frame.to_parquet(tmp_path / "other.parquet")
    line = refused("verify", one(taken, columns), "--data", tmp_path / "other.parquet")
    assert said in line


@pytest.mark.parametrize("columns", ALL)
def test_verify_uses_the_exports_encoding(taken: Path, columns: str) -> None:
    """On the file it was trained on, in whatever order, the claim holds as it was exported."""
    folder = one(taken, columns)
    data = [] if columns == RECALL else ["--data", str(taken / f"{FILES[columns]}.parquet")]
    done = in_process("verify", str(folder), "--seed", "1", *data)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "the claim holds" in done.stdout


@pytest.mark.parametrize("columns", [NUMBERS, LAGGED])
def test_verify_gives_the_exported_success(taken: Path, columns: str) -> None:
    """Where nothing is drawn, on the training file's own held-out rows: the very count."""
    folder = one(taken, columns)
    outcome = json.loads((folder / "outcome.json").read_text())
    rows = outcome["test_sequences"]
    right = round(outcome["success_rate"] * rows)
    data = ("--data", str(taken / f"{FILES[columns]}.parquet"))
    done = in_process("verify", str(folder), "--seed", "7", *data)
    assert f"lag 4: {right} of {rows} fresh sequences right" in done.stdout


def test_verify_on_other_data_that_is_meant(taken: Path, tmp_path: Path) -> None:
    """Other units give the model what it was not trained on: nothing is fitted to them."""
    _, _, frame = variants(taken, tmp_path)["units"]
    frame.to_parquet(tmp_path / "fahrenheit.parquet")
    data = ("--data", str(tmp_path / "fahrenheit.parquet"), "--other-data")
    done = in_process("verify", str(one(taken, NUMBERS)), *data)
    assert done.returncode == 1, done.stderr + done.stdout
    assert "On other data than was measured: units: mean" in done.stdout
    assert "the claim FAILS" in done.stdout


@pytest.fixture
def changed(taken: Path, tmp_path: Path) -> Path:
    """The search in another place, with data of its own that may be changed."""
    for file in taken.glob("*.parquet"):
        shutil.copyfile(file, tmp_path / file.name)
    shutil.copytree(taken / "runs", tmp_path / "runs")
    spec = tmp_path / "runs" / "taken" / "spec.yaml"
    spec.write_text(spec.read_text().replace(str(taken), str(tmp_path)))
    return tmp_path


@pytest.mark.parametrize("name", ["labels", "added", "units", "lags", "waves"])
def test_resume_and_certify_refuse_other_data(taken: Path, changed: Path, name: str) -> None:
    columns, said, frame = variants(taken, changed)[name]
    frame.to_parquet(changed / f"{FILES[columns]}.parquet")
    at = ("--runs", changed / "runs")
    for command in (("resume", "taken", "--trials", "2"), ("certify", "taken")):
        assert said in refused(*command, *at)
    data = ("--data", changed / f"{FILES[columns]}.parquet")
    assert said in refused("certify", one(taken, columns), *data)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("features", "2 features a step, not 1"),
        ("one feature", "1 features a step, not 2"),
        ("no class", "classes gone: 'shaft'; 188 rows gone (312, not 500)"),
        ("renamed", "classes 'none' renamed or gone, 'zzz' new"),
        ("one more", "1 rows added (501, not 500)"),
        ("one label", "labels or lags changed, of the same 800 sequences"),
        ("symbol", "its rows are others"),
        ("metres", "labels changed, of the same 500 sequences"),
        ("few", "480 rows gone (20, not 500)"),
    ],
)
def test_resume_refuses_every_kind_of_change(
    taken: Path, changed: Path, name: str, said: str
) -> None:
    columns, _, frame = variants(taken, changed)[name]
    frame.to_parquet(changed / f"{FILES[columns]}.parquet")
    line = refused("resume", "taken", "--trials", "2", "--runs", changed / "runs")
    assert f"the data is another than was measured: {said}" in line


def test_a_search_goes_on_with_other_data_that_is_meant(
    taken: Path, changed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is recorded with the search and in what is exported; the encoding stays."""
    searches: list[SearchFolder] = []
    monkeypatch.setattr(searching, "_search", lambda folder, *_: searches.append(folder))
    _, _, frame = variants(taken, changed)["added"]
    frame.to_parquet(changed / "numbers.parquet")
    kept = changed / "runs" / "taken" / "encoding"
    before = {file.name: json.loads(file.read_text())["value"] for file in kept.iterdir()}
    done = in_process("resume", "taken", "--other-data", "--runs", str(changed / "runs"))
    assert done.returncode == 0, done.stderr + done.stdout
    after = {file.name: json.loads(file.read_text())["value"] for file in kept.iterdir()}
    (name,) = (name for name in before if after[name] != before[name])
    assert after[name]["encoding"] == before[name]["encoding"]
    assert after[name]["earlier"] == [before[name]["data"]]
    assert after[name]["data"]["rows"] == 1000
    export(changed, "again")
    outcome = json.loads((one(changed, NUMBERS, "again") / "outcome.json").read_text())
    assert outcome["earlier_data"] == [before[name]["data"]]
    assert in_process("resume", "taken", "--runs", str(changed / "runs")).returncode == 0
    assert len(searches) == 2
