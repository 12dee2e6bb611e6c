"""A YAML space in a spec: found, kept, and refused in one line that names its file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from search.checking.preflight import check
from search.disk.folder import SearchFolder
from search.errors import UserError
from search.proposing.draws import draw
from search.spec import Spec, read
from search.spec.spaces import find_space

SPACE = "model/cell/kind: [rnn, lstm]\nmodel/hidden_size: {low: 4, high: 8}\n"


def spec(folder: Path, space: str = "mine.yaml") -> Path:
    path = folder / "spec.yaml"
    content = {"name": "s", "space": space, "tasks": [{"kind": "recall"}]}
    path.write_text(yaml.safe_dump(content))
    return path


def sizes(found: Spec) -> list[int]:
    return [config.model.hidden_size for config in draw(find_space(found), 20)]


@pytest.mark.parametrize("written", ["beside", "absolute", "in the current folder"])
def test_the_file_is_found(written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    specs, here = tmp_path / "specs", tmp_path / "here"
    specs.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    file = (here if written == "in the current folder" else specs) / "mine.yaml"
    file.write_text(SPACE)
    found = read(spec(specs, str(file) if written == "absolute" else "mine.yaml"))
    assert {4, 8} <= set(sizes(found)) <= set(range(4, 9))
    check(found)


def test_a_search_keeps_its_space(tmp_path: Path) -> None:
    """The copy of the spec draws the same after the file changed, and after it is gone."""
    file = tmp_path / "mine.yaml"
    file.write_text(SPACE)
    found = read(spec(tmp_path))
    folder = SearchFolder(tmp_path / "runs", "s")
    folder.create(found.to_yaml())
    file.write_text(SPACE.replace("high: 8", "high: 99"))
    assert read(folder.spec) == found
    file.unlink()
    again = read(folder.spec)
    assert again == found
    assert sizes(again) == sizes(found)
    assert again.space == "mine.yaml"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file; give a space in YAML"),
        ("- a", "mine.yaml: a space is a mapping of keys, not list"),
        ("a: [1", "mine.yaml: not YAML"),
        (
            SPACE + "model/cell/kind: [gru]\n",
            "mine.yaml: not YAML: model/cell/kind stands there tw",
        ),
        ("a: {low: 3, high: 1}", "space: mine.yaml: a: high: 1 is not allowed; low is 3"),
        ("a: {choices: [1], when: {b: 1}}", "space: mine.yaml: a.when: 'b' is not chosen earlier"),
        ("7: [1]", "space: mine.yaml: 7"),
        ("{}", "space: mine.yaml: {} is not allowed"),
        (
            SPACE + "model/cel/x: [1]\n",
            "space: 'mine.yaml' gives no model: model.cel: this key is not known",
        ),
        (
            SPACE + "model/depth: [0, 1]\n",
            "space: 'mine.yaml' gives no model: model.depth: 0 is not allowed",
        ),
        ("model/depth: [1]", "space: 'mine.yaml' gives no model: model.cell: this key is required"),
    ],
)
def test_a_flawed_space_is_refused(content: str | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(UserError) as refusal:
        check(read(spec(tmp_path)))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_own_function_beside_the_spec_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that Python does not look into by itself."""
    import sys

    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "own_function.py").write_text(
        "def one(trial):\n    return {'model/cell/kind': 'rnn', 'model/hidden_size': 4}\n"
    )
    found = read(spec(tmp_path, "own_function:one"))
    assert sizes(found) == [4] * 20
    assert str(tmp_path) in found.import_from


def test_a_key_that_stands_twice_in_a_spec_is_refused(tmp_path: Path) -> None:
    path = spec(tmp_path, "quick")
    path.write_text(path.read_text() + "space: article\n")
    with pytest.raises(UserError, match="space stands there twice"):
        read(path)
