"""A search that goes on until a certificate: who is tried, in which order, at what error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.over_claiming import LAGS, SPEC, FakePool, Probabilities, Rule, search
from benchmarks.until import hunts
from search.certifying.hunting import FIRST_SEED, Hunt, OverError
from search.certifying.pool import RayPool
from search.certifying.store import stores
from search.disk.certificates import certified_words, standing
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.disk.record import Record
from search.errors import UserError
from search.proposing.budget import Budget
from search.scheduling.machines import Machine
from search.spec import ResourcesConfig, SearchConfig, take
from tests.search.conftest import SMALL, in_process, longspan, write_spec
from trainables.measure.certificate import plan_for

LAG = 32
CONTENT = {
    "name": "fake", "space": "quick", "tasks": ["recall"], "ladder": {"start": 8, "stop": 1024},
    "search": {"until": {"certified": LAG}},
}  # fmt: skip
HUNTED = take(CONTENT)


def truth_of(*sure: int) -> Probabilities:
    """A configuration for each, sure up to the lag; on the rung above, none."""
    return np.array([[float(lag <= most) for lag in LAGS] for most in sure])


def records_of(truth: Probabilities) -> list[Record]:
    found = search(truth, np.random.default_rng(0), Rule(1, 1))
    training = {"training": {"regime": {"kind": "incremental"}}}
    return [replace(r, configuration={**r.configuration, **training}) for r in found]


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    folder = SearchFolder(tmp_path, "fake")
    folder.create("")
    return folder


def decide(hunt: Hunt, truth: Probabilities, over: int = 10**6) -> list[int]:
    """Try whoever waits until one is certified; the trials of the members, in order."""
    pool = FakePool(truth, np.random.default_rng(1), 1)
    while hunt.waits():
        hunt.try_next(ResourcesConfig(), pool, lambda: len(pool.started) >= over, lambda said: None)
    return [job.candidate.trial for job in pool.started]


def test_candidates_are_tried_the_best_first_until_one_is_certified(folder: SearchFolder) -> None:
    """Trials 1 and 3 are better by the search's word alone; of trial 4 members learn the lag."""
    records = records_of(truth_of(16, 128, 0, 64, 32))
    hunt = Hunt(HUNTED, folder)
    hunt.start(records)
    members = decide(hunt, truth_of(16, 16, 0, 16, 32))
    first, second, third = (plan_for(0.8, 0.95, 1, turn=turn) for turn in (1, 2, 3))
    assert members == [1, 1, 3, 3, *[4] * third.members]
    assert hunt.found == "search.until: lag 32 is certified of trial 4"
    assert [first.candidate_confidence, second.candidate_confidence] == pytest.approx(
        [1 - 0.05 / 2, 1 - 0.05 / 6]
    )
    words = certified_words(folder.path)
    assert [words[records[trial].digest] for trial in (1, 3, 4)] == ["none", "none", "32"]
    assert [store.seed for store in stores(folder.path)] == [FIRST_SEED + n for n in (1, 2, 3)]


def test_a_configuration_is_tried_once(folder: SearchFolder) -> None:
    again = replace(records_of(truth_of(64))[0], number=1)
    hunt = Hunt(HUNTED, folder)
    hunt.start(records_of(truth_of(64)))
    hunt(again)
    decide(hunt, truth_of(16))
    hunt(again)
    assert not hunt.waits()
    assert hunt.found is None


def test_one_that_was_cut_off_goes_on_first(folder: SearchFolder) -> None:
    """With the members that had ended, and their cost; what comes of it is the same."""
    truth = truth_of(32, 64)
    hunt = Hunt(HUNTED, folder)
    hunt.start(records_of(truth))
    with pytest.raises(OverError):
        decide(hunt, truth, over=3)
    later = Hunt(HUNTED, folder)
    later.start(records_of(truth))
    assert later.waits()
    assert decide(later, truth) == [1] * (plan_for(0.8, 0.95, 1, turn=1).members - 3)
    assert later.found == "search.until: lag 32 is certified of trial 1"
    latest = Hunt(HUNTED, folder)
    latest.start(records_of(truth))
    assert (latest.found, latest.waits()) == (later.found, False)


