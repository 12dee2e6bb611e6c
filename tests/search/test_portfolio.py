"""What did well on several tasks is tried first where the space holds it, and only there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.replay.portfolio import by_number, candidates, portfolio
from benchmarks.replay.table import ELSEWHERE_TABLE, read_table
from benchmarks.replay.tasks import ELSEWHERE, MEASURED
from search.checking.portfolio import of_portfolio
from search.checking.warm_start import with_priors
from search.errors import UserError
from search.proposing.draws import nested, proposed
from search.proposing.new_study import new_study
from search.spec import MOST_PRIORS, Prior, take
from spaces import SPACES
from trainables.config import TrialConfig

FIRST = {"training/learning_rate": 0.002}


def priors(space: str = "everything", **search: Any) -> list[Prior]:
    content = {"name": "mine", "space": space, "tasks": ["recall"], "search": search}
    return with_priors(take(content), Path("nowhere")).search.priors


def test_it_is_what_the_table_of_real_trials_says() -> None:
    chosen = portfolio(by_number(read_table(), MEASURED))
    shipped = list(of_portfolio(SPACES["everything"]))
    assert len(shipped) == MOST_PRIORS
    assert [prior.origin for prior in shipped] == [f"portfolio: {c['origin']}" for c in chosen]
    assert [prior.parameters for prior in shipped] == [c["parameters"] for c in chosen]
    assert len({prior.parameters["model/cell/kind"] for prior in shipped}) == MOST_PRIORS


def test_other_tasks_were_tried_by_all_that_may_be_chosen_and_by_a_sample_of_the_space() -> None:
    """The first draws of the table, whatever they came to."""
    tasks = by_number(read_table(), MEASURED)
    for trials in by_number(read_table(ELSEWHERE_TABLE), ELSEWHERE).values():
        assert set(candidates(tasks)) <= set(trials)
        sample = set(trials) - set(candidates(tasks))
        drawn = [number for number in tasks["recall"] if number not in candidates(tasks)]
        assert len(sample) >= 40
        assert sample == set(drawn[: len(sample)])


@pytest.mark.parametrize("space", SPACES)
def test_a_space_proposes_what_it_holds_as_it_was_measured(space: str) -> None:
    """With its own parameters, fewer than `everything` has."""
    whole = {p.origin: p.parameters for p in of_portfolio(SPACES["everything"])}
    for prior in of_portfolio(SPACES[space]):
        study = new_study()
        study.enqueue_trial(prior.parameters)
        trial = study.ask()
        config = TrialConfig.model_validate(proposed(SPACES[space], trial))
        assert trial.params == prior.parameters
        assert config == TrialConfig.model_validate(nested(whole[prior.origin]))


def test_a_space_that_offers_other_choices_takes_none() -> None:
    assert not priors("quick")
    with pytest.raises(UserError, match=r"search\.portfolio: 3: none .* 'quick'; allowed there: 0"):
        priors("quick", portfolio=3)


@pytest.mark.parametrize(
    ("search", "count"),
    [
        ({}, 8),
        ({"trials": 11}, 2),
        ({"trials": 3}, 0),
        ({"trials": 3, "portfolio": 5}, 5),
        ({"portfolio": 0}, 0),
        ({"start_with": [FIRST]}, 0),
        ({"start_with": [FIRST], "portfolio": 1}, 1),
    ],
)
def test_how_many_are_tried(search: dict[str, Any], count: int) -> None:
    found = priors(**search)
    assert [p.origin for p in found] == [
        p.origin for p in list(of_portfolio(SPACES["everything"]))[:count]
    ]


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(UserError, match=r"search\.portfolio: .*less than or equal to 8"):
        priors(portfolio=9)
