"""A sampler sees a bounded part of a long study: what matters to it, and nobody else less."""

from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from search.proposing import bounded_study
from search.proposing.bounded_study import BoundedStorage, BoundedStudy
from search.proposing.journal import Journal
from search.proposing.samplers import make_sampler

DISTRIBUTION = optuna.distributions.FloatDistribution(0, 40)


class Watching(optuna.samplers.RandomSampler):
    """Keeps the numbers of the trials that the storage shows while it draws."""

    def __init__(self, storage: BoundedStorage) -> None:
        super().__init__(seed=0)
        self.storage, self.seen, self.best = storage, list[int](), 0.0

    def sample_relative(self, study, trial, search_space):  # type: ignore[no-untyped-def]
        self.seen = shown(self.storage)
        there = self.storage.get_all_trials(self.storage.get_study_id_from_name("s"))
        self.best = max(t.value for t in there if t.value is not None)
        return super().sample_relative(study, trial, search_space)


def shown(storage: BoundedStorage) -> list[int]:
    there = storage.get_all_trials(storage.get_study_id_from_name("s"), deepcopy=False)
    return [trial.number for trial in there]


def filled(storage: optuna.storages.BaseStorage) -> None:
    """Forty trials, the earliest the best but one under way."""
    study = optuna.create_study(storage=storage, study_name="s", direction="maximize")
    for number in range(40):
        running = number == 20
        study.add_trial(
            create_trial(
                state=TrialState.RUNNING if running else TrialState.COMPLETE,
                value=None if running else float(40 - number),
                params={"x": float(number)},
                distributions={"x": DISTRIBUTION},
            )
        )


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> BoundedStorage:
    """A sampler is to see ten."""
    monkeypatch.setattr(bounded_study, "MOST_TRIALS", 10)
    monkeypatch.setattr(bounded_study, "BEST_TRIALS", 3)
    storage = BoundedStorage(Journal())
    filled(storage)
    return storage


@pytest.fixture
def study(storage: BoundedStorage) -> BoundedStudy:
    return BoundedStudy("s", storage)


def test_a_sampler_sees_the_best_the_latest_and_those_under_way(
    study: BoundedStudy, storage: BoundedStorage
) -> None:
    study.sampler = Watching(storage)
    study.ask({"x": DISTRIBUTION})
    assert study.sampler.seen == [0, 1, 2, 20, *range(34, 41)]


def test_what_is_picked_from_once_is_what_a_new_driver_picks(
    study: BoundedStudy, storage: BoundedStorage
) -> None:
    """Also of trials that end out of turn, better than all before them, after the first pick."""
    study.sampler = make_sampler("random", 0, 0)
    under_way = [study.ask({"x": DISTRIBUTION}).number for _ in range(4)]
    for number, value in zip([under_way[2], 20, under_way[0]], [50, 60, 1], strict=True):
        study.tell(number, value)
        study.ask({"x": DISTRIBUTION})
        fresh = BoundedStorage(Journal())
        again = optuna.create_study(storage=fresh, study_name="s", direction="maximize")
        again.add_trials(study.get_trials(deepcopy=False))
        assert shown(storage) == shown(fresh)
        assert number in shown(storage)
        assert {n for n in under_way if n >= 41} <= set(shown(storage))


def test_a_proposal_judges_no_trial_that_had_ended_before(
    study: BoundedStudy, storage: BoundedStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: what a proposal costs does not grow with them."""
    judged: list[int] = []
    best = bounded_study.best_of
    monkeypatch.setattr(bounded_study, "best_of", lambda t: judged.append(len(t)) or best(t))
    study.sampler = make_sampler("random", 0, 0)
    study.tell(20, 1.0)
    shown(storage)
    judged.clear()
    study.tell(study.ask().number, 2.0)
    study.ask()
    shown(storage)
    assert max(judged) <= bounded_study.BEST_TRIALS + 2


def test_everybody_else_sees_all(study: BoundedStudy, storage: BoundedStorage) -> None:
    assert [trial.number for trial in study.get_trials()] == list(range(40))
    assert [trial.number for trial in study.trials] == list(range(40))
    assert study.best_trial.number == 0
    with study.showing_all():
        assert shown(storage) == list(range(40))
    assert len(shown(storage)) < 40


def test_a_trial_that_waits_is_proposed_however_long_the_study(study: BoundedStudy) -> None:
    study.enqueue_trial({"x": 1.5})
    for _ in range(20):
        study.add_trial(
            create_trial(value=0.0, params={"x": 1.0}, distributions={"x": DISTRIBUTION})
        )
    study.sampler = make_sampler("random", 0, 0)
    trial = study.ask({"x": DISTRIBUTION})
    assert (trial.number, trial.params) == (40, {"x": 1.5})


def test_a_trial_that_waited_is_proposed_from_what_was_told_last(
    study: BoundedStudy, storage: BoundedStorage
) -> None:
    study.enqueue_trial({})
    shown(storage)
    study.tell(20, 41.0)
    study.sampler = Watching(storage)
    study.ask({"x": DISTRIBUTION})
    assert study.sampler.best == 41.0


def test_a_short_study_is_shown_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """TPE then proposes the same from either."""
    monkeypatch.setattr(bounded_study, "MOST_TRIALS", 41)
    proposed = []
    bounded, plain = BoundedStorage(Journal()), optuna.storages.InMemoryStorage()
    for storage in (bounded, plain):
        filled(storage)
    for study in (
        BoundedStudy("s", bounded),
        optuna.load_study(study_name="s", storage=plain),
    ):
        study.sampler = make_sampler("tpe", 0, 0)
        proposed.append(study.ask().suggest_float("x", 0, 40))
    assert proposed[0] == proposed[1]
