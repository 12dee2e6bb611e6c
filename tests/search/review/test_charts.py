"""What the pictures show."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from search.results.review import charts, tables
from tests.search.review.trials import trial


def test_the_front_holds_what_nothing_beats() -> None:
    found = pd.DataFrame(
        {"parameters": [10, 10, 20, 30, 40], "reach": [8, 16, 16, 64, 32], "architecture": "x"}
    )
    best = charts.front(found, "parameters")
    assert best[["parameters", "reach"]].to_numpy().tolist() == [[10, 16], [30, 64]]


def test_chance_lies_beneath_and_names_read_by_themselves() -> None:
    """Of two answers that a half gets right each, a quarter gets both."""
    record = trial(3, 16)
    rows = tuple(
        replace(row, chance=0.5, answers=2 if row.lag == 8 else 1) for row in record.report.rows
    )
    record = replace(record, report=replace(record.report, rows=rows))
    curves, names = tables.forgetting_curves([record]), {3: tables.name(record)}
    line, chance = charts.forgetting_curves(curves, names, 0.8, tables.chance([record])).data
    assert (line.name, chance.name) == ("3 · gru 8", "chance")
    assert list(zip(chance.x, chance.y, strict=True)) == [(8, 0.25), (16, 0.5), (32, 0.5)]


def test_untrained_lags_and_unsolved_rungs_are_hollow() -> None:
    record = trial(0, 16)
    curves = tables.forgetting_curves([record])
    curves.loc[len(curves)] = [0, "recall", 32, 10, 100, False]
    (line,) = charts.forgetting_curves(curves, {0: "trial 0"}, 0.8).data
    assert list(line.marker.symbol) == ["circle", "circle", "circle-open"]
    members = charts.members_by_rung(tables.members(record), 0.8).data
    assert [list(member.marker.symbol)[-1].endswith("-open") for member in members] == [True, True]


def test_every_trial_is_in_the_pictures_of_all() -> None:
    table = tables.trials(
        [trial(n, 8 * 2 ** (n % 3), "lstm" if n % 2 else "gru") for n in range(9)]
    )
    by_choice = charts.reach_by_choice(table, "model/cell/kind").data[0]
    assert len(by_choice.y) == 9
    dots = [line for line in charts.reach_over_time(table).data if line.mode == "markers"]
    assert sum(len(line.x) for line in dots) == 9
    best = charts.reach_over_time(table).data[-1]
    assert list(best.y) == [8, 16, 32, 32, 32, 32, 32, 32, 32]
    assert charts.ends(table).data[0].x.tolist() == [9]


def test_a_members_mark_says_of_how_many_and_whether_it_trained() -> None:
    record = trial(0, 16, last=("untrained", "untrained"))
    members = tables.members(record)
    members.loc[members["lag"] > 8, "sequences"] = 0
    told = list(charts.members_by_rung(members, 0.8).data[0].text)
    assert told == [
        "solved, 100 shown",
        "solved, without training, 100 shown",
        "not solved, without training, 100 shown",
    ]


def test_choices_that_are_numbers_stand_by_size() -> None:
    table = tables.trials([trial(n, 8) for n in range(4)])
    table["width"] = [17, 5, 3, 9]
    axis = charts.reach_by_choice(table, "width").layout.xaxis
    assert list(axis.categoryarray) == ["3", "5", "9", "17"]
