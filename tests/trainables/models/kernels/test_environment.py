"""What an outcome says of the process that computed it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASKED = "from trainables.models.kernels import environment; print(environment.describe())"


def told(code: str, **variables: str) -> str:
    own = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=own | variables, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_threads_and_what_the_allocator_was_told() -> None:
    assert told(ASKED, OMP_NUM_THREADS="1") == "1 thread"
    said = told(ASKED, OMP_NUM_THREADS="2", MALLOC_TRIM_THRESHOLD_="7", MALLOC_ARENA_MAX="1")
    assert said == "2 threads, MALLOC_ARENA_MAX=1, MALLOC_TRIM_THRESHOLD_=7"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="where it can be found out")
def test_what_is_set_later_the_allocator_has_not_read() -> None:
    late = f"import os; os.environ['MALLOC_TRIM_THRESHOLD_'] = '7'; {ASKED}"
    assert told(late, OMP_NUM_THREADS="1") == "1 thread"
