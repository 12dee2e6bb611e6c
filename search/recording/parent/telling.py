"""The parent run, brought up to date: its metrics at every call, its description now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from mlflow.entities import Param, RunTag
from mlflow.tracking import MlflowClient

from search.disk.certificates import certificates
from search.disk.folder import SearchFolder
from search.disk.mlflow_database import page_of_run
from search.disk.ranking import fronts_of
from search.disk.record import Record
from search.recording import sending
from search.recording.notes.of_search import note
from search.recording.notes.of_trial import NOTE_TAG, picture_address
from search.recording.parent import asked
from search.recording.parent.pictures import FOLDER, REPORT, report, stills
from search.recording.parent.progress import KEYS, progress, unsent
from search.results.review.story import what_next
from search.spec import Spec

SECONDS_BETWEEN_NOTES = 30.0
FRONT = "front"
"""The tag of a trial's run that says on which Pareto front it is, where there are several aims."""

LEAST_PART = 20
"""A description is made again at the earliest after so many times as long as the last one took."""


class ParentRun:
    """The run of a search in MLflow."""

    def __init__(
        self,
        client: MlflowClient,
        experiment: str,
        run_id: str,
        spec: Spec,
        folder: SearchFolder,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._experiment, self._clock = client, experiment, clock
        self.run_id, self._spec, self._folder = run_id, spec, folder
        self._newest: dict[str, tuple[int, float]] = {}
        for key in KEYS:
            told = client.get_metric_history(run_id, key)
            if told:
                last = max(told, key=lambda metric: (metric.step, metric.timestamp))
                self._newest[key] = (last.step, last.value)
        self._told, self._tell_from = -1, clock() + SECONDS_BETWEEN_NOTES

    def send_spec(self) -> None:
        """What was asked of the search; what a hand has changed since stands as a tag."""
        known = self._client.get_run(self.run_id).data.params
        asked_for = {
            key: value[: sending.LONGEST_PARAM] for key, value in asked.params(self._spec).items()
        }
        params = [Param(key, value) for key, value in asked_for.items() if key not in known]
        changed = {key: v for key, v in asked_for.items() if known.get(key, v) != v}
        tags = [RunTag(key, v) for key, v in {**asked.tags(self._spec), **changed}.items()]
        for first in range(0, len(params), sending.PARAMS_PER_BATCH):
            batch = params[first : first + sending.PARAMS_PER_BATCH]
            self._client.log_batch(self.run_id, params=batch)
        self._client.log_batch(self.run_id, tags=tags)

    def tell(
        self, records: Sequence[Record], runs: Mapping[int, str], at_last: bool = False
    ) -> None:
        """How far it is, and what has come of it: now and then, and ``at_last``.

        The ``runs`` are those of the trials, by number.
        """
        fresh = unsent(progress(records), self._newest)
        for first in range(0, len(fresh), sending.METRICS_PER_BATCH):
            batch = fresh[first : first + sending.METRICS_PER_BATCH]
            self._client.log_batch(self.run_id, metrics=batch)
        self._newest |= {metric.key: (metric.step, metric.value) for metric in fresh}
        ended, began = sum(record.finished for record in records), self._clock()
        if at_last:
            on = fronts_of(records, self._spec.search.objectives)
            for number in on.keys() & runs.keys():
                self._client.set_tag(runs[number], FRONT, str(on[number]))
        if at_last or (ended != self._told and began >= self._tell_from):
            self._describe(records, runs, at_last)
            now = self._clock()
            self._tell_from = now + max(SECONDS_BETWEEN_NOTES, LEAST_PART * (now - began))
            self._told = ended

    def _describe(self, records: Sequence[Record], runs: Mapping[int, str], at_last: bool) -> None:
        """The leaderboard, the report, the pictures, and the description that leads to them."""
        client, folder = self._client, self._folder
        shown = sending.best(client, self.run_id, records, self._spec, folder)
        decided = list(certificates(folder.path))
        page = report(self._spec, folder, decided)
        sending.file(client, self.run_id, page, REPORT, folder)
        for name, picture in stills(records, self._spec):
            sending.file(client, self.run_id, picture, name, folder, under=FOLDER)
        links = {number: page_of_run(self._experiment, run) for number, run in runs.items()}
        pictures = {words: picture_address(self.run_id, name) for words, name in shown.items()}
        following: list[tuple[str, str]] = []
        if at_last:  # before that the search itself goes on
            following += what_next(records, self._spec, folder, decided, asks_space=False)
        said = note(self._spec, records, decided, links, pictures, following)
        client.set_tag(self.run_id, NOTE_TAG, said)
