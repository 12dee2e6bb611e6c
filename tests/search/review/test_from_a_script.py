"""A search from a script, as a user of Python writes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import longspan

found = longspan.search(
    {
        "name": "tiny", "space": "quick", "tasks": [{"kind": "recall"}],
        "ladder": {
            "start": 4, "stop": 8, "members": 1, "quorum": 1,
            "sequences": 1500, "test_sequences": 128,
        },
        "search": {"sampler": "random", "scheduler": "none", "seed": 3},
    },
    runs="runs", name="other", trials=1,
)
print(found)
(folder,) = found.export("best")
print(longspan.load(folder).predict([[1, 0, 0, 0]]).shape)
"""


@pytest.mark.slow
def test_it_searches_exports_and_loads(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "<longspan search 'other': finished, 1 trials ended>" in done.stdout
    assert done.stdout.strip().endswith("(1,)")
