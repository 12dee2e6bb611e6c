"""What MLflow says of a logged model and of its registered versions: metrics, description, tags."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Run
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS, MLFLOW_RUN_NOTE

from search.disk.certificates import read_certificate
from search.recording.points import Point, by_lag, metric_key
from search.recording.tracker import Tracker
from search.spec import Spec
from trainables.description import describe
from trainables.exports import exported


def send_claims(client: MlflowClient, run: Run, model_id: str, folder: Path, spec: Spec) -> None:
    """The exported folder's claims, as metrics and description of its model; again, no more."""
    started = run.info.start_time
    outcome = exported.read(folder).outcome
    metrics = [
        Metric(p.key, p.value, started, p.step, model_id=model_id, run_id=run.info.run_id)
        for p in points(outcome, spec)
    ]
    client.log_batch(run.info.run_id, metrics=metrics)
    client.set_logged_model_tags(model_id, {MLFLOW_RUN_NOTE: description(folder)})


def points(outcome: Mapping[str, Any], spec: Spec) -> Iterator[Point]:
    """``reach`` and ``by_lag/success`` as the run has them; ``success_at_reach`` and its bound."""
    task, lag = outcome["task"], outcome["lag"]
    yield Point(metric_key("reach", task, spec), float(lag), 0)
    yield Point(metric_key("success_at_reach", task, spec), outcome["success_rate"], lag)
    yield Point(metric_key("lower_bound_at_reach", task, spec), outcome["lower_bound"], lag)
    for point in outcome["forgetting_curve"]:
        rate = point["successes"] / point["sequences"]
        yield Point(by_lag("success", task, spec), rate, point["lag"])


def description(folder: Path) -> str:
    """An exported folder in a few lines of Markdown: what it is, what it learned, how sure."""
    found = exported.read(folder)
    outcome, certificate = found.outcome, read_certificate(folder / "certificate.json")
    certified = "None yet." if certificate is None else certificate["claim"]
    configuration = found.config.configuration.model_dump(mode="json")
    return (
        f"{describe(configuration)}. {found.learned} on"
        f" `{outcome['task']}`: {outcome['success_rate']:.1%} of {outcome['test_sequences']}"
        f" held-out sequences right at lag {outcome['lag']}, asked for {outcome['success']:.0%}."
        f"\n\nCertificate: {certified}\n\nSearch `{outcome['search']}`, trial {outcome['trial']}."
        f"{_data(outcome)} CARD.md among the artifacts tells all of it."
    )


def _data(outcome: Mapping[str, Any]) -> str:
    data = outcome.get("data")
    if not data:
        return ""
    names = ", ".join(data["files"][:3])
    return f" Data: {names}, {data['rows']:,} rows, fingerprint `{data['fingerprint'][:12]}`."


def send_version(client: MlflowClient, model_id: str, name: str, version: int) -> None:
    """The registered version on its model, where MLflow's pages look for it."""
    known = client.get_logged_model(model_id).tags.get(MLFLOW_MODEL_VERSIONS)
    versions = [] if known is None else json.loads(known)
    this = {"name": name, "version": str(version)}
    if this not in versions:
        told = json.dumps([*versions, this])
        client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: told})


def version_tags(tracker: Tracker, folder: Path) -> dict[str, str]:
    """What a version says of itself: its reach, its certificate, and where its run is."""
    outcome = exported.read(folder).outcome
    found = read_certificate(folder / "certificate.json")
    certified = "none" if found is None else str(found["lag"] or "nothing")
    reach = f"{'at least ' if outcome.get('censored') else ''}{outcome['lag']}"
    return {
        "reach": reach,
        "certified_lag": certified,
        "success": f"{outcome['success_rate']:.4f}",
        "task": str(outcome["task"]),
        "run": tracker.run_link(outcome["trial"]),
    }
