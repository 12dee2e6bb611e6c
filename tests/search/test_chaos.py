"""A short search under fire, by the benchmark's own code; the long one is run by hand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.chaos
def test_a_search_under_fire_ends_as_the_same_in_peace(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.chaos", "--trials", "10", "--every", "3"]
    done = subprocess.run([*command, "--to", str(tmp_path)], capture_output=True, text=True)
    logs = [log.read_text()[-3000:] for log in tmp_path.glob("*/driver.log")]
    assert done.returncode == 0, "\n".join([done.stdout, done.stderr, *logs])
    survived = re.search(r"^(\d+) faults survived", done.stdout, re.MULTILINE)
    assert survived is not None
    assert int(survived[1]) > 0, done.stdout
