"""Optuna proposes: Ray's own `OptunaSearch`, with the study on disk as the source of truth.

It falls short in five places, and is extended there. Its study is in memory, here a journal file.
Its sampler's random state is lost with the process, here it follows from the trial's number. It
cannot go on with trials cut off, here they are handed out again before new ones are asked for. It
hands out whatever is proposed, here what breaks a constraint is told so and asked for anew. And it
tells Optuna alone how a trial went, here the ledger is written first.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from pydantic import ValidationError
from ray.tune.search.optuna import OptunaSearch

from search.constraints import is_refused, refuse
from search.folder import UserError
from search.ledger import Ledger
from spaces import Space
from trainables.config import TrialConfig
from trainables.parts import one_line

METRIC = "progress"
MOST_REFUSED = 200
"""Proposals refused one after the other before a search gives up."""

Broken = Callable[[TrialConfig], Mapping[str, float]]
"""From a configuration to how far it exceeds each constraint that it breaks."""

optuna.logging.set_verbosity(optuna.logging.WARNING)


def open_study(journal: Path, name: str) -> optuna.Study:
    """The study in a journal file; made where there is none."""
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(journal))),
        study_name=name,
        direction="maximize",
        load_if_exists=True,
    )


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
        study: where everything suggested and told is kept
        trials: how many trials the search is to have in all
        start_with: parameters of the first trials; read when the study is new
        broken: what a proposal breaks; one that breaks anything is refused, and is no trial
    """

    def __init__(
        self,
        space: Space,
        study: optuna.Study,
        ledger: Ledger,
        sampler: Callable[[int], BaseSampler],
        trials: int,
        start_with: Sequence[Mapping[str, Any]] = (),
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
        if not study.get_trials(deepcopy=False):
            for parameters in start_with:
                study.enqueue_trial(dict(parameters))
        self._waiting = reconcile(study, ledger)
        known = study.get_trials(deepcopy=False)
        self._next = sum(trial.state != TrialState.WAITING for trial in known)
        self._new = trials - self._next + sum(is_refused(trial) for trial in known)

    @property
    def left(self) -> int:
        """Trials still to be handed out."""
        return len(self._waiting) + max(0, self._new)

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next trial: one cut off earlier, or a new one; None when there are enough.

        Raises:
            UserError: if proposal after proposal breaks the constraints, or one is malformed.
        """
        broken: Mapping[str, float] = {}
        for _ in range(MOST_REFUSED):
            if not self._ask(trial_id):
                return None
            proposed = super().suggest(trial_id)
            trial = self._ot_trials[trial_id]
            config = _validated(proposed)
            known = trial.number in self._ledger.records
            broken = {} if known else self._broken(config)
            if not broken:
                break
            refuse(self._study, self._ot_trials.pop(trial_id), broken)
            self._new += 1
        else:
            raise UserError(
                f"constraints: {MOST_REFUSED} proposals in a row were refused, the last by "
                f"{', '.join(broken)}; loosen them or offer smaller choices, under a new name"
            )
        self._ledger.started(
            trial.number, dict(trial.params), config.model_dump(mode="json"), config.digest
        )
        return {"number": trial.number, "configuration": proposed}

    def _ask(self, trial_id: str) -> bool:
        """Lay ready the trial that goes by this id; whether there is one."""
        if trial_id not in self._ot_trials:
            if self._waiting:
                trial = self._ot_trials[trial_id] = self._waiting.pop(0)
                self._study.sampler = self._make_sampler(trial.number)
            elif self._new > 0:
                self._study.sampler = self._make_sampler(self._next)
                self._ot_trials[trial_id] = self._study.ask()
                self._next += 1
                self._new -= 1
            else:
                return False
        return True

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep what was measured. Optuna is told at the end: its samplers use no more."""
        self._ledger.reported(self._ot_trials[trial_id].number, json.loads(result["report"]))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Keep how the trial ended, then tell Optuna."""
        number = self._ot_trials[trial_id].number
        if result is not None and "report" in result:
            self._ledger.reported(number, json.loads(result["report"]))
        report = self._ledger.records[number].report
        if error:
            self._ledger.finished(number, "error", "the worker died more often than is retried")
        else:
            self._ledger.finished(number, report.get("ended_by") or "pruned", report.get("error"))
        super().on_trial_complete(trial_id, result, error)

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


def reconcile(study: optuna.Study, ledger: Ledger) -> list[optuna.Trial]:
    """Make study and ledger agree after a crash; the trials to go on with, oldest first.

    A trial that the study holds as running has ended if the ledger says so (the driver died
    between the two), and is told; otherwise it was cut off, and goes on. So is a proposal that was
    being refused.
    """
    cut_off = []
    for frozen in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        trial = optuna.Trial(study, frozen._trial_id)
        record = ledger.records.get(frozen.number)
        if is_refused(frozen):
            study.tell(trial, state=TrialState.PRUNED)
        elif record is None or not record.finished:
            cut_off.append(trial)
        elif record.report:
            study.tell(trial, record.progress)
        else:
            study.tell(trial, state=TrialState.FAIL)
    return cut_off
