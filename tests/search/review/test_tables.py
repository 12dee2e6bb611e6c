"""Trials, members and curves as tables."""

from __future__ import annotations

import json
from dataclasses import replace

from search.results.review import charts, tables
from search.results.review.importance import importances
from tests.search.review.trials import trial


def test_a_row_a_trial_best_first_and_the_silent_last() -> None:
    found = tables.trials(
        [trial(0, 8), trial(1, 0, error="it broke", ended_by="error"), trial(2, 32, "lstm")]
    )
    assert list(found["trial"]) == [2, 0, 1]
    assert list(found["reach"]) == [32, 8, 0]
    assert list(found["ended_by"]) == ["failed_rung", "failed_rung", "error"]
    assert found["error"].to_list()[2] == "it broke"
    assert list(found["model/cell/kind"]) == ["lstm", "gru", "gru"]
    assert found.loc[0, "sequences"] == 2 * 3 * 500 + 2 * 900
    assert tables.parameters(found) == ["model/cell/kind", "training/learning_rate"]


def test_a_whole_number_that_other_trials_lack_stays_whole() -> None:
    """Also in what is made of the table: pictures, importance, the page."""
    widths = [3, None, 5, 9, 17, 33, None, 3, 5, 9, 17, 33]
    made = [
        replace(trial(number, 8 * 2 ** (number % 3)), parameters={"width": width} if width else {})
        for number, width in enumerate(widths)
    ]
    found = tables.trials([*made, trial(12, 0, error="it broke", ended_by="error")])
    assert str(found["width"].dtype) == str(found["parameters"].dtype) == "Int64"
    assert json.loads(found.to_json(orient="records"))[0]["width"] == 5
    assert {one.parameter for one in importances(found, ["width"])} == {"width"}
    (dots,) = charts.reach_by_choice(found, "width").data
    assert sorted(dots.x) == sorted(filter(None, widths))
    priced = json.loads(charts.pareto(found).to_json())["data"][0]
    assert priced["type"] == "scatter"
    assert len(charts.pareto(found).data[0].x) == len(made)


def test_what_is_censored_and_certified_is_said() -> None:
    stopped = trial(1, 16, ended_by="pruned")
    found = tables.trials([trial(0, 8), stopped], {stopped.digest: "16"})
    assert list(found["censored"]) == [True, False]
    assert found["certified"].to_list()[0] == "16"


def test_curves_and_members() -> None:
    one = trial(4, 16)
    curves = tables.forgetting_curves([one])
    assert curves[["trial", "lag", "successes"]].to_numpy().tolist() == [[4, 8, 90], [4, 16, 90]]
    ends = tables.members(one).set_index(["lag", "member"])["ended_by"]
    assert ends.to_dict() == {
        (8, 0): "solved",
        (8, 1): "solved",
        (16, 0): "solved",
        (16, 1): "solved",
        (32, 0): "stalled",
        (32, 1): "stalled",
    }


def test_no_trial_is_an_empty_table() -> None:
    assert list(tables.trials([])) == list(tables.MEASURED)
    assert len(tables.forgetting_curves([])) == 0
