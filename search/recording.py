"""MLflow records the search: a parent run, and a child run for each trial.

A thread of the driver brings MLflow up to date with the ledger, in batches, off the search's path.
What MLflow holds of a trial follows from its record alone, metric times included, so sending
something twice changes nothing, and a tracking server that was away is brought up to date from
disk when it is back.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.tracking import MlflowClient

from search.folder import SearchFolder
from search.ledger import Record
from search.pictures import forgetting_curves
from search.projection import Point, points, status, tags
from search.ranking import describe, rank, reach_text
from search.spec import Spec
from search.versions import git_commit

log = logging.getLogger(__name__)

SECONDS_BETWEEN_UPDATES = 5.0
SECONDS_BEFORE_RETRY = 15.0
METRICS_PER_BATCH = 1000
PARAMS_PER_BATCH = 100
SEARCH_TAG, TRIAL_TAG = "longspan.search", "longspan.trial"
LONGEST_PARAM = 6000


def tracking_uri(spec: Spec, folder: SearchFolder) -> str:
    """The spec's, or the environment's, or SQLite beside the searches."""
    given = spec.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI")
    return given or f"sqlite:///{folder.runs / 'mlflow.db'}"


class Recorder:
    """Keeps MLflow up to date with a ledger; give it to the ledger as a listener."""

    def __init__(self, spec: Spec, folder: SearchFolder) -> None:
        self._tracker = Tracker(spec, folder)
        self._waiting: dict[int, Record] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="recorder", daemon=True)

    def __call__(self, record: Record) -> None:
        """Take a record's newest state."""
        with self._lock:
            self._waiting[record.number] = record

    def start(self, known: Sequence[Record]) -> None:
        """Begin to record, with the trials of earlier runs of the search first."""
        for record in known:
            self(record)
        self._thread.start()

    def close(self, records: Sequence[Record], finished: bool) -> str | None:
        """Send what is left.

        Returns:
            None, or one line that says what could not be sent and what to do
        """
        self._closing.set()
        self._thread.join()
        try:
            self._send_waiting()
            self._tracker.end(records, finished)
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            return (
                f"MLflow at {self._tracker.uri} is behind: {reason}. Nothing is lost: "
                f"`longspan resume {self._tracker.name}` sends what is missing"
            )
        return None

    def _follow(self) -> None:
        while not self._closing.is_set():
            pause = SECONDS_BETWEEN_UPDATES
            try:
                self._send_waiting()
            except Exception as error:  # the search goes on; what is waiting is sent later
                log.warning("MLflow: %s", " ".join(str(error).split())[:200])
                pause = SECONDS_BEFORE_RETRY
            self._closing.wait(pause)

    def _send_waiting(self) -> None:
        self._tracker.connect()
        with self._lock:
            numbers = sorted(self._waiting)
        for number in numbers:
            with self._lock:
                record = self._waiting.pop(number)
            try:
                self._tracker.send(record)
            except BaseException:
                with self._lock:
                    self._waiting.setdefault(number, record)
                raise


