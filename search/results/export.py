"""Exporting winners: a folder each, that loads without Longspan's search and proves itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from search.disk.certificates import copy_certificates, standing
from search.disk.folder import SearchFolder
from search.disk.kept_tasks import KeptTask, kept_task
from search.disk.ledger import Ledger, require_all_ranked
from search.disk.ranking import fronts, rank
from search.disk.record import Record
from search.disk.versions import versions
from search.errors import UserError
from search.results.card import card_of
from search.results.formats import in_formats, require_formats
from search.results.pictures import forgetting_curves, gradient_horizons
from search.spec import Spec
from trainables.config import TrialConfig
from trainables.description import describe
from trainables.exports import exported
from trainables.exports.formats.checked import Converted
from trainables.files import sums, weights
from trainables.files.bounded import require_file
from trainables.files.whole_files import aside_of, remove_left_over, sync_folder, write_aside
from trainables.measure.limits import limit_of
from trainables.measure.plain import digest
from trainables.measure.records import FinalPoints, best_member, of_task
from trainables.measure.skill import least_skill, no_gap_of
from trainables.messages import one_line
from trainables.plugins import needed
from trainables.tasks import make_task
from trainables.training.climber import owner_of, trial_streams, weights_file
from trainables.training.held_out.curve import extrapolated_lag

MEMBER_KEYS = (
    *("lag", "member", "ended_by", "success_rate", "lower_bound", "test_sequences"),
    *("asked", "seen"),
)
"""What an export says of every member on every rung that it tried."""

LONGEST = 300
"""Characters that are told of what is no configuration."""


@dataclass(frozen=True)
class Wanted:
    """Which trials are exported.

    Attributes:
        top: the best so many
        trial: this one instead
        certified: only configurations and tasks of which a certificate claims a lag
        formats: for which other runtimes besides
        pareto: only trials that no other beats in all of the spec's objectives
        without_damaged: the best of those that can be ranked, though records cannot be read
    """

    top: int = 1
    trial: int | None = None
    certified: bool = False
    formats: tuple[str, ...] = ()
    without_damaged: bool = False
    pareto: bool = False


def export(folder: SearchFolder, spec: Spec, wanted: Wanted, to: Path) -> list[Path]:
    """Export the trials that are wanted and passed a rung, a folder a trial and task.

    Raises:
        UserError: if there is none, something is in the way at ``to``, or one of the formats does
            not hold one of the models; nothing is written then.
    """
    require_formats(wanted.formats)
    targets = []
    for place, (record, names) in enumerate(_wanted(folder, spec, wanted), 1):
        for name in names:
            target = to / f"{place}-{_name(record, name, spec)}"
            if target.exists():
                raise UserError(f"--to: {target} is there already; give another folder")
            targets.append((target, record, name))
    winners = {
        target: _winner(folder, spec, record, name, wanted.formats)
        for target, record, name in targets
    }
    for target, winner in winners.items():
        _export(folder, spec, winner, target)
    return list(winners)


def _wanted(
    folder: SearchFolder, spec: Spec, wanted: Wanted
) -> Sequence[tuple[Record, Sequence[str]]]:
    """The trials, the best first, and of each the tasks."""
    ledger = Ledger(folder)
    require_all_ranked(ledger, wanted.without_damaged or wanted.trial is not None)
    ranked = [r for r in rank(ledger.records.values()) if r.finished and r.reach > 0]
    if not ranked:
        raise UserError(
            f"name: no trial of {folder.name!r} has passed a rung yet; nothing to export"
        )
    if wanted.trial is not None:
        ranked = [record for record in ranked if record.number == wanted.trial]
        if not ranked:
            raise UserError(
                f"--trial: {wanted.trial} is no trial of {folder.name!r} that has ended and passed"
                " a rung"
            )
    if wanted.pareto:
        on = fronts(ranked, spec.search.objectives)
        ranked = [record for record in ranked if on[record.number] == 1]
    if not wanted.certified:
        return [(record, list(spec.tasks_by_name)) for record in ranked[: wanted.top]]
    claimed = {
        (found["configuration_sha256"], found["task"])
        for found in standing(folder.path).values()
        if found["lag"]
    }
    by_record = [
        (record, [name for name in spec.tasks_by_name if (record.digest, name) in claimed])
        for record in ranked
    ]
    certified = [(record, names) for record, names in by_record if names]
    if not certified:
        raise UserError(
            f"--certified: nothing of {folder.name!r} has a certificate that claims a lag;"
            f" `{folder.command('certify')}` tries for one"
        )
    return certified[: wanted.top]


def export_best(folder: SearchFolder, spec: Spec) -> list[Path]:
    """Export the best trial into the search's own folder, a folder a task; none if none passed.

    Raises:
        UserError: if a record cannot be read: which is the best is not known.
    """
    ledger = Ledger(folder)
    require_all_ranked(ledger, is_meant=False)
    best = next((r for r in rank(ledger.records.values()) if r.finished), None)
    if best is None or best.reach == 0:
        return []
    targets = {name: folder.exports / _name(best, name, spec) for name in spec.tasks_by_name}
    for name, target in targets.items():
        if not target.exists():
            _export(folder, spec, _winner(folder, spec, best, name), target)
    return list(targets.values())


def _name(record: Record, task: str, spec: Spec) -> str:
    suffix = f"-{task}" if len(spec.tasks) > 1 else ""
    return f"trial-{record.number:05d}{suffix}"


@dataclass(frozen=True)
class _Winner:
    """What one exported folder is made of.

    Attributes:
        source: the weights, where the trial wrote them
        owner: what they are marked with, if they are its own
        files: for other runtimes
    """

    record: Record
    task: str
    final: FinalPoints
    kept: KeptTask
    outcome: Mapping[str, Any]
    source: Path
    owner: str
    files: Sequence[Converted] = ()


def _export(folder: SearchFolder, spec: Spec, winner: _Winner, target: Path) -> None:
    remove_left_over(target.parent)
    aside = aside_of(target)
    aside.mkdir(parents=True)
    try:
        _fill(aside, folder, spec, winner)
        aside.replace(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    sync_folder(target.parent)


def _winner(
    folder: SearchFolder, spec: Spec, record: Record, task: str, formats: Sequence[str] = ()
) -> _Winner:
    final = record.report.final.get(task, FinalPoints())
    outcome = _outcome(spec, record, task, final)
    weights_of_task = folder.trial(record.number) / "weights" / task
    source = weights_file(weights_of_task, outcome["lag"], outcome["member"])
    try:
        require_file(source)
    except FileNotFoundError:
        raise UserError(f"{source}: the weights of trial {record.number} are not there") from None
    except ValueError as error:
        raise UserError(f"{error}; nothing is exported") from None
    config = _configuration(folder, record)
    streams = trial_streams(config, spec.tasks_by_name[task], spec.search.seed)
    owner = owner_of(streams, outcome["lag"], outcome["member"])
    kept = _kept(folder, spec, task)
    outcome |= _measured_on(kept)
    converted = in_formats(formats, record.configuration, kept, outcome, source)
    if converted:
        outcome["formats"] = {name: file.record for name, file in converted.items()}
    return _Winner(record, task, final, kept, outcome, source, owner, list(converted.values()))


def _configuration(folder: SearchFolder, record: Record) -> TrialConfig:
    """What a trial was built from.

    Raises:
        UserError: in one line, if that is no configuration, or not the one that was measured.
    """
    where = f"{folder.trial(record.number)}/record.json: configuration"
    try:
        config = TrialConfig.model_validate(record.configuration)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: {one_line(error, LONGEST)}; nothing is exported") from None
    if digest(record.configuration) != record.digest:
        raise UserError(f"{where}: is not the one that was measured; nothing is exported")
    return config


def _fill(aside: Path, folder: SearchFolder, spec: Spec, winner: _Winner) -> None:
    record, kept = winner.record, winner.kept
    write_aside(aside / exported.WEIGHTS, winner.source.read_bytes())
    _require_whole(aside / exported.WEIGHTS, winner.source, winner.owner)
    config: dict[str, Any] = {
        "configuration": record.configuration,
        "task": spec.tasks_by_name[winner.task].portable.model_dump(mode="json"),
        "inputs": asdict(kept.inputs),
        "answer": asdict(kept.answer),
    }
    if record.configuration["model"]["readout"].get("tied"):
        config["class_symbols"] = list(kept.class_symbols)
    config["plugins"] = needed(spec.plugins, config)
    write_aside(aside / exported.CONFIG, yaml.safe_dump(config, sort_keys=False).encode())
    write_aside(aside / exported.OUTCOME, (json.dumps(winner.outcome, indent=2) + "\n").encode())
    encoding = json.dumps(kept.encoding.model_dump(mode="json"), indent=1) + "\n"
    write_aside(aside / exported.ENCODING, encoding.encode())
    for converted in winner.files:
        write_aside(aside / converted.file, converted.content)
    names = (exported.CONFIG, exported.WEIGHTS, exported.OUTCOME, exported.ENCODING)
    sums.write(aside, (*names, *(converted.file for converted in winner.files)))
    label = describe(record.configuration)
    if winner.final.curve:
        rows = of_task(record.rows, winner.task)
        curves = {label: winner.final.curve}
        picture = forgetting_curves(curves, spec.ladder.success, kept.encoding.chance, rows)
        (aside / "forgetting_curve.png").write_bytes(picture)
    if winner.final.horizon:
        norms = gradient_horizons({label: winner.final.horizon})
        (aside / "gradient_horizon.png").write_bytes(norms)
    copy_certificates(folder.path, record.digest, winner.task, aside)
    (aside / "CARD.md").write_text(card_of(aside), encoding="utf-8")


def _measured_on(kept: KeptTask) -> dict[str, Any]:
    """Of an outcome, which rows it was measured on, and how they became inputs."""
    told: dict[str, Any] = {"encoding_sha256": kept.encoding.digest}
    if kept.data is not None:
        told["data"] = kept.data.model_dump(mode="json")
    if kept.account is not None:
        told["read"] = [*kept.account.lines(), *kept.account.warnings]
    if kept.earlier:
        told["earlier_data"] = [data.model_dump(mode="json") for data in kept.earlier]
    return told


def _kept(folder: SearchFolder, spec: Spec, task: str) -> KeptTask:
    """What the search keeps of the task; of the version before, from the data.

    Raises:
        UserError: in one line, if nothing is kept and the data cannot be read.
    """
    kept = kept_task(folder, task)
    if kept is not None:
        return kept
    try:
        return KeptTask.of(make_task(spec.tasks_by_name[task]))
    except (ValueError, OSError) as error:
        raise UserError(
            f"{task}: {one_line(error)}; this search is of a version that kept no encoding, so its"
            " export needs the data"
        ) from None


def _require_whole(copy: Path, source: Path, owner: str) -> None:
    """Refuse weights that are not what the trial wrote: the copy is what will be loaded."""
    try:
        weights.read(copy, owner)
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
    limited = None if reached[task].censored else limit_of(rows, final.curve, spec.ladder)
    limits = record.report.limits.get(task)
    return {
        "search": spec.name,
        "trial": record.number,
        "configuration_sha256": record.digest,
        "task": task,
        "lag": lag,
        "success": spec.ladder.success,
        "censored": reached[task].censored,
        "regime": record.regime,
        "ended_by": record.report.tasks_ended_by.get(task) or record.ended_by,
        "by_task": record.tasks_text,
        "members": spec.ladder.members,
        "quorum": spec.ladder.quorum,
        "solved": sum(r.solved for r in rung),
        "member": member,
        "success_rate": row.success_rate,
        "skill": least_skill(rows),
        "no_gap": no_gap_of(rows),
        "limited_by": limited,
        "why": None if reached[task].censored else record.why(limited),
        "limits": limits and limits.to_json(),
        "several_answers": row.of_several,
        "answer_rate": row.answer_rate,
        "control": row.control,
        "control_rate": row.control_rate,
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
        "members_by_lag": [
            {key: getattr(row, key) for key in MEMBER_KEYS}
            for row in sorted(rows, key=lambda row: (row.lag, row.member))
        ],
        "extrapolated_lag": extrapolated_lag(final.curve, spec.ladder.success),
        "gradient_horizon": [asdict(point) for point in final.horizon],
        "kernels": record.report.kernels,
        "environment": record.report.environment,
        "versions": versions(),
    }
