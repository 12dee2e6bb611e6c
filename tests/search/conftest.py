"""One small search, run once by the real command, for every test that reads one."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from search.cli import main
from search.recording.whole_database import make_whole
from tests.waiting import HANGS

COMMAND = Path(sys.executable).parent / "longspan"

SMALL = """\
name: small
space: quick
tasks: [{kind: recall}]
ladder: {start: 4, stop: 16, members: 2, quorum: 2, sequences: 1500, test_sequences: 128}
search: {trials: 14, sampler: random, scheduler: none, seed: 3}
controls: off
"""


def first(trials: int) -> str:
    """The same spec with fewer trials, which are the first of those."""
    return SMALL.replace("trials: 14", f"trials: {trials}")


def longspan(*arguments: str, timeout: float = HANGS) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    return subprocess.run(
        [str(COMMAND), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "COLUMNS": "120"},
        check=False,
    )


def in_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it in this process, in a fraction of the time: what starts no workers needs no other."""
    output, errors = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(output),
        redirect_stderr(errors),
    ):
        patch.setattr(sys, "argv", ["longspan", *arguments])
        patch.setenv("COLUMNS", "120")
        with pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    done = (ended.value.code, output.getvalue(), errors.getvalue())
    return subprocess.CompletedProcess(arguments, *done)


def write_spec(folder: Path, text: str = SMALL, name: str = "small") -> Path:
    """A spec file under another name."""
    path = folder / f"{name}.yaml"
    path.write_text(text.replace("name: small", f"name: {name}"))
    return path


@pytest.fixture(scope="session")
def small_search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder of a finished search of 14 short trials called ``small``.

    Each process that tests has a copy of its own.
    """
    made = once("small-search", _search, tmp_path_factory)
    return shutil.copytree(made, tmp_path_factory.mktemp("small") / "runs")


def once(name: str, make: Callable[[Path], None], factory: pytest.TempPathFactory) -> Path:
    """What the first process to ask has made; of those that test side by side no other does."""
    base = factory.getbasetemp()
    note = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with note.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not note.exists():
            made = factory.mktemp("made")
            make(made)
            note.write_text(str(made))
    return Path(note.read_text())


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's, in which there is nothing yet: to be copied, for it takes seconds to make."""
    return once("mlflow", _lay_a_database, tmp_path_factory) / "mlflow.db"


@pytest.fixture(scope="session")
def scoring_server() -> None:
    """MLflow's server of models, imported: it warns at its import, once, here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc.scoring_server  # noqa: F401


def _lay_a_database(folder: Path) -> None:
    make_whole(folder / "mlflow.db")


def _search(runs: Path) -> None:
    done = longspan("search", str(write_spec(runs)), "--runs", str(runs))
    assert done.returncode == 0, done.stderr + done.stdout
