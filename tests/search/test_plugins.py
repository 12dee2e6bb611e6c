"""Plugins: what they bring is known from then on, and what is no plugin is refused in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pydantic import ValidationError
from safetensors.torch import save_file

import trainables
from search.certifying.candidates import Candidate
from search.certifying.members import Job, run_member
from search.commands.reviewing import list_
from search.errors import UserError
from search.spec import ResourcesConfig, Spec, read, revive
from search.spec.spaces import find_space, known_spaces
from spaces import SPACES
from trainables.config import TrialConfig
from trainables.measure.ladder_config import LadderConfig
from trainables.models.cells import LAYERS
from trainables.models.model import build
from trainables.plugins import load_plugins, needed
from trainables.tasks import TASKS

MINE = '''
from typing import Literal
from trainables.models.cells.rnn import Rnn
from trainables.tasks.recall import Recall

class Mine(Rnn):
    class Config(Rnn.Config):
        kind: Literal["mine"] = "mine"

class Echo(Recall):
    class Config(Recall.Config):
        kind: Literal["echo"] = "echo"

def tiny(trial):
    """One cell."""
    trial.suggest_categorical("model/cell/kind", ["mine"])
    return {"model/hidden_size": 4}

LAYERS = {"mine": Mine}
TASKS = {"echo": Echo}
SPACES = {"tiny": tiny}
'''

Write = Callable[[str, str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a module; tables, modules and the search path are as before in the end."""
    tables, modules = (dict(LAYERS), dict(TASKS)), set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(name: str, content: str) -> str:
        (tmp_path / f"{name}.py").write_text(content)
        return name

    yield write
    for table, before in zip((LAYERS, TASKS), tables, strict=True):
        table.clear()
        table.update(before)
    for name in set(sys.modules) - modules:
        if name.startswith("own_"):
            del sys.modules[name]


def spec(folder: Path, **changes: object) -> Path:
    content = {"name": "s", "space": "tiny", "plugins": ["own_parts"], "tasks": [{"kind": "echo"}]}
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump({**content, **changes}))
    return path


# What they bring


def test_a_spec_knows_what_its_plugins_bring(write: Write, tmp_path: Path) -> None:
    """Layer, task and space, from a module beside the spec; read again from its own words."""
    write("own_parts", MINE)
    found = read(spec(tmp_path))
    assert found.tasks[0].kind == "echo"
    assert find_space(found).__name__ == "tiny"
    TrialConfig.model_validate({"model": {"cell": "mine"}})
    assert str(tmp_path) in found.import_from


def forget_what_was_loaded(tables: tuple[dict[str, Any], dict[str, Any]], path: list[str]) -> None:
    """As in a process that has not loaded the plugins."""
    for table, before in zip((LAYERS, TASKS), tables, strict=True):
        table.clear()
        table.update(before)
    sys.path[:] = path
    del sys.modules["own_parts"]


def test_validating_a_spec_changes_nothing(write: Write, tmp_path: Path) -> None:
    """No module, no place to look for one, no table; a kind that is not known yet is refused."""
    write("own_parts", MINE)
    before = (dict(LAYERS), dict(TASKS), list(sys.path), set(sys.modules))
    named = {"plugins": ["own_parts"], "import_from": [str(tmp_path)]}
    content = {"name": "s", "space": "tiny", "tasks": [{"kind": "recall"}], **named}
    assert Spec.model_validate(content).plugins == ["own_parts"]
    with pytest.raises(ValidationError, match="kind: 'echo' is not known; allowed: recall, "):
        Spec.model_validate({**content, "tasks": [{"kind": "echo"}]})
    assert (LAYERS, TASKS, sys.path, set(sys.modules)) == before


def test_a_worker_revives_a_spec(write: Write, tmp_path: Path) -> None:
    """From its own words, in a process that has not loaded what it needs."""
    write("own_parts", MINE)
    tables, path = (dict(LAYERS), dict(TASKS)), list(sys.path)
    plain = read(spec(tmp_path)).model_dump(mode="json")
    forget_what_was_loaded(tables, path)
    again = revive(plain)
    assert again.model_dump(mode="json") == plain
    assert type(again.tasks[0]) is TASKS["echo"].Config
    TrialConfig.model_validate({"model": {"cell": "mine"}})


