"""A search's runs in MLflow: a parent run, and a child run for each trial.

What MLflow holds of a trial follows from its record and its run's start alone, so sending something
twice changes nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from search.disk import mlflow_database as database
from search.disk.certificates import certificates
from search.disk.folder import SearchFolder
from search.disk.record import Record
from search.disk.versions import git_commit
from search.errors import UserError
from search.recording import sending
from search.recording.certificates import send_certificates
from search.recording.datasets import accounts, dataset_inputs
from search.recording.parent.place import own_database, own_uri, tracking_uri
from search.recording.parent.telling import ParentRun
from search.recording.parent.view import view
from search.recording.points import Point, final_points, points, tags, title
from search.recording.whole_database import make_whole
from search.spec import Spec

TRIAL_TAG = "longspan.trial"
MEASURED_TAG = "longspan.final_weights_measured"
SEARCH_ENDED_BY = "longspan.search_ended_by"
"""Of a search with a budget: which was used up, ``trials`` if all ended, or ``stopped``."""


@dataclass(frozen=True)
class TrialRun:
    """A trial's run in MLflow; times in milliseconds since the epoch, no end while it runs.

    Attributes:
        measured: whether it holds what was measured of the final weights
    """

    run_id: str
    started_ms: int
    ended_ms: int | None
    measured: bool = False

    @classmethod
    def of(cls, run: Run) -> TrialRun:
        """What is kept of MLflow's run."""
        ended = None if run.info.status == "RUNNING" else run.info.end_time
        measured = MEASURED_TAG in run.data.tags
        return cls(run.info.run_id, run.info.start_time, ended, measured)


