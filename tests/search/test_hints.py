"""What to type next, as a command says it, does what it says: it can be pasted."""

from __future__ import annotations

import ast
import json
import re
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


def hints() -> list[tuple[str, str]]:
    """Every text in the source that names a command and fills in a search, by its place."""
    found = []
    for file in sorted(Path("search").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (
                    part.value
                    if isinstance(part, ast.Constant)
                    else f"{{{ast.unparse(part.value)}}}"
                    for part in node.values
                )
                text = "".join(map(str, parts))
                if re.search(r"longspan [a-z{][a-z-}]* ?\{", text):
                    found.append((f"{file}:{node.lineno}", text))
    return found


RUN = "search/cluster/fetching.py"
"""Its command is run on a head, whose environment says where the runs lie, and never shown."""


def test_no_hint_forgets_where_the_runs_lie() -> None:
    found = [(place, text) for place, text in hints() if not place.startswith(RUN)]
    assert len(found) >= 10
    for place, text in found:
        where = ("{at}", "options_of(", "--cluster {")
        assert any(word in text for word in where), f"{place}: {text}"


def test_a_name_that_is_taken_is_gone_on_with_where_it_lies(tmp_path: Path) -> None:
    runs, spec = tmp_path / "my runs", write_spec(tmp_path)
    SearchFolder(runs, "small").create(specs.read(spec).to_yaml())
    said = in_process("search", str(spec), "--runs", str(runs))
    assert said.returncode == 2
    assert f"`longspan resume small --runs '{runs}'`" in said.stderr
