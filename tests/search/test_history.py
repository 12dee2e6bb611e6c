"""A sampler sees a bounded part of a long study: what matters to it, and nobody else less."""

from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from search.proposing import bounded_study as history
from search.proposing.bounded_study import BoundedStudy
from search.proposing.samplers import make_sampler


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> BoundedStudy:
    """Forty trials, the earliest the best but one under way; a sampler is to see ten."""
    monkeypatch.setattr(history, "MOST_TRIALS", 10)
    monkeypatch.setattr(history, "BEST_TRIALS", 3)
    whole = optuna.create_study(study_name="s", direction="maximize")
    distribution = optuna.distributions.FloatDistribution(0, 40)
    for number in range(40):
        running = number == 20
        whole.add_trial(
            create_trial(
                state=TrialState.RUNNING if running else TrialState.COMPLETE,
                value=None if running else float(40 - number),
                params={"x": float(number)},
                distributions={"x": distribution},
            )
        )
    return BoundedStudy("s", whole._storage)


def test_a_sampler_sees_the_best_the_latest_and_those_under_way(study: BoundedStudy) -> None:
    seen = [trial.number for trial in study._get_trials(deepcopy=False)]
    assert seen == [0, 1, 2, 20, *range(33, 40)]


def test_what_is_picked_once_a_proposal_is_what_a_new_driver_picks(study: BoundedStudy) -> None:
    """Also of trials that end out of turn, better than all before them, after the first pick."""
    distribution = optuna.distributions.FloatDistribution(0, 40)
    study.sampler = make_sampler("random", 0, 0)
    under_way = [study.ask({"x": distribution}) for _ in range(4)]
    early = optuna.Trial(study, study.get_trials(deepcopy=False)[20]._trial_id)
    for trial, value in zip([under_way[2], early, under_way[0]], [50, 60, 1], strict=True):
        study.tell(trial, value)
        study.ask({"x": distribution})
        fresh = BoundedStudy("s", study._storage)
        seen = [t.number for t in study._get_trials(deepcopy=False)]
        assert seen == [t.number for t in fresh._get_trials(deepcopy=False)]
        assert trial.number in seen
        assert {t.number for t in under_way if t.number >= 41} <= set(seen)


def test_a_proposal_judges_no_trial_that_had_ended_before(
    study: BoundedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: what a proposal costs does not grow with them."""
    judged: list[int] = []
    best = history._best
    monkeypatch.setattr(history, "_best", lambda t: judged.append(len(t)) or best(t))
    early = optuna.Trial(study, study.get_trials(deepcopy=False)[20]._trial_id)
    study.sampler = make_sampler("random", 0, 0)
    study.tell(early, 1.0)
    study._get_trials()
    judged.clear()
    study.tell(study.ask(), 2.0)
    study.ask()
    study._get_trials()
    assert max(judged) <= history.BEST_TRIALS + 2


def test_everybody_else_sees_all(study: BoundedStudy) -> None:
    assert [trial.number for trial in study.get_trials()] == list(range(40))
    assert study.best_trial.number == 0


def test_a_short_study_is_shown_whole(study: BoundedStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """TPE then proposes the same from either."""
    monkeypatch.setattr(history, "MOST_TRIALS", 40)
    proposed = []
    for shown in (study, optuna.load_study(study_name="s", storage=study._storage)):
        shown.sampler = make_sampler("tpe", 0, 0)
        trial = shown.ask()
        proposed.append(trial.suggest_float("x", 0, 40))
        shown.tell(trial, state=TrialState.FAIL)
    assert proposed[0] == proposed[1]
