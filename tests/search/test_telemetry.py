"""Nothing is reported to anybody, by this process or by what it starts, unless it is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from search import UNLESS_TOLD

TOLD = {"RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_DISABLE_TELEMETRY": "true"}

ASK = """
import os
import search
from mlflow.environment_variables import MLFLOW_DISABLE_TELEMETRY
from mlflow.telemetry import get_telemetry_client
print(MLFLOW_DISABLE_TELEMETRY.get(), get_telemetry_client() is None)
print(os.environ["RAY_USAGE_STATS_ENABLED"])
"""


def bare() -> dict[str, str]:
    """The environment without a word on telemetry, nor on tests, in which MLflow is silent."""
    silent = {*UNLESS_TOLD, "DO_NOT_TRACK", "CI", "PYTEST_CURRENT_TEST", "PYTEST_VERSION"}
    return {name: value for name, value in os.environ.items() if name not in silent}


def test_mlflow_has_no_client_that_reports() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=bare(), capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["True", "True", "0"], done.stderr


def test_what_the_command_starts_has_the_same() -> None:
    """MLflow's pages among it: their environment is the command's."""
    child = "import json, os; print(json.dumps(dict(os.environ)))"
    ask = (
        "import subprocess, sys, search.commands.reviewing; "
        f"subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask], env=bare(), capture_output=True, text=True, check=True
    )
    there = json.loads(done.stdout)
    assert {name: there[name] for name in TOLD} == TOLD


def test_a_user_may_want_it() -> None:
    wanted = {**bare(), "RAY_USAGE_STATS_ENABLED": "1"}
    ask = "import os, search; print(os.environ['RAY_USAGE_STATS_ENABLED'])"
    done = subprocess.run(
        [sys.executable, "-c", ask], env=wanted, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"


RAY = """
import json, os
import search, ray
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
print(json.dumps(ray.get(ray.remote(lambda: dict(os.environ)).remote())))
"""


@pytest.mark.slow
def test_rays_workers_have_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RAY], env=bare(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout.splitlines()[-1])
    assert {name: there[name] for name in TOLD} == TOLD
