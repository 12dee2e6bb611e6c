"""Writes the golden file: ``python -m tests.golden.make``, in a minute or two.

To be run with the code whose outcomes are to be kept, on the kind of machine on which they are to
be compared: before a change that must not change them, never after.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.golden.searches import PROPOSED, TWO_TASKS, in_peace, made_longer, processor

GOLDEN = Path(__file__).parent / "golden.json"
TRIALS, STOP = 7, 16
"""Of the search that is made longer."""


def made(runs: Path) -> dict[str, Any]:
    """The outcomes of today's code; a search that was cut off must come to those in peace."""
    return {
        "processor": processor(),
        "in_peace": in_peace(runs, TWO_TASKS),
        "made_longer": made_longer(runs, TWO_TASKS, TRIALS, STOP),
        "proposed": in_peace(_beside(runs), PROPOSED),
    }


def _beside(runs: Path) -> Path:
    """Another runs folder, so that MLflow's database holds one search."""
    other = runs / "beside"
    other.mkdir()
    return other


def laid_out(value: Any, indent: str = "") -> str:
    """JSON that git can show: a line a row and a line for what is flat; keys sorted."""
    if isinstance(value, dict) and any(isinstance(v, dict | list) for v in value.values()):
        inner = indent + " "
        pairs = (f"{inner}{json.dumps(k)}: {laid_out(v, inner)}" for k, v in sorted(value.items()))
        return "{\n" + ",\n".join(pairs) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "[\n" + ",\n".join(f"{indent} {json.dumps(row)}" for row in value) + f"\n{indent}]"
    return json.dumps(value, sort_keys=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(laid_out(made(Path(folder))) + "\n")
