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


@pytest.mark.parametrize("name", ["search.py", "search/__init__.py", "spaces.py", "search/own.py"])
def test_a_file_that_hides_a_package_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    """A script of that name too, which would be imported by itself; a folder without code as well.

    A mere folder hides what is installed to be edited, and nothing of a wheel.
    """
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("print('imported')\nimport longspan\nprint(longspan.search)\n")
    runs = [str(tmp_path / name)] if name.endswith("search.py") else ["-c", "import longspan"]
    done = subprocess.run(
        [sys.executable, *runs], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    if name == "search/own.py":
        if done.returncode == 0:
            return
        name = "search"
    assert done.returncode == 1
    hidden = name.split(".")[0].split("/")[0]
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: longspan: {tmp_path / name} hides its package {hidden!r}; "
        "give that file another name"
    )
    assert done.stdout in ("", "imported\n")
