"""Configurations that a side holds to be good, in the order in which they came up."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Candidate:
    """One of them.

    Attributes:
        chosen: the nested configuration
        at: seconds since the epoch
    """

    chosen: dict[str, Any]
    at: float


def announce(file: str | Path, chosen: dict[str, Any]) -> None:
    """Add one to a file, which several processes may do at once."""
    line = json.dumps(asdict(Candidate(chosen, time.time()))) + "\n"
    with Path(file).open("a", encoding="utf-8") as opened:
        opened.write(line)


def announced(file: Path) -> list[Candidate]:
    """All so far, whole lines alone."""
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    return [Candidate(**json.loads(line)) for line in lines if line.endswith("\n")]
