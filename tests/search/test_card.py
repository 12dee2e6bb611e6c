"""What a card says of a forgetting curve that is worse below its reach than at it."""

from __future__ import annotations

from typing import Any

import pytest

from search.results.card import of_looks, single_answers, worse_below_the_reach


def outcome(*points: tuple[int, int], lag: int = 16) -> dict[str, Any]:
    """Of a reach of ``lag``; the points are lags with successes of 200, learned up to it."""
    curve = [
        {"lag": at, "successes": hits, "sequences": 200, "learned": at <= lag}
        for at, hits in points
    ]
    return {"lag": lag, "forgetting_curve": curve}


def test_one_sentence_names_the_worst_shorter_lag() -> None:
    (said,) = worse_below_the_reach(outcome((4, 150), (8, 100), (16, 196), (32, 3)))
    assert "worse at shorter lags than at their reach: 50% at lag 8." in said


@pytest.mark.parametrize(
    "points",
    [
        [(4, 199), (8, 198), (16, 196)],
        [(4, 190), (8, 193), (16, 196)],  # no clear difference
        [(16, 196), (32, 3)],  # beyond is no shorter lag
        [(4, 100), (8, 100)],  # nothing is known of the reach
        [],
    ],
)
def test_nothing_is_said_where_nothing_is_clear(points: list[tuple[int, int]]) -> None:
    assert worse_below_the_reach(outcome(*points)) == []


def test_single_answers_wrong_stand_on_the_card_and_are_flip_flops_glitches() -> None:
    told = {"task": "flip_flop", "several_answers": True, "answer_rate": 0.99988}
    assert "reads: the glitch rate | 0.012% |" in single_answers(told)
    assert "glitch" not in single_answers({**told, "task": "copying"})
    assert single_answers({**told, "several_answers": False}) == ""
    assert single_answers({"task": "flip_flop"}) == ""  # an export of an earlier version


def test_shares_of_looks_that_end_early_and_rungs_without_training_are_told() -> None:
    told = of_looks({"ladder": {"stop": 64, "looks": "sequential", "train_to": 16}})
    assert "after 64 of 512 sequences at the earliest" in told
    assert "rungs above 16 are judged without training" in told
    assert of_looks({"ladder": {"stop": 64, "looks": "whole"}}) == ""
    assert of_looks({"ladder": {"stop": 64, "train_to": 64}}) == ""  # of a version before looks
