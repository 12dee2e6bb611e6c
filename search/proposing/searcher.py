"""Who tries what next: Tune's searcher over the study and the ledger on disk.

A trial that was cut off is handed out again before a new one is asked for; what breaks a constraint
is told to Optuna and asked for anew; the sampler of a proposal follows from the trial's number, so
that proposals do not depend on where a driver died; and the ledger is written before Optuna is
told. Whether a trial that lost its worker is handed out again is not decided here, but in
`search.scheduling.retries`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from optuna.samplers import BaseSampler
from optuna.trial import BaseTrial, FixedTrial, Trial, TrialState
from pydantic import ValidationError
from ray.tune.search import Searcher

from search.disk.ledger import Ledger
from search.errors import UserError
from search.proposing.bounded_study import BoundedStudy
from search.proposing.constraints import refuse
from search.proposing.draws import proposed
from search.proposing.samplers import METRIC
from search.proposing.study import annotations_of, state_and_values
from spaces import Space
from trainables.config import TrialConfig
from trainables.measure.report import Report
from trainables.messages import named, one_line

MOST_REFUSED = 200
"""Proposals refused one after the other before a search gives up."""

Exceeded = Callable[[TrialConfig], Mapping[str, float]]
"""From a configuration to how far it exceeds each constraint that it breaks."""


class StudySearch(Searcher):
    """Hands out the trials of a study until ``trials`` of them have come to an end.

    Tune names a trial by an id of its own, another one each time that it is handed out.

    Args:
        study: of `search.proposing.study.restore_study`; running trials are handed out again first
        trials: how many trials the search is to have in all
        exceeded: what a proposal exceeds; one that exceeds anything is refused, and is no trial
        over: whether the search is to end now: then nothing is handed out, and a trial that has
            not ended by itself stays under way
        origin: where the configuration of a trial was found, by its number
        objectives: those of the study
        watched: around every call of a space or sampler, which may be the user's own
    """

    def __init__(
        self,
        space: Space,
        study: BoundedStudy,
        ledger: Ledger,
        sampler: Callable[[int], BaseSampler],
        trials: int,
        exceeded: Exceeded = lambda config: {},
        over: Callable[[], bool] = lambda: False,
        origin: Callable[[int], str] = lambda number: "",
        objectives: Sequence[str] = (METRIC,),
        watched: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        super().__init__(metric=METRIC, mode="max")
        self._space, self._study, self._ledger = space, study, ledger
        self._make_sampler, self._exceeded, self._over = sampler, exceeded, over
        self._origin, self._objectives, self._watched = origin, objectives, watched
        known = study.get_trials(deepcopy=False)
        self._cut_off = [t.number for t in known if t.state == TrialState.RUNNING]
        self._asked_for = [t.number for t in known if t.state == TrialState.WAITING]
        self._next = len(known)
        self._new = trials - len(known) + len(self._asked_for) + len(ledger.refused)
        self._under_way: dict[str, int] = {}
        self._alone: set[int] = set()

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
        if self._over():
            return None if self._under_way else Searcher.FINISHED
        if self._cut_off:
            number = self._take_up()
        elif self._new > 0:
            number = self._propose()
        else:
            return None if self._under_way else Searcher.FINISHED
        self._under_way[trial_id] = number
        return {
            "number": number,
            "configuration": self._ledger.records[number].configuration,
            "whole_device": number in self._alone,
        }

    def _take_up(self) -> int:
        """Go on with a trial that was cut off; its number."""
        number = self._cut_off.pop(0)
        if number not in self._ledger.records:  # it is damaged; the journal held the parameters
            parameters = self._study.get_trials(deepcopy=False)[number].params
            trial = FixedTrial(parameters, number)
            with self._watched():
                found = proposed(self._space, trial)
            self._start(trial, _validated(found))
        return number

    def _propose(self) -> int:
        """Start a new trial; its number."""
        for _ in range(MOST_REFUSED):
            trial, config = self._ask()
            exceeded = self._exceeded(config)
            if not exceeded:
                self._new -= 1
                self._start(trial, config)
                return trial.number
            excess = sum(exceeded.values())
            self._ledger.refuse(trial.number, trial.params, excess)
            refuse(self._study, trial, excess)
        raise UserError(
            f"constraints: {MOST_REFUSED} proposals in a row were refused, the last by "
            f"{', '.join(exceeded)}; loosen them or offer smaller choices, under a new name"
        )

    def _ask(self) -> tuple[Trial, TrialConfig]:
        """The study's next trial, with what the space makes of it.

        Raises:
            UserError: in one line, if the space or the sampler gives nothing of the kind.
        """
        number = self._next_number()
        try:
            with self._watched():
                self._study.sampler = self._make_sampler(number)
                trial = self._study.ask()
                return trial, _validated(proposed(self._space, trial))
        except (UserError, OSError):
            raise
        except (Exception, SystemExit) as error:  # whatever the user's own code raises
            raise UserError(
                f"space or search.sampler: nothing is proposed for trial {number}: {named(error)}"
            ) from error

    def _start(self, trial: BaseTrial, config: TrialConfig) -> None:
        configuration = config.model_dump(mode="json")
        origin = self._origin(trial.number)
        self._ledger.started(trial.number, trial.params, configuration, config.digest, origin)

    def _next_number(self) -> int:
        """Of the trial that the study gives next: one that waits there, or a new one."""
        if self._asked_for:
            return self._asked_for.pop(0)
        self._next += 1
        return self._next - 1

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep what was measured. Optuna is told at the end: its samplers use no more."""
        self._ledger.reported(self._under_way[trial_id], _report(result))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Keep how a trial ended. One that lost its worker has not: it is under way still.

        One that the scheduler stopped where its rung had failed has failed, and may do no more.
        """
        number = self._under_way.get(trial_id)
        if error or number is None:
            return
        if result is not None and "report" in result:
            self._ledger.reported(number, _report(result))
        report = self._ledger.records[number].report
        if self._over() and report.ended_by is None:
            del self._under_way[trial_id]
            return
        self.end(trial_id, report.ended_by or report.failed_by or "pruned", report.error)

    def is_under_way(self, trial_id: str) -> bool:
        """Whether a trial was handed out under this id and has not ended."""
        return trial_id in self._under_way

    def hand_out_again(self, trial_id: str, alone: bool) -> None:
        """Hand a trial under way out once more; ``alone``, on a device that it shares with none."""
        number = self._under_way.pop(trial_id)
        self._cut_off.append(number)
        if alone:
            self._alone.add(number)

    def end(self, trial_id: str, ended_by: str, error: str | None) -> None:
        """Keep how a trial under way ended, then tell Optuna."""
        number = self._under_way.pop(trial_id)
        self._ledger.finished(number, ended_by, error)
        record = self._ledger.records[number]
        self._study.note(number, annotations_of(record, self._objectives))
        state, values = state_and_values(record, self._objectives)
        with self._watched():
            self._study.tell(number, values, state)

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searchers for `Tuner.restore`, which is not how a search resumes."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the study and the ledger are on disk."""
        Path(checkpoint_path).write_text("{}")

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


def _report(result: Mapping[str, Any]) -> Report:
    return Report.from_json(json.loads(result["report"]))


def _validated(configuration: Mapping[str, Any]) -> TrialConfig:
    try:
        return TrialConfig.model_validate(configuration)
    except ValidationError as error:
        raise UserError(f"space: proposes what gives no model: {one_line(error)}") from None
