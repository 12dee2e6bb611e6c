"""Certifying from plan to certificate, for a search's best and for an exported folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search.certifying.candidates import Candidate, of_export, of_search, of_trial
from search.certifying.certificate import conclude
from search.certifying.climbing import Certification, run_members
from search.certifying.live_table import Display
from search.certifying.members import Climbed, Job
from search.certifying.pool import RayPool
from search.certifying.store import Store, stores
from search.disk.certificates import put_on_top
from search.disk.folder import SearchFolder
from search.disk.kept_tasks import kept_tasks, require_data
from search.disk.ledger import Ledger, require_all_ranked
from search.disk.record import Record
from search.errors import UserError
from search.recording.recorder import send_certificates_of
from search.results.card import card_of
from search.scheduling.machines import here, require
from search.scheduling.ray_session import local_ray
from search.spec import CertifyConfig, ResourcesConfig, Spec
from trainables.files.whole_files import write_aside
from trainables.measure.certificate import Plan, plan_for
from trainables.messages import one_line
from trainables.tasks import make_task
from trainables.tasks.held_out import require_held_out


@dataclass(frozen=True)
class Certified:
    """How certifying ended.

    Attributes:
        certificates: of every candidate; none where it was cut off
        behind: one line where MLflow could not be brought up to date
    """

    plan: Plan
    candidates: Sequence[Candidate]
    certificates: Sequence[dict[str, Any]]
    behind: str | None = None

    @property
    def finished(self) -> bool:
        """Whether every candidate is decided."""
        return bool(self.certificates)


def certify_search(
    spec: Spec,
    folder: SearchFolder,
    config: CertifyConfig,
    resources: ResourcesConfig,
    seed: int,
    display: Display,
    other_data: bool = False,
    without_damaged: bool = False,
) -> Certified:
    """Certify a search's best, from where an earlier run stopped, and send MLflow the certificates.

    Raises:
        UserError: if nothing has passed a rung, the seed was begun with another plan, or a record
            cannot be read of which the trial may be among the best, unless ``without_damaged``.
    """
    store = Store(folder.path, seed)
    if store.is_of_hunt:
        raise UserError(
            f"--seed: {seed} is not allowed; its members are the search's own (search.until); give "
            "another"
        )
    store.require_same(config, CertifyConfig.model_fields)
    ledger = Ledger(folder)
    kept = kept_tasks(folder, spec.tasks_by_name)
    fixed = store.fixed
    require_all_ranked(ledger, without_damaged or fixed is not None)
    if fixed is None:
        candidates = of_search(spec, ledger.records.values(), config.top, kept)
    else:
        candidates = [
            of_trial(spec, _record(ledger, chosen["trial"]), chosen["task"], kept)
            for chosen in fixed["candidates"]
        ]
    done = _certify(store, candidates, config, resources, display, other_data)
    return Certified(done.plan, candidates, done.certificates, _send(spec, folder))


def _record(ledger: Ledger, trial: int) -> Record:
    if trial not in ledger.records:
        raise UserError(f"trial {trial}, which is being certified: its record cannot be read")
    return ledger.records[trial]


def _send(spec: Spec, folder: SearchFolder) -> str | None:
    """Send MLflow the search's certificates; one line where that is left to another.

    A search has one writer, who holds it: where it is being run, that one sends them at its end.
    """
    try:
        with folder.locked():
            return send_certificates_of(spec, folder)
    except UserError:
        return (
            f"{folder.name!r} is being searched: MLflow gets the certificates when that ends, or "
            f"at the next `{folder.command('resume')}`"
        )


def certify_export(
    folder: Path,
    data: Path | str | None,
    config: CertifyConfig,
    resources: ResourcesConfig,
    seed: int,
    display: Display,
    other_data: bool = False,
) -> Certified:
    """Certify an exported folder; the certificate goes into it and onto its card.

    Raises:
        UserError: if the folder is not an export, or the seed was begun with another plan.
    """
    candidate = of_export(folder, data)
    store = Store(folder, seed)
    store.require_same(config, CertifyConfig.model_fields.keys() - {"top"})
    done = _certify(store, [candidate], config, resources, display, other_data)
    for found in done.certificates:
        put_on_top(folder, found["configuration_sha256"], found["task"], folder)
        write_aside(folder / "CARD.md", card_of(folder).encode())
    return done


def _certify(
    store: Store,
    candidates: Sequence[Candidate],
    config: CertifyConfig,
    resources: ResourcesConfig,
    display: Display,
    other_data: bool = False,
) -> Certified:
    candidates = [replace(candidate, to=config.to) for candidate in candidates]
    with store.locked():
        fixed = store.fixed
        if fixed is None:
            plan = plan_for(config.reliability, config.confidence, config.failures, len(candidates))
        else:
            plan = Plan(**fixed["plan"])
        labels = [candidate.label for candidate in candidates]
        known = [found for label in labels if (found := store.certificate(label))]
        if len(known) == len(candidates):
            return Certified(plan, candidates, known)
        candidates = _checked(candidates, resources, other_data, config.to)
        for other in stores(store.root):
            _ = other.fixed  # refuses what the certificate could not name beside itself
        if fixed is None:
            store.fix(config, candidates, plan)
        try:
            _run(
                Certification(candidates, plan, store.seed, resources, store.folder), store, display
            )
        except KeyboardInterrupt:
            return Certified(plan, candidates, [])
        conclude(store, candidates, plan)
        return Certified(
            plan, candidates, [c for label in labels if (c := store.certificate(label))]
        )


def _run(certification: Certification, store: Store, display: Display) -> None:
    reached = store.reached(certification.candidates)
    if not any(certification.open_jobs(reached)):
        return

    def keep(job: Job, climbed: Climbed) -> None:
        store.keep(job, climbed)
        display(job, climbed)

    with ExitStack() as stack:
        stack.enter_context(local_ray())
        following = display.following(certification.candidates, certification.plan, reached)
        stack.enter_context(following)
        run_members(certification, reached, RayPool(certification.resources), keep)


def _checked(
    candidates: Iterable[Candidate],
    resources: ResourcesConfig,
    other_data: bool,
    to: int | None,
) -> list[Candidate]:
    """Refuse what every member would fail by, and data that is another unless that is meant."""
    require(here(), resources)
    found = []
    for candidate in candidates:
        if to is not None and to < candidate.ladder.start:
            raise UserError(
                f"--to: {to} is not allowed; the ladder's first lag is {candidate.ladder.start}"
            )
        try:
            task = make_task(candidate.task_config, candidate.encoding)
            if to is not None:
                require_held_out(task, candidate.ladder.success, candidate.lags)
        except (ValueError, OSError) as error:
            raise UserError(f"{candidate.task}: {one_line(error)}") from None
        differs = require_data(candidate.task, candidate.data, task.data, other_data)
        found.append(replace(candidate, other_data=differs))
    return found
