"""What a search may be called, and where searches usually lie."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

RUNS = Path("runs")
"""Where they lie, unless a command or the environment says otherwise."""


def plain_options_of(runs: Path) -> str:
    """What a command that is hinted at is given to look in this folder; it can be pasted."""
    if runs.absolute() == RUNS.absolute():
        return ""
    return f" --runs {shlex.quote(str(runs.absolute()))}"
