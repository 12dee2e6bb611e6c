"""What a certificate is made of, on disk: each member's outcome is written whole, once.

``certificates/seed-S/`` under a search's folder or an exported one: ``plan.json`` what was fixed
beforehand · ``outcomes/`` Parquet, as of a search · and for each candidate, under its label,
``members/NNN.json`` what came of each member; ``certificate.json``, ``CERTIFICATE.md`` the claim.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from search.certifying.candidates import Candidate
from search.certifying.climbing import Reached
from search.certifying.members import Climbed, Job, forget
from search.disk import outcomes
from search.disk.certificates import read_certificate, write_certificate
from search.disk.locks import held
from search.errors import UserError
from search.spec import CertifyConfig
from trainables.files.whole_files import (
    DamagedFileError,
    read_json,
    set_aside,
    write_aside,
    write_json,
)
from trainables.measure.certificate import Plan
from trainables.measure.plain import NotReadableError
from trainables.measure.records import MemberRung

log = logging.getLogger(__name__)


class Store:
    """The certificates with one seed, under ``root``."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.seed = root.absolute(), seed
        self.path = self.root / "certificates" / f"seed-{seed}"
        self._plan = self.path / "plan.json"

    def locked(self) -> AbstractContextManager[object]:
        """Hold the certificates for this process.

        Raises:
            UserError: if another process holds them.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        refusal = f"certify: {self.path} is in use by another process; wait for it"
        return held(self.path / "lock", refusal)

    @property
    def fixed(self) -> dict[str, Any] | None:
        """What was fixed when the certificates were begun; None before.

        Raises:
            UserError: if it is damaged.
        """
        try:
            found: dict[str, Any] | None = read_json(self._plan) if self._plan.exists() else None
        except DamagedFileError as error:
            raise UserError(
                f"{error}: what was fixed before the members of seed {self.seed} were run cannot "
                "be shown any more; take it out of the way and give another --seed"
            ) from None
        return found

    @property
    def is_of_hunt(self) -> bool:
        """Whether these are of a candidate that a search tried as it appeared."""
        return bool((self.fixed or {}).get("plan", {}).get("turn", 0))

    def fix(self, config: CertifyConfig, candidates: Sequence[Candidate], plan: Plan) -> None:
        """Write down, before any member is run, what is tested and how."""
        chosen = [
            {"label": c.label, "trial": c.trial, "task": c.task, "sha256": c.sha256,
             "reach": c.reach}
            for c in candidates
        ]  # fmt: skip
        content = {"certify": config.model_dump(), "plan": asdict(plan), "candidates": chosen}
        write_json(self._plan, {**content, "seed": self.seed, "started_ms": now_ms()})

    def require_same(self, config: CertifyConfig, keys: Iterable[str]) -> None:
        """Refuse another plan for members that were already seen: the ``keys`` of it that matter.

        Raises:
            UserError: if the certificates were begun otherwise.
        """
        fixed = self.fixed
        if fixed is None:
            return
        for key in keys:
            begun, asked = fixed["certify"].get(key), getattr(config, key)
            if begun != asked:
                raise UserError(
                    f"--{key}: {asked} is not allowed; the certificate of seed {self.seed} was "
                    f"begun with {begun}; keep to that, or give another --seed"
                )

    def folder(self, candidate: Candidate, member: int) -> Path:
        """Where a member keeps its checkpoint while it climbs."""
        return self.path / candidate.label / "members" / f"{member:03d}"

    def keep(self, job: Job, climbed: Climbed) -> None:
        """Write a member's outcome; its checkpoint is not needed any more."""
        folder = self.folder(job.candidate, job.member)
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_json(folder.with_suffix(".json"), climbed.to_json())
        forget(job)

    def clear(self, candidates: Sequence[Candidate]) -> None:
        """Remove the checkpoints of members that were given up, or struck while they were kept."""
        for candidate in candidates:
            for folder in (self.path / candidate.label / "members").glob("*/"):
                shutil.rmtree(folder, ignore_errors=True)

    def members(self, candidate: Candidate) -> list[Climbed]:
        """The members that have ended, by number."""
        return [
            found
            for file in sorted((self.path / candidate.label / "members").glob("*.json"))
            if (found := _whole(file)) is not None
        ]

    def reached(self, candidates: Sequence[Candidate]) -> Reached:
        """How far the members that have ended came."""
        return {c.label: {m.member: m.reach for m in self.members(c)} for c in candidates}

    def certificate(self, label: str) -> dict[str, Any] | None:
        """The certificate of the candidate of that name, if it is decided.

        A damaged one is set aside: it is made again of the members, which are kept.
        """
        path = self.path / label / "certificate.json"
        try:
            return read_certificate(path)
        except DamagedFileError as error:
            log.warning("%s; kept as %s", error, set_aside(path).name)
            return None

    def certify(self, candidate: Candidate, certificate: dict[str, Any], text: str) -> None:
        """Write a candidate's certificate, for programs and for people."""
        folder = self.path / candidate.label
        folder.mkdir(parents=True, exist_ok=True)
        write_aside(folder / "CERTIFICATE.md", text.encode())
        write_certificate(folder / "certificate.json", certificate)

    def write_outcomes(self, candidates: Sequence[Candidate]) -> None:
        """Every member and rung as Parquet, a file a trial; members have their fresh numbers."""
        rows: dict[tuple[int, str], list[MemberRung]] = defaultdict(list)
        for candidate in candidates:
            for climbed in self.members(candidate):
                rows[candidate.trial, candidate.sha256] += climbed.rows
        for (trial, sha256), found in rows.items():
            outcomes.write(self.path / "outcomes", trial, sha256, found)


def stores(root: Path) -> list[Store]:
    """Every certificate begun under ``root``, by seed."""
    found = (p.parent.name[5:] for p in (root / "certificates").glob("seed-*/plan.json"))
    return [Store(root, seed) for seed in sorted(int(name) for name in found if name.isdecimal())]


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return round(time.time() * 1000)


def _whole(path: Path) -> Climbed | None:
    """A member's outcome; None, and a warning, where it is damaged: the member runs again.

    Raises:
        UserError: in one line, if a later version of Longspan wrote it.
    """
    try:
        return Climbed.from_json(read_json(path))
    except NotReadableError as error:
        raise UserError(f"{path}: {error}") from None
    except DamagedFileError as error:
        log.warning("%s; the member runs again", error)
        return None