def test_who_has_not_reached_the_lag_is_no_candidate(folder: SearchFolder) -> None:
    hunt = Hunt(HUNTED, folder)
    hunt.start(records_of(truth_of(16, 8, 0)))
    assert not hunt.waits()
    unasked = Hunt(SPEC, folder)
    unasked.start(records_of(truth_of(1024)))
    assert not unasked.waits()


def test_a_failure_says_nothing_of_shorter_lags(folder: SearchFolder) -> None:
    """One that failed at 32 may be certified at 16 by hand; at 32 it may not."""
    hunt = Hunt(HUNTED, folder)
    records = records_of(truth_of(64))
    hunt.start(records)
    decide(hunt, truth_of(16))
    (found,) = standing(folder.path).values()
    assert (found["lag"], [rung["lag"] for rung in found["rungs"]]) == (0, [LAG])
    assert "Lag 32 alone was tested" in " ".join(found["assumptions"])
    assert found["plan"]["turn"] == 1


def test_trials_wait_while_a_candidate_is_decided_and_its_cost_counts(folder: SearchFolder) -> None:
    hunt = Hunt(HUNTED, folder)
    limits = SearchConfig(gflop=10)
    budget = Budget(limits, Ledger(folder), pause=hunt.waits, besides=lambda: hunt.gflop)
    assert not budget.stop_all()
    hunt.start(records_of(truth_of(64)))
    assert budget.stop_all()
    assert budget.used_up is None
    hunt.gflop = 10
    assert budget.used_up == "search.gflop: 10 are used up"


def test_a_lag_that_is_no_rung_is_refused() -> None:
    with pytest.raises(UserError, match=r"until\.certified: 33 is no rung of the ladder; allowed"):
        take({**CONTENT, "search": {"until": {"certified": 33}}})
    assert "until" not in SPEC.to_yaml(), "what earlier versions read stays as it was"


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_all_turns_together_err_with_no_more_than_the_whole(failures: int) -> None:
    """Exactly, at 0.8 less a hair, for 2,000 candidates one after the other."""
    plans = [plan_for(0.8, 0.95, failures, turn=turn) for turn in range(1, 2001)]
    errs = [stats.binom.sf(p.members - failures - 1, p.members, 0.8 - 1e-9) for p in plans]
    assert all(e <= 0.05 / (n * (n + 1)) for n, e in enumerate(errs, 1))
    assert sum(errs) <= 0.05


def test_searches_claim_what_is_not_true_in_at_most_5_percent() -> None:
    """Of configurations at 0.79, twelve each; with a certificate at 5 % for each, a fifth would."""
    found, each = (
        [not hunt.is_true for hunt in hunts("0.79 at the first rung", 8, 60, 0, spending, 12)]
        for spending in (True, False)
    )
    assert np.mean(found) <= 0.05
    assert np.mean(each) > 0.1


@pytest.mark.slow
@pytest.mark.by_hand  # a search that certifies: minutes
def test_by_the_command(tmp_path: Path) -> None:
    """A search ends with a certificate in hand, before its trials have, and does not go on."""
    spec = SMALL.replace("trials: 14", "trials: 14, until: {certified: 8}")
    path = write_spec(tmp_path, f"{spec}certify: {{reliability: 0.5, failures: 0}}\n")
    done = longspan("search", str(path), "--runs", str(tmp_path))
    assert done.returncode == 0, done.stderr
    line = "search.until: lag 8 is certified of trial"
    assert line in " ".join(done.stdout.split())
    assert "longspan resume" not in done.stdout
    ledger = Ledger(SearchFolder(tmp_path, "small"))
    assert ledger.ended < 14
    assert "8" in certified_words(SearchFolder(tmp_path, "small").path).values()
    again = longspan("resume", "small", "--runs", str(tmp_path))
    assert again.returncode == 0, again.stderr
    assert Ledger(SearchFolder(tmp_path, "small")).records.keys() == ledger.records.keys()
    refused = in_process("certify", "small", "--seed", "1001", "--runs", str(tmp_path))
    assert (refused.returncode, "search.until" in refused.stderr) == (2, True)


def test_on_a_cluster_as_many_members_run_as_its_machines_hold() -> None:
    """And not as many as its head would."""
    machines = [Machine(0, 0), Machine(4, 0, count=3)]
    assert RayPool(ResourcesConfig(cpus=2), machines).slots == 6
