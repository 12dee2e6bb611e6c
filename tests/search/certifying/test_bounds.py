"""The bound that a certificate states: of one candidate's claim, at that candidate's confidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.over_claiming import LAGS, SPEC, Rule, search
from search.certifying.candidates import of_search
from search.certifying.certificate import assumptions, certificate, claim
from search.certifying.members import Climbed, Job
from search.certifying.store import Store
from search.spec import CertifyConfig, ResourcesConfig
from trainables.measure.certificate import plan_for


@pytest.mark.parametrize("candidates", [1, 3])
def test_a_bound_has_the_confidence_of_its_candidate(tmp_path: Path, candidates: int) -> None:
    """Of three candidates each claim errs in a third of 5 %; only together do they err in 5 %."""
    everything = np.ones((60, len(LAGS)))
    chosen = of_search(SPEC, search(everything, np.random.default_rng(0), Rule(1, 1)), candidates)
    plan = plan_for(0.8, 0.95, 1, candidates)
    store = Store(tmp_path, 0)
    store.path.mkdir(parents=True)
    store.fix(CertifyConfig(), chosen, plan)
    first = replace(chosen[0], configuration={"training": {"regime": {"kind": "scratch"}}})
    for member in range(plan.members):
        reach = 0 if member == 2 else first.lags[0]
        job = Job(first, member, 0, first.lags[-1], tmp_path / "m", ResourcesConfig())
        store.keep(job, Climbed(member, job.root, job.goal, reach, "failed_rung", None, "", ()))
    rung = certificate(store, first, plan)["rungs"][0]
    assert (rung["passed"], rung["tried"], rung["solved"]) == (True, plan.members, plan.members - 1)
    # one-sided Clopper-Pearson: at the bound, as many successes have the error's probability
    error = stats.binom.sf(rung["solved"] - 1, rung["tried"], rung["lower_bound"])
    assert error == pytest.approx(0.05 / candidates, rel=1e-6)
    assert rung["lower_bound"] >= 0.8


def test_fresh_members_climb_every_rung() -> None:
    """Whatever the search skipped: a claim is one about every rung up to the lag."""
    skipping = SPEC.ladder.model_copy(update={"skip": 0.5})
    spec = SPEC.model_copy(update={"ladder": skipping})
    everything = np.ones((60, len(LAGS)))
    (chosen,) = of_search(spec, search(everything, np.random.default_rng(0), Rule(1, 1)), 1)
    assert chosen.ladder == SPEC.ladder
    assert (skipping.rule.at_once > 0, chosen.ladder.rule.at_once) == (True, 0)


@pytest.mark.parametrize(
    ("lag", "claimed"),
    [
        (32, "learns recall at lag 32 with probability at least 0.8"),
        (
            256,
            "learns recall at lags up to 32 and, not trained on any longer, succeeds at lag 256 ",
        ),
    ],
)
def test_a_claim_says_what_was_not_trained_on(lag: int, claimed: str) -> None:
    ladder = SPEC.ladder.model_copy(update={"train_to": 63})
    spec = SPEC.model_copy(update={"ladder": ladder})
    everything = np.ones((60, len(LAGS)))
    (chosen,) = of_search(spec, search(everything, np.random.default_rng(0), Rule(1, 1)), 1)
    scratch = replace(chosen, configuration={"training": {"regime": {"kind": "scratch"}}})
    assert claimed in claim(scratch, plan_for(0.8, 0.95, 1, 1), lag)
    said = [line for line in assumptions(scratch) if "`train_to`" in line]
    assert [line.startswith("Members trained on rungs up to 32 (") for line in said] == [True]
    out = replace(scratch, ladder=ladder.model_copy(update={"train_out": True}))
    assert "At 32 each trained until it was done, and was looked at once (`train_out`)." in set(
        assumptions(out)
    )
    plain = replace(scratch, ladder=SPEC.ladder)
    assert not any("train_to" in line for line in assumptions(plain))
