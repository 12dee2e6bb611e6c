"""Two searches side by side."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from search.cli import app
from search.disk.folder import SearchFolder
from search.results.review.comparison import Side, differences, results, unlike
from tests.search.review.trials import spec, trial
from trainables.measure.report import Report

ASKED = spec()
LONGER = spec(stop=128)
HARDER = spec(success=0.9)


def side(**changes: object) -> Side:
    found = {"name": "a", "spec": ASKED, "records": [trial(0, 16), trial(1, 0)], "certified": {}}
    return Side(**{**found, **changes})  # type: ignore[arg-type]  # as the test asks


def test_only_what_differs_is_shown_by_its_path() -> None:
    assert differences(side(), side(name="b")) == []
    assert differences(side(), side(spec=HARDER)) == [("ladder.success", 0.8, 0.9)]
    two = ASKED.model_copy(update={"tasks": [*ASKED.tasks, *HARDER.tasks]})
    keys = [key for key, *_ in differences(side(), side(spec=two))]
    assert keys[0] == "tasks.1.kind"


def test_what_gives_a_reach_another_meaning_is_said() -> None:
    assert unlike(differences(side(), side(spec=HARDER))) == ["ladder.success"]
    assert unlike(differences(side(), side(spec=LONGER))) == []


def test_each_side_is_told_by_its_best() -> None:
    best = trial(3, 64, ended_by="top")
    found = {
        key: (one, other)
        for key, one, other in results(
            side(), side(records=[trial(0, 8), best], certified={best.digest: "32"})
        )
    }
    assert found["reach"] == ("16", "≥ 64")
    assert found["certified"] == (None, "32")
    assert found["trial"] == (0, 3)
    assert found["passed a rung"] == (1, 2)
    assert found["training GFLOP"] == (3.0, 5.0)


def test_a_search_that_learned_nothing_has_no_best() -> None:
    silent = trial(0, 0, ended_by="error", error="no")
    assert silent.report == Report()
    found = {key: one for key, one, _ in results(side(records=[silent]), side())}
    assert (found["reach"], found["trial"], found["failed by error"]) == (None, None, 1)


def test_the_command(made: SearchFolder) -> None:
    other = SearchFolder(made.runs, "other")
    other.create(HARDER.model_copy(update={"name": "other"}).to_yaml())
    runs = ["--runs", str(made.runs)]
    told = CliRunner().invoke(app, ["compare", "made", "other", *runs, "--json"])
    found = json.loads(told.stdout)
    assert found["unlike"] == ["ladder.success"]
    assert found["results"]["reach"] == {"one": "32", "other": None}
    told = CliRunner().invoke(app, ["compare", "made", "other", *runs], catch_exceptions=False)
    assert "Reaches do not mean the same: they differ in ladder.success" in told.stdout
    told = CliRunner().invoke(app, ["compare", "made", "made", *runs], catch_exceptions=False)
    assert "The specs say the same." in told.stdout


def test_a_search_that_is_not_there_is_refused(made: SearchFolder, tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["compare", "made", "gone", "--runs", str(made.runs)])
    assert "no search 'gone'" in str(told.exception)