def test_a_fresh_member_loads_what_its_layers_need(write: Write, tmp_path: Path) -> None:
    """A worker that has not loaded them would count every member as failed."""
    write("own_parts", MINE)
    load_plugins(["own_parts"], [tmp_path])
    config = TrialConfig.model_validate({"model": {"cell": "mine", "hidden_size": 4}})
    ladder = LadderConfig(start=2, stop=2, members=1, quorum=1, sequences=32, test_sequences=64)
    candidate = Candidate(
        "s", 0, config.model_dump(mode="json"), config.digest, "recall", TASKS["recall"].Config(),
        ladder, 0, 2, ["own_parts"], [str(tmp_path)],
    )  # fmt: skip
    del LAYERS["mine"]
    job = Job(candidate, 0, 0, 2, tmp_path / "member", ResourcesConfig())
    assert run_member(job).error is None


def test_once_is_as_good_as_twice(write: Write, tmp_path: Path) -> None:
    write("own_parts", MINE)
    first = load_plugins(["own_parts"], [tmp_path])
    tables, path = (dict(LAYERS), dict(TASKS)), list(sys.path)
    assert load_plugins(["own_parts", "own_parts"], [tmp_path]) == first * 2
    assert (LAYERS, TASKS, sys.path) == (*tables, path)


def test_a_folder_to_import_from_shadows_nothing(write: Write, tmp_path: Path) -> None:
    """A module of the user's that is called like one of Python's does not take its place."""
    load_plugins([], [tmp_path])
    assert sys.path[-1] == str(tmp_path)


def test_the_shipped_spaces_stay_as_they_are(write: Write, tmp_path: Path) -> None:
    write("own_parts", MINE)
    before = dict(SPACES)
    assert list(known_spaces(["own_parts"], [str(tmp_path)])) == [*before, "tiny"]
    assert before == SPACES


