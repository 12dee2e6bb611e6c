"""What needs no model is answered without torch, Ray or MLflow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from search.spec.task_keys import TASK_KEYS
from tests.search.written_down import written_down
from trainables.tasks import TASKS

HEAVY = {"torch", "ray", "mlflow", "optuna", "scipy", "pandas", "pyarrow"}

ASK = """
import sys
from search.cli import main
try:
    main()
except SystemExit as ended:
    print(ended.code, *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def answer(*words: str) -> tuple[str, set[str], str]:
    """The exit code, the packages that were imported, and what was said of an error."""
    asked = subprocess.run(
        [sys.executable, "-c", ASK, *words], capture_output=True, text=True, check=True
    )
    code, *packages = asked.stdout.splitlines()[-1].split()
    return code, set(packages), asked.stderr


@pytest.mark.parametrize(
    ("typo", "said"),
    [
        ("trails: 3", "trails: this key is not known"),
        ("search: {trails: 3}", "search.trails: this key is not known"),
        ("ladder: {stop: none}", "ladder.stop: 'none' is not allowed"),
        ("controls: of", "controls: 'of' is not allowed"),
        ("tasks: [{kind: recal}]", "tasks.0: kind: 'recal' is not known; allowed: recall, copying"),
        ("tasks: [recal]", "tasks.0: kind: 'recal' is not known; allowed: recall, copying"),
        ("tasks: [recall, {kind: parity, alphabt: 3}]", "tasks.1: alphabt: this key is not known"),
    ],
)
def test_a_typo_in_a_spec_is_answered_at_once(tmp_path: Path, typo: str, said: str) -> None:
    spec = tmp_path / "spec.yaml"
    tasks = "" if typo.startswith("tasks") else "tasks: [recall]\n"
    spec.write_text(f"name: quick\nspace: recurrent\n{tasks}{typo}\n")
    code, packages, error = answer("search", str(spec))
    assert code == "2"
    assert said in error
    assert not packages & HEAVY


def test_the_keys_that_are_known_at_once_are_the_tasks_own() -> None:
    """In the order in which they are listed."""
    there = {kind: frozenset(task.Config.model_fields) for kind, task in TASKS.items()}
    assert list(there.items()) == list(TASK_KEYS.items())


@pytest.mark.parametrize("words", [["--version"], ["-h"], ["status", "-h"]])
def test_so_is_a_question_about_the_command(words: list[str]) -> None:
    code, packages, _ = answer(*words)
    assert code == "0"
    assert not packages & HEAVY


def test_so_is_a_search_that_is_not_there(tmp_path: Path) -> None:
    code, packages, error = answer("status", "none", "--runs", str(tmp_path))
    assert code == "2"
    assert "no search 'none'" in error
    assert not packages & HEAVY


@pytest.mark.parametrize("command", ["status", "trials"])
def test_so_is_how_far_a_search_is(command: str, tmp_path: Path) -> None:
    """From files alone; what a trial is limited by takes statistics."""
    runs = str(written_down(tmp_path).runs)
    for options in ([], ["--json"]):
        code, packages, error = answer(command, "made", "--runs", runs, *options)
        assert (code, error) == ("0", "")
        assert not packages & (HEAVY - {"scipy"})
