"""Optuna proposes: Ray's own `OptunaSearch`, with the study on disk as the source of truth.

It falls short in six places, and is extended there. Its study is in memory, here a journal file.
Its sampler's random state is lost with the process, here it follows from the trial's number. It
cannot go on with trials cut off, here they are handed out again before new ones are asked for. It
hands out whatever is proposed, here what breaks a constraint is told so and asked for anew. It
takes a lost worker for the end of its trial, here the trial is handed out again. And it tells
Optuna alone how a trial went, here the ledger is written first.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState
from pydantic import ValidationError
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from search.disk.ledger import Ledger
from search.errors import UserError
from search.proposing.constraints import refuse
from search.proposing.samplers import METRIC
from search.proposing.study import told
from search.scheduling.retries import LOSSES, WORKER_FAILURES, Loss
from spaces import Space
from trainables.config import TrialConfig
from trainables.parts import one_line

MOST_REFUSED = 200
"""Proposals refused one after the other before a search gives up."""

Broken = Callable[[TrialConfig], Mapping[str, float]]
"""From a configuration to how far it exceeds each constraint that it breaks."""


class StudySearch(OptunaSearch):
    """Hands out the trials of a study until ``trials`` of them have come to an end.

    Args:
        study: of `search.proposing.study.restore_study`; running trials are handed out again first
        trials: how many trials the search is to have in all
        broken: what a proposal breaks; one that breaks anything is refused, and is no trial
    """

    def __init__(
        self,
        space: Space,
        study: optuna.Study,
        ledger: Ledger,
        sampler: Callable[[int], BaseSampler],
        trials: int,
        broken: Broken = lambda config: {},
    ) -> None:
        super().__init__(
            space,
            metric=METRIC,
            mode="max",
            sampler=sampler(0),
            study_name=study.study_name,
            storage=study._storage,
        )
        self._ledger, self._make_sampler, self._broken = ledger, sampler, broken
        self._study = study
        known = study.get_trials(deepcopy=False)
        running = [trial for trial in known if trial.state == TrialState.RUNNING]
        self._cut_off = [optuna.Trial(study, trial._trial_id) for trial in running]
        self._asked_for = [t.number for t in known if t.state == TrialState.WAITING]
        self._next = len(known)
        self._deaths: Counter[int] = Counter()
        self._losses: Counter[int] = Counter()
        self._alone: set[int] = set()
        self._new = trials - len(known) + len(self._asked_for) + len(ledger.refused)

    @property
    def left(self) -> int:
        """Trials still to be handed out."""
        return len(self._cut_off) + max(0, self._new)

    def suggest(self, trial_id: str) -> Any:
        """The next trial: one cut off earlier, or a new one.

        None while enough are under way, `Searcher.FINISHED` when all have ended.

        Raises:
            UserError: if proposal after proposal breaks the constraints, or one is malformed.
        """
        broken: Mapping[str, float] = {}
        for _ in range(MOST_REFUSED):
            if not self._ask(trial_id):
                return None if self._ot_trials else Searcher.FINISHED
            proposed = super().suggest(trial_id)
            trial = self._ot_trials[trial_id]
            config = _validated(proposed)
            known = trial.number in self._ledger.records
            broken = {} if known else self._broken(config)
            if not broken:
                break
            excess = sum(broken.values())
            self._ledger.refuse(trial.number, dict(trial.params), excess)
            refuse(self._study, self._ot_trials.pop(trial_id), excess)
            self._new += 1
        else:
            raise UserError(
                f"constraints: {MOST_REFUSED} proposals in a row were refused, the last by "
                f"{', '.join(broken)}; loosen them or offer smaller choices, under a new name"
            )
        self._ledger.started(
            trial.number, dict(trial.params), config.model_dump(mode="json"), config.digest
        )
        alone = trial.number in self._alone
        return {"number": trial.number, "configuration": proposed, "whole_device": alone}

    def _ask(self, trial_id: str) -> bool:
        """Lay ready the trial that goes by this id; whether there is one."""
        if trial_id not in self._ot_trials:
            if self._cut_off:
                trial = self._ot_trials[trial_id] = self._cut_off.pop(0)
                self._study.sampler = self._make_sampler(trial.number)
            elif self._new > 0:
                self._study.sampler = self._make_sampler(self._next_number())
                self._ot_trials[trial_id] = self._study.ask()
                self._new -= 1
            else:
                return False
        return True

    def _next_number(self) -> int:
        """Of the trial that the study gives next: one that waits there, or a new one."""
        if self._asked_for:
            return self._asked_for.pop(0)
        self._next += 1
        return self._next - 1

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep what was measured. Optuna is told at the end: its samplers use no more."""
        self._ledger.reported(self._ot_trials[trial_id].number, json.loads(result["report"]))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Keep how the trial ended, then tell Optuna. Of one that was lost, `lost` decides."""
        if error:
            return
        trial = self._ot_trials.pop(trial_id, None)
        if trial is None:
            return
        if result is not None and "report" in result:
            self._ledger.reported(trial.number, json.loads(result["report"]))
        report = self._ledger.records[trial.number].report
        self._finish(trial, report.get("ended_by") or "pruned", report.get("error"))

    def lost(self, trial_id: str, why: Loss) -> None:
        """Hand out a trial again whose worker is gone, unless it has killed too many."""
        trial = self._ot_trials.pop(trial_id, None)
        if trial is None:
            return
        if why == "memory":
            self._alone.add(trial.number)
        elif why == "worker":
            self._deaths[trial.number] += 1
        self._losses[trial.number] += 1
        if self._losses[trial.number] > LOSSES:
            self._finish(trial, "error", f"its worker was lost {LOSSES + 1} times")
        elif self._deaths[trial.number] > WORKER_FAILURES:
            self._finish(trial, "error", f"its worker died {self._deaths[trial.number]} times")
        else:
            self._cut_off.append(trial)

    def _finish(self, trial: optuna.Trial, ended_by: str, error: str | None) -> None:
        self._ledger.finished(trial.number, ended_by, error)
        state, value = told(self._ledger.records[trial.number])
        self._study.tell(trial, value, state)

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searchers for `Tuner.restore`, which is not how a search resumes."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the study and the ledger are on disk."""
        Path(checkpoint_path).write_text("{}")

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


def _validated(proposed: dict[str, Any] | None) -> TrialConfig:
    try:
        return TrialConfig.model_validate(proposed)
    except ValidationError as error:
        raise UserError(f"space: proposes what gives no model: {one_line(error)}") from None