def test_they_can_be_listed(
    write: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write("own_parts", '"""Parts of mine."""\n' + MINE)
    monkeypatch.chdir(tmp_path)
    for what, kind in (("cells", "mine"), ("tasks", "echo"), ("spaces", "tiny")):
        list_(what, ["own_parts"])
        (line,) = (x for x in capsys.readouterr().out.splitlines() if x.split()[:1] == [kind])
        assert "Parts of mine." in line


def test_needed_are_those_whose_kinds_are_named(write: Write, tmp_path: Path) -> None:
    write("own_parts", MINE)
    write("own_spaces", "SPACES = {}\n")
    names = ["own_spaces", "own_parts"]
    load_plugins(names, [tmp_path])
    assert needed(names, {"configuration": {"model": {"cell": {"kind": "lstm"}}}}) == []
    hybrid = {"kind": "interleaved", "cell": {"kind": "mine"}}
    for named in ({"model": {"hybrid": hybrid}}, {"task": {"kind": "echo"}}):
        assert needed(names, named) == ["own_parts"]


# What is refused

CELL = "class Mine(Rnn):\n    pass\n"
FLAWS = {
    "it is not there": (None, "'own_flaw' cannot be imported: ModuleNotFoundError"),
    "it breaks": ("1 / 0", "'own_flaw' cannot be imported: ZeroDivisionError: division by zero"),
    "it is not Python": ("def", "'own_flaw' cannot be imported: SyntaxError"),
    "it has no table": ("x = 1", "'own_flaw' has no table; a plugin has LAYERS, TASKS or SPACES"),
    "its table is none": ("LAYERS = [1]", "'own_flaw': LAYERS is no mapping"),
    "a layer is none": ("LAYERS = {'mine': 3}", "'own_flaw': LAYERS: 'mine' is no subclass of"),
    "a task is a layer": (
        "from trainables.models.cells import LAYERS\nTASKS = {'mine': LAYERS['rnn']}\ndel LAYERS",
        "'own_flaw': TASKS: 'mine' is no subclass of trainables.tasks.task.Task",
    ),
    "a layer takes a shipped name": (
        MINE.replace('"mine"', '"lstm"'), "'own_flaw': LAYERS: 'lstm' is taken",
    ),
    "a task takes a shipped name": (
        MINE.replace('"echo"', '"copying"'), "'own_flaw': TASKS: 'copying' is taken",
    ),
    "its kind is another": (
        MINE.replace('{"mine": Mine}', '{"yours": Mine}'),
        "'own_flaw': LAYERS: 'yours' has no Config with kind: Literal[\"yours\"]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flawed_plugin_is_refused_and_leaves_nothing(
    flaw: str, write: Write, tmp_path: Path
) -> None:
    content, said = FLAWS[flaw]
    if content is not None:
        write("own_flaw", content)
    tables = dict(LAYERS), dict(TASKS)
    with pytest.raises(ValueError, match=r"^'own_flaw'") as refusal:
        load_plugins(["own_flaw"], [tmp_path])
    assert str(refusal.value).startswith(said)
    assert "\n" not in str(refusal.value)
    assert tables == (LAYERS, TASKS)
    with pytest.raises(UserError) as in_spec:
        read(spec(tmp_path, plugins=["own_flaw"]))
    assert str(in_spec.value).startswith(f"{tmp_path / 'spec.yaml'}: plugins: {said}")


def test_two_plugins_do_not_share_a_name(write: Write, tmp_path: Path) -> None:
    write("own_parts", MINE)
    write("own_others", MINE.replace("tiny", "small"))
    with pytest.raises(ValueError, match="'own_others': LAYERS: 'mine' is taken"):
        load_plugins(["own_parts", "own_others"], [tmp_path])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("{'quick': print}", "'own_spaces': SPACES: 'quick' is taken"),
        ("{'fast': 3}", "'own_spaces': SPACES: 'fast' is no function"),
    ],
)
def test_a_space_that_cannot_be(table: str, said: str, write: Write, tmp_path: Path) -> None:
    write("own_spaces", f"SPACES = {table}")
    with pytest.raises(UserError, match=said):
        known_spaces(["own_spaces"], [str(tmp_path)])


# Exports


@pytest.fixture
def exported(write: Write, tmp_path: Path) -> Path:
    """An export that needs a plugin, with the plugin gone from this process."""
    write("own_parts", MINE + "\nprint('IMPORTED')\n")
    tables = dict(LAYERS), dict(TASKS)
    load_plugins(["own_parts"], [tmp_path])
    config = TrialConfig.model_validate({"model": {"cell": "mine", "hidden_size": 4}})
    content = {
        "plugins": ["own_parts"],
        "configuration": config.model_dump(mode="json"),
        "task": {"kind": "echo"},
        "inputs": {"vocabulary": 17},
        "answer": {"classes": 8},
    }
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    (folder / "outcome.json").write_text('{"lag": 4, "success": 0.9}')
    echo = TASKS["echo"](TASKS["echo"].Config(kind="echo"))
    save_file(build(config.model, echo, seed=0).state_dict(), folder / "model.safetensors")
    for table, before in zip((LAYERS, TASKS), tables, strict=True):
        table.clear()
        table.update(before)
    del sys.modules["own_parts"]
    return folder


def test_a_file_imports_nothing(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Though the module could be found: the folder may be a stranger's."""
    capsys.readouterr()
    with pytest.raises(ValueError, match=r"plugins: 'own_parts' is needed") as refusal:
        trainables.load(exported)
    assert "plugins=['own_parts']" in str(refusal.value)
    assert "--plugin own_parts" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert "own_parts" not in sys.modules
    assert "IMPORTED" not in capsys.readouterr().out


def test_what_the_caller_names_or_has_imported_is_loaded(exported: Path) -> None:
    model = trainables.load(exported, plugins=["own_parts"])
    assert type(model.blocks[0].layer).__name__ == "Mine"
    assert torch.is_tensor(next(model.parameters()))
    for kind in ("mine",):
        del LAYERS[kind]
    assert trainables.load(exported).config == model.config  # imported above