class Tracker:
    """The search's runs in MLflow, found again by tag."""

    def __init__(self, spec: Spec, folder: SearchFolder) -> None:
        self._spec, self._folder = spec, folder
        self.name = folder.name
        self.goes_on = folder.command("resume")
        self.uri = tracking_uri(spec, folder)
        self._client: MlflowClient | None = None
        commit = git_commit()
        self._commit = {"mlflow.source.git.commit": commit} if commit else {}
        self._experiment = self._parent = ""
        self._parent_run: ParentRun | None = None
        self._runs: dict[int, TrialRun] = {}
        self._sent: dict[int, set[Point]] = {}

    @property
    def _run_ids(self) -> dict[int, str]:
        """By trial."""
        return {number: run.run_id for number, run in self._runs.items()}

    @property
    def _own(self) -> bool:
        """Whether the database lies beside the searches."""
        return self.uri == own_uri(self._folder)

    @property
    def _artifacts(self) -> Path:
        return self._folder.runs / database.FOLDER

    @property
    def connected(self) -> bool:
        """Whether the runs have been looked up, and nothing has failed since."""
        return self._client is not None

    def disconnect(self) -> None:
        """Forget what the server holds: of a request that failed, nobody knows what was done."""
        self._client, self._experiment, self._parent = None, "", ""
        self._parent_run = None
        self._runs, self._sent = {}, {}

    def connect(self) -> MlflowClient:
        """The client, with the experiment there and the search's runs known."""
        if self._client is None:
            # MLflow would repeat a request that may have been done: a second run for one trial.
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
            os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
            os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
            logging.getLogger("alembic").setLevel(logging.WARNING)
            logging.getLogger("mlflow").setLevel(logging.WARNING)
            # What fails is raised as well, and told in one line.
            logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
            if self._own:
                make_whole(own_database(self._folder))
            client = MlflowClient(tracking_uri=self.uri)
            self._experiment = self._find_experiment(client)
            self._find_runs(client)
            self._client = client
            if self._own:
                database.remove_stray_folders(own_database(self._folder))
        return self._client

    def _find_experiment(self, client: MlflowClient) -> str:
        name = self._spec.tracking.experiment_name
        if self._own:
            database.follow(own_database(self._folder), self._artifacts.as_uri())
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = self._artifacts.as_uri() if self._own else None
        kind = {"mlflow.experimentKind": "custom_model_development"}  # which pages MLflow shows
        return str(client.create_experiment(name, artifact_location=location, tags=kind))

    def _find_runs(self, client: MlflowClient) -> None:
        """The runs of this search.

        Of two runs of one trial, made by a request whose answer was lost, the first is kept.
        """
        query = f"tags.`{database.SEARCH_TAG}` = '{self._folder.identity}'"
        token: str | None = None
        doubles: list[str] = []
        while True:
            page = client.search_runs(
                [self._experiment],
                query,
                max_results=1000,
                order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
                page_token=token,
            )
            for run in page:
                trial = run.data.tags.get(TRIAL_TAG)
                if trial is None and not self._parent:
                    self._parent = run.info.run_id
                elif trial is not None and int(trial) not in self._runs:
                    self._runs[int(trial)] = TrialRun.of(run)
                else:
                    doubles.append(run.info.run_id)
            token = page.token
            if not token:
                break
        for run_id in doubles:
            client.delete_run(run_id)

    def begin(self) -> None:
        """Have the parent run under way; it is made where there is none."""
        client = self.connect()
        if self._parent_run is not None:
            return
        if self._parent:
            client.update_run(self._parent, status="RUNNING")
        else:
            self._parent = self._make_parent(client)
        parent = ParentRun(client, self._experiment, self._parent, self._spec, self._folder)
        parent.send_spec()
        for shown in (view(), view(self._folder.identity)):
            client.set_experiment_tag(self._experiment, *shown)
        self._parent_run = parent

    def tell(self, records: Sequence[Record], at_last: bool = False) -> None:
        """How far the search is; and what has come of it, now and then and ``at_last``."""
        self.begin()
        if self._parent_run is not None:
            self._parent_run.tell(records, self._run_ids, at_last)

    def run_id(self, number: int) -> str:
        """The run of a trial.

        Raises:
            UserError: if MLflow has not been told of it.
        """
        self.connect()
        if number not in self._runs:
            raise UserError(
                f"MLflow at {self.uri} does not know trial {number}; "
                f"`{self.goes_on}` sends what is missing"
            )
        return self._runs[number].run_id

    def run_link(self, number: int) -> str:
        """Where a trial's run is: a page of the tracking server, or the place in the database."""
        run_id = self.run_id(number)
        if self.uri.startswith("http"):
            return f"{self.uri.rstrip('/')}/#/experiments/{self._experiment}/runs/{run_id}"
        return f"runs:/{run_id}"

    def _make_parent(self, client: MlflowClient) -> str:
        found = {database.SEARCH_TAG: self._folder.identity, "space": self._spec.space}
        found["task"] = ", ".join(self._spec.tasks_by_name)
        found |= self._commit
        run = client.create_run(self._experiment, run_name=self.name, tags=found)
        self._send_data(client, run.info.run_id)
        client.log_artifact(run.info.run_id, str(self._folder.spec))
        for file in sorted(self._folder.encodings.glob("*.json")):
            client.log_artifact(run.info.run_id, str(file), "encoding")
        for name, account in accounts(self._folder, self._spec.tasks_by_name).items():
            said = "\n".join([*account.lines(), *account.warnings, ""])
            client.log_text(run.info.run_id, said, f"read/{name}.txt")
        return str(run.info.run_id)

    def send(self, record: Record) -> None:
        """Bring the trial's run up to date, and end it once the trial has.

        A run that has ended says all there is to say of a record with the same end. Of any other it
        is outdated (the trial went on, up a longer ladder), and is replaced.
        """
        client = self.connect()
        self.begin()
        run = self._runs.get(record.number)
        if run is not None and run.ended_ms is not None:
            if run.ended_ms == record.ended_ms:
                if record.looked_at and not run.measured:
                    self._send_final(client, run, record)
                return
            client.delete_run(run.run_id)
            run = None
        if run is None:
            run = self._runs[record.number] = self._make_run(client, record)
        if record.number not in self._sent:
            sending.params(client, run.run_id, record)
            self._sent[record.number] = set()
        sent = self._sent[record.number]
        fresh = [point for point in points(record, self._spec) if point not in sent]
        sending.points(client, run.run_id, fresh, run.started_ms)
        sent.update(fresh)
        if record.finished:
            sending.end(client, run.run_id, record, self._spec, self._folder)
            run = self._runs[record.number] = replace(run, ended_ms=record.ended_ms)
            if record.looked_at:
                self._send_final(client, run, record)
            del self._sent[record.number]

    def _make_run(self, client: MlflowClient, record: Record) -> TrialRun:
        found = tags(record, self._spec)
        found |= {database.SEARCH_TAG: self._folder.identity, TRIAL_TAG: str(record.number)}
        found |= {"mlflow.parentRunId": self._parent, "configuration": record.digest}
        found |= self._commit
        run = client.create_run(
            self._experiment,
            start_time=record.started_ms,
            run_name=title(record, self._spec),
            tags=found,
        )
        self._send_data(client, run.info.run_id)
        return TrialRun.of(run)

    def _send_data(self, client: MlflowClient, run_id: str) -> None:
        inputs = dataset_inputs(self._folder, self._spec.tasks_by_name)
        if inputs:
            client.log_inputs(run_id, inputs)

    def _send_final(self, client: MlflowClient, run: TrialRun, record: Record) -> None:
        """What was measured of the final weights; for a trial that was stopped, afterwards."""
        measured = list(final_points(record, self._spec))
        sending.points(client, run.run_id, measured, run.started_ms)
        sending.final_pictures(client, run.run_id, record, self._spec, self._folder)
        client.set_tag(run.run_id, MEASURED_TAG, "yes")
        self._runs[record.number] = replace(run, measured=True)

    def send_certificates(self) -> None:
        """Bring trials' runs up to date with the search's certificates; the parent stays as it is.

        Raises:
            UserError: if MLflow has not been told of a trial that was certified.
        """
        client = self.connect()
        for found in certificates(self._folder.path):
            self.run_id(found["trial"])
        self._send_certificates(client)

    def _send_certificates(self, client: MlflowClient) -> None:
        send_certificates(client, self._run_ids, self._spec, self._folder)

    def end(self, records: Sequence[Record], finished: bool, budget: str | None = None) -> None:
        """The certificates, the parent's description with all it tells, and its end."""
        client = self.connect()
        self.begin()
        self._send_certificates(client)
        self.tell(records, at_last=True)
        limits = self._spec.search
        if (limits.hours, limits.gflop, limits.until) != (None, None, None):
            ended_by = budget or ("trials" if finished else "stopped")
            client.set_tag(self._parent, SEARCH_ENDED_BY, ended_by)
        client.set_terminated(self._parent, "FINISHED" if finished or budget else "KILLED")
