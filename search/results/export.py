"""Exporting winners: a folder each, that loads without Longspan's search and proves itself."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from search.disk.certificates import copy_certificates
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.disk.ranking import rank
from search.disk.record import Record
from search.disk.versions import versions
from search.errors import UserError
from search.results.card import card_of
from search.results.pictures import forgetting_curves, gradient_horizons
from search.spec import Spec
from trainables.config import describe
from trainables.exports import exported
from trainables.files import sums, weights
from trainables.files.whole_files import aside_of, remove_left_over, sync_folder, write_aside
from trainables.measure.records import FinalPoints, best_member, of_task
from trainables.plugins import needed
from trainables.tasks import make_task
from trainables.training.climber import weights_file
from trainables.training.curve import extrapolated_lag


def export(folder: SearchFolder, spec: Spec, top: int, to: Path) -> list[Path]:
    """Export the ``top`` best trials that passed a rung, a folder a trial and task.

    Raises:
        UserError: if no trial passed a rung, or something is in the way at ``to``.
    """
    winners = [r for r in rank(Ledger(folder).records.values()) if r.finished and r.reach > 0][:top]
    if not winners:
        raise UserError(
            f"name: no trial of {folder.name!r} has passed a rung yet; nothing to export"
        )
    targets = []
    for place, record in enumerate(winners, 1):
        for name in spec.tasks_by_name:
            target = to / f"{place}-{_name(record, name, spec)}"
            if target.exists():
                raise UserError(f"--to: {target} is there already; give another folder")
            targets.append((target, record, name))
    for target, record, name in targets:
        _export(folder, spec, record, name, target)
    return [target for target, _, _ in targets]


def export_best(folder: SearchFolder, spec: Spec) -> list[Path]:
    """Export the best trial into the search's own folder, a folder a task; none if none passed."""
    best = next((r for r in rank(Ledger(folder).records.values()) if r.finished), None)
    if best is None or best.reach == 0:
        return []
    targets = {name: folder.exports / _name(best, name, spec) for name in spec.tasks_by_name}
    for name, target in targets.items():
        if not target.exists():
            _export(folder, spec, best, name, target)
    return list(targets.values())


def _name(record: Record, task: str, spec: Spec) -> str:
    suffix = f"-{task}" if len(spec.tasks) > 1 else ""
    return f"trial-{record.number:05d}{suffix}"


def _export(folder: SearchFolder, spec: Spec, record: Record, task: str, target: Path) -> None:
    final = record.report.final.get(task, FinalPoints())
    outcome = _outcome(spec, record, task, final)
    kept = folder.trial(record.number) / "weights" / task
    source = weights_file(kept, outcome["lag"], outcome["member"])
    if not source.exists():
        raise UserError(f"{source}: the weights of trial {record.number} are not there")
    remove_left_over(target.parent)
    aside = aside_of(target)
    aside.mkdir(parents=True)
    try:
        _fill(aside, folder, spec, record, task, outcome, source)
        aside.replace(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    sync_folder(target.parent)


def _fill(
    aside: Path,
    folder: SearchFolder,
    spec: Spec,
    record: Record,
    task: str,
    outcome: dict[str, Any],
    source: Path,
) -> None:
    write_aside(aside / exported.WEIGHTS, source.read_bytes())
    _require_whole(aside / exported.WEIGHTS, source)
    task_config = spec.tasks_by_name[task]
    measured_on = make_task(task_config)
    config: dict[str, Any] = {
        "configuration": record.configuration,
        "task": task_config.model_dump(mode="json"),
        "inputs": asdict(measured_on.inputs),
        "answer": asdict(measured_on.answer),
    }
    config["plugins"] = needed(spec.plugins, config)
    write_aside(aside / exported.CONFIG, yaml.safe_dump(config, sort_keys=False).encode())
    write_aside(aside / exported.OUTCOME, (json.dumps(outcome, indent=2) + "\n").encode())
    sums.write(aside, (exported.CONFIG, exported.WEIGHTS, exported.OUTCOME))
    label = describe(record.configuration)
    final = record.report.final.get(task, FinalPoints())
    if final.curve:
        picture = forgetting_curves({label: final.curve}, spec.ladder.success)
        (aside / "forgetting_curve.png").write_bytes(picture)
    if final.horizon:
        norms = gradient_horizons({label: final.horizon})
        (aside / "gradient_horizon.png").write_bytes(norms)
    copy_certificates(folder.path, record.digest, task, aside)
    (aside / "CARD.md").write_text(card_of(aside))


def _require_whole(copy: Path, source: Path) -> None:
    """Refuse weights that are not what the trial wrote: the copy is what will be loaded."""
    try:
        weights.read(copy)
    except weights.DamagedWeightsError as error:
        reason = str(error).removeprefix(f"{copy}: ")
        raise UserError(f"{source}: {reason}; nothing is exported") from None


def _outcome(spec: Spec, record: Record, task: str, final: FinalPoints) -> dict[str, Any]:
    """What is claimed of the weights, and how it was measured."""
    rows = of_task(record.rows, task)
    reached = {found.task: found for found in record.tasks}
    lag = reached[task].reach
    member = best_member(rows, lag)
    (row,) = (row for row in rows if (row.lag, row.member) == (lag, member))
    rung = [r for r in rows if r.lag == lag]
    return {
        "search": spec.name,
        "trial": record.number,
        "configuration_sha256": record.digest,
        "task": task,
        "lag": lag,
        "success": spec.ladder.success,
        "censored": reached[task].censored,
        "ended_by": record.ended_by,
        "by_task": record.tasks_text,
        "members": spec.ladder.members,
        "quorum": spec.ladder.quorum,
        "solved": sum(r.solved for r in rung),
        "member": member,
        "success_rate": row.success_rate,
        "lower_bound": row.lower_bound,
        "test_sequences": row.test_sequences,
        "training_sequences": sum(r.sequences for r in rows if r.member == member),
        "training_gflop": sum(r.training_gflop for r in rows),
        "parameters": row.parameters,
        "state_bytes": row.state_bytes,
        "seed": spec.search.seed,
        "ladder": spec.ladder.model_dump(mode="json"),
        "trials_searched": spec.search.trials,
        "forgetting_curve": [asdict(point) for point in final.curve],
        "extrapolated_lag": extrapolated_lag(final.curve, spec.ladder.success),
        "gradient_horizon": [asdict(point) for point in final.horizon],
        "versions": versions(),
    }
