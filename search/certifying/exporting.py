"""Certificates in exported folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from search.certifying.certificate import markdown
from search.certifying.store import certificates, latest
from search.whole import write_aside


def copy_certificates(root: Path, sha256: str, task: str, folder: Path) -> None:
    """Copy a search's decided certificates of a configuration into an exported folder.

    What was fixed beforehand goes with them, so that ``certify`` knows their seeds as used there.
    """
    for found in certificates(root):
        if (found["configuration_sha256"], found["task"]) != (sha256, task):
            continue
        seed = Path("certificates") / f"seed-{found['seed']}"
        label = f"trial-{found['trial']:05d}-{task}"
        (folder / seed / label).mkdir(parents=True)
        shutil.copyfile(root / seed / "plan.json", folder / seed / "plan.json")
        for name in ("certificate.json", "CERTIFICATE.md"):
            shutil.copyfile(root / seed / label / name, folder / seed / label / name)
    newest = latest(root, sha256, task)
    if newest:
        place(newest, folder)


def place(found: dict[str, Any], folder: Path) -> None:
    """Put a certificate on top of an exported folder, in place of an earlier one."""
    write_aside(folder / "CERTIFICATE.md", markdown(found).encode())
    write_aside(folder / "certificate.json", (json.dumps(found, indent=2) + "\n").encode())
