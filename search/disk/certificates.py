"""Certificates that are decided, under a search's folder or an exported one."""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trainables.files.bounded import require_file
from trainables.files.whole_files import DamagedFileError, write_aside
from trainables.measure.plain import digest
from trainables.messages import one_line

CHECKSUM = "sha256"
"""Key of a certificate's own checksum."""

KEYS: Mapping[str, type] = {
    "seed": int, "trial": int, "task": str, "lag": int, "ended_ms": int, "claim": str,
    "configuration": dict, "configuration_sha256": str, "plan": dict, "rungs": list,
    "search_reach": int,
}  # fmt: skip
"""What whoever shows a certificate asks of it."""

log = logging.getLogger(__name__)


def certificates(root: Path) -> Iterator[dict[str, Any]]:
    """Every certificate decided under ``root``, the latest last; a damaged one is named."""
    found = []
    for path in (root / "certificates").glob("seed-*/*/certificate.json"):
        try:
            certificate = read_certificate(path)
        except DamagedFileError as error:
            log.warning("%s; `longspan certify` with its seed writes it anew", error)
        else:
            if certificate and path.parent == _place(root, certificate):
                found.append(certificate)
            elif certificate:
                log.warning("%s: is no certificate of this place; it is left out", path)
    yield from sorted(found, key=lambda c: (c["ended_ms"], c["seed"], c["trial"], c["task"]))


def _place(root: Path, found: Mapping[str, Any]) -> Path:
    """The folder of a certificate."""
    label = f"trial-{found['trial']:05d}-{found['task']}"
    return root / "certificates" / f"seed-{found['seed']}" / label


def standing(root: Path) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The certificate under ``root`` that stands, as `standing_of` says."""
    return standing_of(certificates(root))


def standing_of(
    decided: Iterable[Mapping[str, Any]],
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The certificate that stands of each configuration (by digest) on each task.

    Of several with other seeds it is the worst, of equals the latest: trying seeds until one passes
    wins nothing, for a lag is claimed only if every certificate that tried it passed it, the first
    one too. One that passed all that it tried says nothing of longer lags (``certify --to``), nor
    does one that failed the only lag it tried say anything of shorter ones.
    """
    of: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for certificate in decided:
        of[certificate["configuration_sha256"], certificate["task"]].append(certificate)
    found = {}
    for key, tried in of.items():
        failed = min(map(_failed, tried))
        left = [each for each in tried if each["lag"] < failed]
        found[key] = max(reversed(left), key=lambda each: each["lag"])
    return found


def _failed(certificate: Mapping[str, Any]) -> float:
    """The shortest lag that it tried and did not pass; infinite if there is none."""
    lags = (rung["lag"] for rung in certificate["rungs"] if not rung["passed"])
    return min(lags, default=math.inf)


def certified_words(root: Path) -> dict[str, str]:
    """What the certificates under ``root`` show, as `words_of` says."""
    return words_of(certificates(root))


def words_of(decided: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """By configuration digest, the lag that the certificate standing of each task shows.

    Each with the task's name where there are several.
    """
    words: dict[str, dict[str, str]] = defaultdict(dict)
    for (sha256, task), found in standing_of(decided).items():
        words[sha256][task] = str(found["lag"] or "none")
    return {
        sha256: ", ".join(f"{task} {lag}" if len(tasks) > 1 else lag for task, lag in tasks.items())
        for sha256, tasks in words.items()
    }


def claimed(words: Mapping[str, str]) -> set[str]:
    """Of the digests in `words_of`, those of which a certificate claims a lag."""
    return {sha256 for sha256, shown in words.items() if shown != "none"}


def copy_certificates(root: Path, sha256: str, task: str, folder: Path) -> None:
    """Copy a search's decided certificates of a configuration into an exported folder.

    What was fixed beforehand goes with them, so that ``certify`` knows their seeds as used there.
    """
    for found in certificates(root):
        if (found["configuration_sha256"], found["task"]) != (sha256, task):
            continue
        here, there = _place(root, found), _place(folder, found)
        there.mkdir(parents=True)
        shutil.copyfile(here.parent / "plan.json", there.parent / "plan.json")
        for name in ("certificate.json", "CERTIFICATE.md"):
            shutil.copyfile(here / name, there / name)
    put_on_top(root, sha256, task, folder)


def put_on_top(root: Path, sha256: str, task: str, folder: Path) -> None:
    """Put the certificate standing under ``root``, if any, on top of an exported folder."""
    found = standing(root).get((sha256, task))
    if found is None:
        return
    for name in ("CERTIFICATE.md", "certificate.json"):
        write_aside(folder / name, (_place(root, found) / name).read_bytes())


def write_certificate(path: Path, certificate: Mapping[str, Any]) -> None:
    """Write a ``certificate.json``: plain JSON, with the `digest` of all its other keys."""
    content = {**certificate, CHECKSUM: digest(certificate)}
    write_aside(path, (json.dumps(content, indent=2) + "\n").encode())


def read_certificate(path: Path) -> dict[str, Any] | None:
    """What is written in a ``certificate.json``; None where there is none.

    One that the version before wrote carries no checksum, and is taken as it is.

    Raises:
        DamagedFileError: in one line, if it is not what was written.
    """
    if not path.exists():
        return None
    try:
        require_file(path)
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        reason = one_line(error).removeprefix(f"{path}: ")
        raise DamagedFileError(f"{path}: damaged: {reason}") from None
    if not isinstance(found, dict):
        raise DamagedFileError(f"{path}: damaged: it is no certificate")
    expected = found.pop(CHECKSUM, None)
    if expected is not None and expected != digest(found):
        raise DamagedFileError(f"{path}: damaged (its checksum does not match)")
    for key, kind in KEYS.items():
        if not isinstance(found.get(key), kind):
            raise DamagedFileError(f"{path}: damaged: no certificate of this version ({key!r})")
    return found
