"""What a run in MLflow is sent: parameters, points, tables, pictures.

Sent twice, each is as if it had been sent once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from search.disk.folder import SearchFolder
from search.disk.ranking import rank
from search.disk.record import Record
from search.recording.notes.of_trial import NOTE_TAG, picture_address, trial_note
from search.recording.points import Point, status, tags, title
from search.results.leaderboard import leaderboard_markdown
from search.results.pictures import forgetting_curves, gradient_horizons
from search.spec import Spec
from trainables.description import describe
from trainables.measure.records import CurvePoint

METRICS_PER_BATCH = 1000
PARAMS_PER_BATCH = 100
LONGEST_PARAM = 6000
BEST, DRAWN = 10, 5
"""Of a search's trials, how many its leaderboard has, and how many of them its pictures."""


def params(client: MlflowClient, run_id: str, record: Record) -> None:
    """The trial's parameters, as Optuna suggested them."""
    params = [Param(k, str(v)[:LONGEST_PARAM]) for k, v in record.parameters.items()]
    for first in range(0, len(params), PARAMS_PER_BATCH):
        client.log_batch(run_id, params=params[first : first + PARAMS_PER_BATCH])


def points(client: MlflowClient, run_id: str, fresh: Sequence[Point], started_ms: int) -> None:
    """In batches; one time for all of a run's points: sent twice, they are the same rows."""
    for first in range(0, len(fresh), METRICS_PER_BATCH):
        batch = fresh[first : first + METRICS_PER_BATCH]
        metrics = [Metric(p.key, p.value, started_ms, p.step) for p in batch]
        client.log_batch(run_id, metrics=metrics)


def end(
    client: MlflowClient, run_id: str, record: Record, spec: Spec, folder: SearchFolder
) -> None:
    """The configuration, the rows, and how the trial ended."""
    client.log_text(run_id, yaml.safe_dump(record.configuration, sort_keys=False), "config.yaml")
    table = folder.outcomes / f"{record.number:05d}.parquet"
    if table.exists():
        file(client, run_id, table.read_bytes(), "outcomes.parquet", folder)
    client.log_batch(run_id, tags=[RunTag(k, v) for k, v in tags(record, spec).items()])
    _describe(client, run_id, record, spec, {})
    client.update_run(run_id, name=title(record, spec))
    client.set_terminated(run_id, status(record), record.ended_ms)


def final_pictures(
    client: MlflowClient, run_id: str, record: Record, spec: Spec, folder: SearchFolder
) -> None:
    """The forgetting curve and the gradient horizon of the final weights, where there are any."""
    norms = record.report.horizon
    pictures = {
        "forgetting_curve.png": _curves([record], spec),
        "gradient_horizon.png": gradient_horizons({describe(record.configuration): norms})
        if norms
        else None,
    }
    shown = _send_all(client, run_id, pictures, folder)
    _describe(client, run_id, record, spec, shown)


def _describe(
    client: MlflowClient, run_id: str, record: Record, spec: Spec, shown: Mapping[str, str]
) -> None:
    """What the trial was and what came of it, with the pictures that are there."""
    addresses = {words: picture_address(run_id, name) for words, name in shown.items()}
    client.set_tag(run_id, NOTE_TAG, trial_note(record, spec, addresses))


def best(
    client: MlflowClient,
    run_id: str,
    records: Sequence[Record],
    spec: Spec,
    folder: SearchFolder,
) -> dict[str, str]:
    """The search's leaderboard, and the pictures of its best.

    Returns:
        the names of the pictures by what they show
    """
    ranked = rank(record for record in records if record.finished)[:BEST]
    if ranked:
        client.log_text(run_id, leaderboard_markdown(ranked, spec.ladder), "leaderboard.md")
    norms = {
        f"{r.number}: {describe(r.configuration)}": r.report.horizon
        for r in ranked[:DRAWN]
        if r.report.horizon
    }
    pictures = {
        "forgetting_curves.png": _curves(ranked[:DRAWN], spec),
        "gradient_horizons.png": gradient_horizons(norms) if norms else None,
    }
    return _send_all(client, run_id, pictures, folder)


def _curves(records: Sequence[Record], spec: Spec) -> bytes | None:
    """The forgetting curves of some trials in one picture; None where none has a curve.

    Of one trial on one task, chance and what each member showed stand beside it.
    """
    curves: dict[str, Sequence[CurvePoint]] = {}
    for record in records:
        for task, found in record.report.final.items():
            if found.curve:
                where = f" on {task}" if len(spec.tasks) > 1 else ""
                label = f"{record.number}: {describe(record.configuration)}{where}"
                curves[label] = found.curve
    if not curves:
        return None
    alone = records[0].rows if len(records) == len(spec.tasks) == 1 else ()
    chance = next((row.chance**row.answers for row in alone if row.answers), None)
    return forgetting_curves(curves, spec.ladder.success, chance, alone)


def _send_all(
    client: MlflowClient, run_id: str, pictures: Mapping[str, bytes | None], folder: SearchFolder
) -> dict[str, str]:
    """The names of the pictures that there are, by what they show."""
    there = {name: picture for name, picture in pictures.items() if picture is not None}
    for name, picture in there.items():
        file(client, run_id, picture, name, folder)
    return _by_what_they_show(there)


def shown(client: MlflowClient, run_id: str) -> dict[str, str]:
    """The pictures that were sent for a run's description, by what they show."""
    names = [artifact.path for artifact in client.list_artifacts(run_id)]
    return _by_what_they_show(name for name in names if name.endswith(".png"))


def _by_what_they_show(names: Iterable[str]) -> dict[str, str]:
    return {Path(name).stem.replace("_", " "): name for name in names}


def file(
    client: MlflowClient,
    run_id: str,
    content: bytes,
    name: str,
    folder: SearchFolder,
    under: str | None = None,
) -> None:
    """One artifact, in the folder ``under`` the run's; MLflow takes them from files only."""
    aside = folder.path / ".artifact"
    aside.mkdir(exist_ok=True)
    path = aside / name
    path.write_bytes(content)
    client.log_artifact(run_id, str(path), under)
    path.unlink()
