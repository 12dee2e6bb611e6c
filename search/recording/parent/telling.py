"""The parent run, brought up to date: numbers and words at every end, pictures now and then."""

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
from search.recording.parent.pace import Pace
from search.recording.parent.pictures import FOLDER, REPORT, report, stills
from search.recording.parent.progress import KEYS, progress, unsent
from search.results.review.story import what_next
from search.spec import Spec

SECONDS_BETWEEN_PICTURES = 30.0
FRONT = "front"
"""The tag of a trial's run that says on which Pareto front it is, where there are several aims."""


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
        self._shown: dict[str, str] | None = None
        self._mattered = ""
        self._of_words = Pace(0.0, clock())
        self._of_pictures = Pace(SECONDS_BETWEEN_PICTURES, clock() + SECONDS_BETWEEN_PICTURES)

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
        """How far it is and what has come of it; pictures of that now and then, and ``at_last``.

        The ``runs`` are those of the trials, by number.
        """
        fresh = unsent(progress(records), self._newest)
        for first in range(0, len(fresh), sending.METRICS_PER_BATCH):
            batch = fresh[first : first + sending.METRICS_PER_BATCH]
            self._client.log_batch(self.run_id, metrics=batch)
        self._newest |= {metric.key: (metric.step, metric.value) for metric in fresh}
        ended = sum(record.finished for record in records)
        if at_last:
            on = fronts_of(records, self._spec.search.objectives)
            for number in on.keys() & runs.keys():
                self._client.set_tag(runs[number], FRONT, str(on[number]))
        began = self._clock()
        draws = at_last or self._of_pictures.is_due(ended, began)
        if draws:
            self._draw(records)
            self._of_pictures.made(ended, began, self._clock())
        began = self._clock()
        if draws or self._of_words.is_due(ended, began):
            self._describe(records, runs, at_last)
            self._of_words.made(ended, began, self._clock())

    def _draw(self, records: Sequence[Record]) -> None:
        """The leaderboard, the report, the pictures, and what they say of choices."""
        from search.results.review.importance import what_mattered  # as of the report's page

        client, folder = self._client, self._folder
        self._shown = sending.best(client, self.run_id, records, self._spec, folder)
        self._mattered = what_mattered([r for r in records if r.finished], self._spec)
        page = report(self._spec, folder, list(certificates(folder.path)))
        sending.file(client, self.run_id, page, REPORT, folder)
        for name, picture in stills(records, self._spec):
            sending.file(client, self.run_id, picture, name, folder, under=FOLDER)

    def _describe(self, records: Sequence[Record], runs: Mapping[int, str], at_last: bool) -> None:
        """The description, with the pictures that were drawn last, here or before a resume."""
        decided = list(certificates(self._folder.path))
        if self._shown is None:
            self._shown = sending.shown(self._client, self.run_id)
        links = {number: page_of_run(self._experiment, run) for number, run in runs.items()}
        pictures = {
            words: picture_address(self.run_id, name) for words, name in self._shown.items()
        }
        following: list[tuple[str, str]] = []
        if at_last:  # before that the search itself goes on
            following += what_next(records, self._spec, self._folder, decided, asks_space=False)
        said = note(self._spec, records, decided, links, pictures, following, self._mattered)
        self._client.set_tag(self.run_id, NOTE_TAG, said)
