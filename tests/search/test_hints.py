"""What to type next, as a command says it, does what it says: it can be pasted."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from search import spec as specs
from search.commands import RUNS, options_of
from search.commands.exporting import next_command
from search.disk.folder import SearchFolder
from tests.search.conftest import in_process, write_spec


def hinted(output: str, opening: str) -> list[str]:
    """The words of the command that follows on a line that opens so."""
    (line,) = (line for line in output.splitlines() if line.startswith(opening))
    return shlex.split(line.removeprefix(opening))


@pytest.mark.parametrize("name", ["runs", "two words", "it's [b]old[/b]", "a" * 150])
def test_a_stopped_search_is_resumed_where_it_lies(tmp_path: Path, name: str) -> None:
    """Whatever the folder is called: spaces, quotes, markup, longer than the screen is wide."""
    runs = tmp_path / name
    SearchFolder(runs, "small").create(specs.read(write_spec(tmp_path)).to_yaml())
    said = in_process("status", "small", "--runs", str(runs))
    assert said.returncode == 0, said.stderr
    expected = ["longspan", "resume", "small", "--runs", str(runs)]
    assert hinted(said.stdout, "Go on with: ") == expected


def test_where_the_runs_usually_lie_needs_no_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert options_of(RUNS) == options_of(tmp_path / "runs") == ""
    assert options_of(tmp_path) != ""


@pytest.mark.parametrize(("data", "asked"), [(None, ""), ({"rows": 5}, " --data FILE")])
def test_an_export_of_the_users_own_rows_is_verified_with_them(
    tmp_path: Path, data: dict[str, int] | None, asked: str
) -> None:
    (tmp_path / "outcome.json").write_text(
        json.dumps({"lag": 4} | ({"data": data} if data else {}))
    )
    assert next_command([tmp_path]) == f"longspan verify FOLDER{asked}"
