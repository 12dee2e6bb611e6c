"""An export that is not what was written is refused, in one line, wherever it is read."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import save_file

import trainables
from tests.trainables.test_exported import CONFIG, RECALL, write
from trainables.exports import exported
from trainables.files import sums, weights
from trainables.models.model import Model, build
from trainables.tasks.recall import Recall

FILES = ("config.yaml", "model.safetensors", "outcome.json")


def model() -> Model:
    return build(CONFIG.model, Recall(RECALL), seed=0)


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """As the version before exported: the weights alone carry a checksum."""
    folder = write(tmp_path / "export", model())
    weights.write(folder / "model.safetensors", model().state_dict())
    return folder


@pytest.fixture
def folder(earlier: Path) -> Path:
    sums.write(earlier, FILES)
    return earlier


def flip(file: Path, at: int = -1) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(bytes(content))


def refusal(folder: Path) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        trainables.load(folder)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_whole_one_loads_and_says_that_it_was_checked(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainables.load(folder)
    assert exported.read(folder).checked
    assert not caplog.records


def test_one_of_the_version_before_loads_too(
    earlier: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainables.load(earlier)
    assert not exported.read(earlier).checked
    assert not caplog.records


@pytest.mark.parametrize("export", ["earlier", "folder"])
@pytest.mark.parametrize("at", [-1, -40])
def test_a_flipped_bit_of_the_weights_is_found_when_they_are_loaded(
    export: str, at: int, request: pytest.FixtureRequest
) -> None:
    """Not another model in silence."""
    there: Path = request.getfixturevalue(export)
    flip(there / "model.safetensors", at)
    assert refusal(there).startswith(f"{there / 'model.safetensors'}: ")
    assert "damaged" in refusal(there)


@pytest.mark.parametrize("export", ["earlier", "folder"])
@pytest.mark.parametrize("left", [0, 4, 100, -1])
def test_torn_weights_are_found_when_they_are_loaded(
    export: str, left: int, request: pytest.FixtureRequest
) -> None:
    there: Path = request.getfixturevalue(export)
    file = there / "model.safetensors"
    file.write_bytes(file.read_bytes()[:left])
    assert refusal(there).startswith(f"{file}: ")


def test_weights_that_never_had_a_checksum_load_and_say_so(
    earlier: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Others' tools make such files."""
    save_file(model().state_dict(), earlier / "model.safetensors")
    with caplog.at_level(logging.WARNING):
        trainables.load(earlier)
    (line,) = caplog.messages
    assert line.startswith(f"{earlier / 'model.safetensors'}: these weights carry no checksum")


@pytest.mark.parametrize("name", FILES)
def test_nothing_damaged_is_measured_again(folder: Path, name: str) -> None:
    """A byte that leaves YAML and JSON what they were, and the weights' shapes."""
    flip(folder / name, (folder / name).read_bytes().rindex(b"0.8") + 2 if "json" in name else -2)
    with pytest.raises(ValueError, match=r".") as caught:
        exported.verify(exported.read(folder), seed=1)
    assert str(caught.value).startswith(f"{folder / name}: ")


@pytest.mark.parametrize("name", ["config.yaml", "outcome.json"])
def test_what_was_edited_is_named(folder: Path, name: str) -> None:
    with (folder / name).open("a") as file:
        file.write("\n")
    said = refusal(folder)
    assert said.startswith(f"{folder / name}: damaged, or edited: ")
    assert "SHA256SUMS" in said
    (folder / "SHA256SUMS").unlink()
    trainables.load(folder)


@pytest.mark.parametrize(
    "spoil",
    [lambda text: "", lambda text: text.replace("config", "confg"), lambda text: text[:20]],
)
def test_sums_that_are_damaged_are_named(folder: Path, spoil: Callable[[str], str]) -> None:
    file = folder / "SHA256SUMS"
    file.write_text(spoil(file.read_text()))
    assert refusal(folder) == f"{file}: damaged: it says nothing of config.yaml"


def test_a_stranger_checks_it_without_longspan(folder: Path) -> None:
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(command, cwd=folder, capture_output=True).returncode == 0
    flip(folder / "model.safetensors")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    assert "model.safetensors: FAILED" in done.stdout
