"""Candidates: the configurations that a certificate may be about, and where their claims end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from search.disk.kept_tasks import KeptTask
from search.disk.ranking import rank
from search.disk.record import Record
from search.errors import UserError
from search.spec import Spec
from trainables.encoding.encoding import Encoding
from trainables.encoding.identity import DataIdentity
from trainables.exports import exported
from trainables.measure.ladder import rungs
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.plain import digest
from trainables.messages import one_line
from trainables.randomness import Streams
from trainables.tasks.rows.config import RowsConfig
from trainables.tasks.task import TaskConfig


@dataclass(frozen=True)
class Candidate:
    """One configuration on one task.

    Attributes:
        configuration: the nested, complete one
        sha256: of the configuration
        ladder: as it was searched, with no rung skipped
        search_seed: the search's
        reach: the search's estimate
        to: the longest lag that is tried; None for the search's estimate
        only: whether no shorter one is
        plugins: modules that bring its layers or its task, for the workers to load
        import_from: folders where those are looked for, besides where Python does
        encoding: how its task's rows become inputs, as it was searched; None where none was kept
        data: which data it was measured on; None if generated, or none was kept
        other_data: how the data that is certified on differs from that, where somebody meant it
    """

    search: str
    trial: int
    configuration: dict[str, Any]
    sha256: str
    task: str
    task_config: TaskConfig
    ladder: LadderConfig
    search_seed: int
    reach: int
    plugins: Sequence[str] = ()
    import_from: Sequence[str] = ()
    encoding: Encoding | None = None
    data: DataIdentity | None = None
    other_data: str | None = None
    to: int | None = None
    only: bool = False

    @property
    def label(self) -> str:
        """Its name among the candidates."""
        return f"trial-{self.trial:05d}-{self.task}"

    @property
    def certified_task(self) -> TaskConfig:
        """The task as fresh members are tested on it: by rows of their own, where it keeps some."""
        is_fresh = isinstance(self.task_config, RowsConfig) and self.task_config.test == "fresh"
        update = {"test": "certificate"} if is_fresh else {}
        return self.task_config.model_copy(update=update)

    @property
    def lags(self) -> tuple[int, ...]:
        """The rungs to be tested: from the ladder's first up to the longest that is tried."""
        longest = self.to or self.reach
        if self.only:
            return (longest,)
        return rungs(self.ladder.start, longest, self.ladder.ratio)

    def member_seed(self, seed: int, member: int) -> int:
        """The root of a fresh member's streams.

        The search's members draw from the search's seed itself, so no stream of theirs is met
        again; nor is one of a certificate with another ``seed``.
        """
        streams = Streams(self.search_seed, digest([self.sha256, self.task_config.identity]))
        return streams.seed_of("certify", 0, member, seed)


NOTHING_KEPT: Mapping[str, KeptTask] = {}
"""Of a search of the version before."""


def of_search(
    spec: Spec, records: Iterable[Record], top: int, kept: Mapping[str, KeptTask] = NOTHING_KEPT
) -> list[Candidate]:
    """The ``top`` best configurations that differ, on every task where they passed a rung.

    With what the search has ``kept`` of its tasks, by name.

    Raises:
        UserError: if no finished trial has passed a rung.
    """
    best: dict[str, Record] = {}
    for record in rank(records):
        if record.finished and any(record.report.reaches.values()):
            best.setdefault(record.digest, record)
    found = [
        of_trial(spec, record, task, kept)
        for record in list(best.values())[:top]
        for task, reach in record.report.reaches.items()
        if reach
    ]
    if not found:
        raise UserError(
            f"name: no trial of {spec.name!r} has passed a rung yet; nothing to certify"
        )
    return found


def of_trial(
    spec: Spec, record: Record, task: str, kept: Mapping[str, KeptTask] = NOTHING_KEPT
) -> Candidate:
    """One trial's configuration on one of the search's tasks."""
    known = kept.get(task)
    return Candidate(
        search=spec.name,
        trial=record.number,
        configuration=record.configuration,
        sha256=record.digest,
        task=task,
        task_config=spec.tasks_by_name[task],
        ladder=spec.ladder.of_every_rung,
        search_seed=spec.search.seed,
        reach=record.report.reaches[task],
        plugins=spec.plugins,
        import_from=spec.import_from,
        encoding=known.encoding if known else None,
        data=known.data if known else None,
    )


def of_export(folder: Path, data: Path | str | None) -> Candidate:
    """The configuration in an exported folder.

    Raises:
        UserError: if the folder is not an export, or one that does not say how it was measured.
    """
    try:
        claim = exported.read(folder)
        outcome = claim.outcome
        _require_measured(folder, outcome["configuration_sha256"])
        return Candidate(
            search=outcome["search"],
            trial=outcome["trial"],
            configuration=claim.config.configuration.model_dump(mode="json"),
            sha256=claim.config.configuration.digest,
            task=outcome["task"],
            task_config=claim.task_config(data),
            ladder=LadderConfig.model_validate(outcome["ladder"]).of_every_rung,
            search_seed=outcome["seed"],
            reach=claim.lag,
            plugins=claim.config.plugins,
            encoding=claim.encoding,
            data=claim.data,
        )
    except KeyError as error:
        raise UserError(f"{folder / 'outcome.json'}: {error}: this key is required") from None
    except ValueError as error:
        raise UserError(one_line(error)) from None


def _require_measured(folder: Path, sha256: str) -> None:
    """Refuse a configuration that was edited: the reach is another's.

    As it stands in the file: a later version may know keys that it had not.
    """
    file = folder / "config.yaml"
    found = digest(yaml.safe_load(file.read_text(encoding="utf-8"))["configuration"])
    if found != sha256:
        raise UserError(
            f"{file}: configuration: SHA-256 {found[:12]} is not the one that was measured, "
            f"{sha256[:12]} (outcome.json); to try another configuration, search it"
        )