class Tracker:
    """The search's runs in MLflow, found again by tag."""

    def __init__(self, spec: Spec, folder: SearchFolder) -> None:
        self._spec, self._folder = spec, folder
        self.name = folder.name
        self.uri = tracking_uri(spec, folder)
        self._client: MlflowClient | None = None
        commit = git_commit()
        self._commit = {"mlflow.source.git.commit": commit} if commit else {}
        self._experiment = self._parent = ""
        self._runs: dict[int, Run] = {}
        self._sent: dict[int, set[Point]] = {}

    def connect(self) -> MlflowClient:
        """The client, with the experiment and the parent run there."""
        if self._client is None:
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
            logging.getLogger("alembic").setLevel(logging.WARNING)
            logging.getLogger("mlflow").setLevel(logging.WARNING)
            client = MlflowClient(tracking_uri=self.uri)
            self._experiment = self._find_experiment(client)
            self._find_runs(client)
            self._client = client
        return self._client

    def _find_experiment(self, client: MlflowClient) -> str:
        name = self._spec.tracking.experiment or "longspan"
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        own = self.uri == f"sqlite:///{self._folder.runs / 'mlflow.db'}"
        location = (self._folder.runs / "mlartifacts").as_uri() if own else None
        kind = {"mlflow.experimentKind": "custom_model_development"}  # which pages MLflow shows
        return str(client.create_experiment(name, artifact_location=location, tags=kind))

    def _find_runs(self, client: MlflowClient) -> None:
        """The runs of this search; the parent is made where there is none."""
        query = f"tags.`{SEARCH_TAG}` = '{self._folder.identity}'"
        token: str | None = None
        while True:
            page = client.search_runs([self._experiment], query, max_results=1000, page_token=token)
            for run in page:
                trial = run.data.tags.get(TRIAL_TAG)
                if trial is None:
                    self._parent = run.info.run_id
                else:
                    self._runs[int(trial)] = run
            token = page.token
            if not token:
                break
        if self._parent:
            client.update_run(self._parent, status="RUNNING")
        else:
            self._parent = self._make_parent(client)

    def _make_parent(self, client: MlflowClient) -> str:
        found = {SEARCH_TAG: self._folder.identity, "space": self._spec.space}
        found["task"] = ", ".join(self._spec.tasks_by_name)
        found |= self._commit
        run = client.create_run(self._experiment, run_name=self.name, tags=found)
        client.log_artifact(run.info.run_id, str(self._folder.spec))
        return str(run.info.run_id)

    def send(self, record: Record) -> None:
        """Bring the trial's run up to date, and end it once the trial has."""
        client = self.connect()
        run = self._runs.get(record.number)
        if run is not None and run.info.status != "RUNNING":
            return
        if run is None:
            run = self._runs[record.number] = self._make_run(client, record)
        run_id = run.info.run_id
        sent = self._sent.setdefault(record.number, set())
        fresh = [point for point in points(record, self._spec) if point not in sent]
        for first in range(0, len(fresh), METRICS_PER_BATCH):
            batch = fresh[first : first + METRICS_PER_BATCH]
            # One time for all of a trial's points: sent twice, they are the same rows.
            metrics = [Metric(p.key, p.value, record.started_ms, p.step) for p in batch]
            client.log_batch(run_id, metrics=metrics)
            sent.update(batch)
        if record.finished:
            self._send_end(client, run_id, record)
            self._runs[record.number] = client.get_run(run_id)
            del self._sent[record.number]

    def _make_run(self, client: MlflowClient, record: Record) -> Run:
        found = tags(record, self._spec)
        found |= {SEARCH_TAG: self._folder.identity, TRIAL_TAG: str(record.number)}
        found |= {"mlflow.parentRunId": self._parent, "configuration": record.digest}
        found |= self._commit
        run = client.create_run(
            self._experiment,
            start_time=record.started_ms,
            run_name=f"{self.name}-{record.number:05d}",
            tags=found,
        )
        params = [Param(k, str(v)[:LONGEST_PARAM]) for k, v in record.parameters.items()]
        for first in range(0, len(params), PARAMS_PER_BATCH):
            client.log_batch(run.info.run_id, params=params[first : first + PARAMS_PER_BATCH])
        return run

    def _send_end(self, client: MlflowClient, run_id: str, record: Record) -> None:
        client.log_text(
            run_id, yaml.safe_dump(record.configuration, sort_keys=False), "config.yaml"
        )
        table = self._folder.outcomes / f"{record.number:05d}.parquet"
        if table.exists():
            content = table.read_bytes()
            _log_bytes(client, run_id, content, "outcomes.parquet", self._folder.path)
        picture = curves_picture([record], self._spec)
        if picture is not None:
            _log_bytes(client, run_id, picture, "forgetting_curve.png", self._folder.path)
        client.log_batch(run_id, tags=[RunTag(k, v) for k, v in tags(record, self._spec).items()])
        client.set_terminated(run_id, status(record), record.ended_ms)

    def end(self, records: Sequence[Record], finished: bool) -> None:
        """The parent's leaderboard and pictures, and its end."""
        client = self.connect()
        best = rank(records)[:10]
        if best:
            now = round(time.time() * 1000)
            client.log_metric(self._parent, "best_reach", best[0].reach, now)
            client.log_metric(self._parent, "trials", len(records), now)
            table = leaderboard_markdown(best)
            client.log_text(self._parent, table, "leaderboard.md")
            client.set_tag(self._parent, "mlflow.note.content", table)
        picture = curves_picture(best[:5], self._spec)
        if picture is not None:
            _log_bytes(client, self._parent, picture, "forgetting_curves.png", self._folder.path)
        client.set_terminated(self._parent, "FINISHED" if finished else "KILLED")


def curves_picture(records: Sequence[Record], spec: Spec) -> bytes | None:
    """The forgetting curves of some trials in one picture; None where none has a curve."""
    curves: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        for task in spec.tasks_by_name:
            found = [p for p in record.report.get("curve", ()) if p["task"] == task]
            if found:
                where = f" on {task}" if len(spec.tasks) > 1 else ""
                label = f"{record.number}: {describe(record.configuration)}{where}"
                curves[label] = sorted(found, key=lambda p: p["lag"])
    return forgetting_curves(curves, spec.ladder.success) if curves else None


def leaderboard_markdown(best: Sequence[Record]) -> str:
    """The best trials as a Markdown table."""
    lines = ["| # | trial | reach | progress | ended by | architecture |", "|-|-|-|-|-|-|"]
    for place, r in enumerate(best, 1):
        reach = reach_text(r)
        words = describe(r.configuration)
        lines.append(
            f"| {place} | {r.number} | {reach} | {r.progress:.2f} | {r.ended_by} | {words} |"
        )
    return "\n".join(lines) + "\n"


def _log_bytes(client: MlflowClient, run_id: str, content: bytes, name: str, aside: Path) -> None:
    """MLflow takes artifacts from files only."""
    folder = aside / ".artifact"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    client.log_artifact(run_id, str(path))
    path.unlink()
