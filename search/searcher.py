"""Optuna proposes: Ray's own `OptunaSearch`, with the study on disk as the source of truth.

It falls short in four places, and is extended there. Its study is in memory, here a journal file.
Its sampler's random state is lost with the process, here it follows from the trial's number. It
cannot go on with trials cut off, here they are handed out again before new ones are asked for. And
it tells Optuna alone how a trial went, here the ledger is written first.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState
from ray.tune.search.optuna import OptunaSearch

from search.ledger import Ledger
from search.study import told
from spaces import Space
from trainables.config import TrialConfig

METRIC = "progress"

optuna.logging.set_verbosity(optuna.logging.WARNING)


def make_sampler(kind: str, seed: int, number: int) -> BaseSampler:
    """The sampler of one trial; its draws depend on the seed, the number and what was told."""
    drawn = np.random.SeedSequence([seed, number]).generate_state(1, np.uint32)
    if kind == "random":
        return RandomSampler(seed=int(drawn[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # group: in a conditional space, parameters that go together are modelled together.
        return TPESampler(seed=int(drawn[0]), multivariate=True, group=True, constant_liar=True)


class StudySearch(OptunaSearch):
    """Hands out the trials of a study until ``trials`` of them have come to an end.

    Args:
        study: as `search.study.restore_study` gives it; running trials are handed out again first
        trials: how many trials the search is to have in all
    """

    def __init__(
        self,
        space: Space,
        study: optuna.Study,
        ledger: Ledger,
        sampler: Callable[[int], BaseSampler],
        trials: int,
    ) -> None:
        super().__init__(
            space,
            metric=METRIC,
            mode="max",
            sampler=sampler(0),
            study_name=study.study_name,
            storage=study._storage,
        )
        self._ledger, self._make_sampler = ledger, sampler
        self._study = study
        known = study.get_trials(deepcopy=False)
        running = [trial for trial in known if trial.state == TrialState.RUNNING]
        self._cut_off = [optuna.Trial(study, trial._trial_id) for trial in running]
        asked_for = [trial.number for trial in known if trial.state == TrialState.WAITING]
        new = trials - len(known) + len(asked_for)
        self._new = [*asked_for, *range(len(known), trials)][: max(0, new)]

    @property
    def left(self) -> int:
        """Trials still to be handed out."""
        return len(self._cut_off) + len(self._new)

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next trial: one cut off earlier, or a new one; None when there are enough."""
        if trial_id not in self._ot_trials:
            if self._cut_off:
                trial = self._ot_trials[trial_id] = self._cut_off.pop(0)
                self._study.sampler = self._make_sampler(trial.number)
            elif self._new:
                self._study.sampler = self._make_sampler(self._new.pop(0))
                self._ot_trials[trial_id] = self._study.ask()
            else:
                return None
        proposed = super().suggest(trial_id)
        trial = self._ot_trials[trial_id]
        config = TrialConfig.model_validate(proposed)
        self._ledger.started(
            trial.number, dict(trial.params), config.model_dump(mode="json"), config.digest
        )
        return {"number": trial.number, "configuration": proposed}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep what was measured. Optuna is told at the end: its samplers use no more."""
        self._ledger.reported(self._ot_trials[trial_id].number, json.loads(result["report"]))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Keep how the trial ended, then tell Optuna."""
        trial = self._ot_trials.pop(trial_id, None)
        if trial is None:
            return
        number = trial.number
        if result is not None and "report" in result:
            self._ledger.reported(number, json.loads(result["report"]))
        report = self._ledger.records[number].report
        if error:
            self._ledger.finished(number, "error", "the worker died more often than is retried")
        else:
            self._ledger.finished(number, report.get("ended_by") or "pruned", report.get("error"))
        state, value = told(self._ledger.records[number])
        self._study.tell(trial, value, state)

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searchers for `Tuner.restore`, which is not how a search resumes."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the study and the ledger are on disk."""
        Path(checkpoint_path).write_text("{}")

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""
