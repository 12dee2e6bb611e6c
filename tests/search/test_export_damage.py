"""Weights are checked on their way out of a search: what is damaged is not exported with a card."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import trainables
from search.disk.folder import SearchFolder
from search.disk.record import Record
from search.errors import UserError
from search.results.export import Wanted, export
from tests.search.test_damage import bit_flipped, cut_short, emptied, torn
from tests.search.test_recording import SPEC, folder, record
from tests.search.test_refusals import refused, run
from trainables.config import TrialConfig
from trainables.exports import exported
from trainables.files import weights
from trainables.models.model import build
from trainables.tasks.recall import Recall
from trainables.training.climber import weights_file

__all__ = ["folder", "record"]  # fixtures


@pytest.fixture
def kept(folder: SearchFolder, record: Record) -> list[Path]:
    """The weights of the trial's members at its reach."""
    config = TrialConfig.model_validate(record.configuration)
    files = [weights_file(folder.trial(0) / "weights" / "recall", 8, member) for member in (0, 1)]
    for member, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        model = build(config.model, Recall(Recall.Config()), seed=member)
        weights.write(file, model.state_dict())
    return files


def test_what_is_whole_is_exported_and_loads(
    folder: SearchFolder, kept: list[Path], tmp_path: Path
) -> None:
    (there,) = export(folder, SPEC, Wanted(), tmp_path / "best")
    trainables.load(there)
    assert exported.read(there).checked
    assert [path.name for path in (tmp_path / "best").iterdir()] == [there.name]


def test_weights_of_another_trial_are_not_exported(
    folder: SearchFolder, kept: list[Path], tmp_path: Path
) -> None:
    """Of the same shapes, whole, and where its own were."""
    for file in kept:
        weights.write(file, weights.read(file), of="another's")
    with pytest.raises(UserError, match=r"another trial's.*; nothing is exported"):
        export(folder, SPEC, Wanted(), tmp_path / "best")


@pytest.mark.parametrize("how", [torn, cut_short, emptied, bit_flipped])
def test_damaged_weights_are_named_and_not_exported(
    folder: SearchFolder, kept: list[Path], tmp_path: Path, how: Callable[[bytes], bytes]
) -> None:
    for file in kept:
        file.write_bytes(how(file.read_bytes()))
    with pytest.raises(UserError) as caught:
        export(folder, SPEC, Wanted(), tmp_path / "best")
    said = str(caught.value)
    assert any(said.startswith(f"{file}: these weights are damaged: ") for file in kept)
    assert said.endswith("; nothing is exported")
    assert "\n" not in said
    assert not list((tmp_path / "best").iterdir())


def test_verify_refuses_a_flipped_bit(
    folder: SearchFolder,
    kept: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (there,) = export(folder, SPEC, Wanted(), tmp_path / "best")
    file = there / exported.WEIGHTS
    file.write_bytes(bit_flipped(file.read_bytes()))
    assert run(monkeypatch, "verify", str(there), "--seed", "1") == 2
    refused(capsys, str(file), "damaged")


def test_verify_says_where_nothing_is_checked(
    folder: SearchFolder,
    kept: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (there,) = export(folder, SPEC, Wanted(), tmp_path / "best")
    (there / "SHA256SUMS").unlink()
    assert run(monkeypatch, "verify", str(there), "--seed", "1") == 1
    assert "has no SHA256SUMS" in " ".join(capsys.readouterr().out.split())


def test_weights_that_are_a_pipe_are_named_and_not_waited_for(
    folder: SearchFolder, kept: list[Path], tmp_path: Path
) -> None:
    for file in kept:
        file.unlink()
        os.mkfifo(file)
    with pytest.raises(UserError, match=r"is no file, but.*; nothing is exported"):
        export(folder, SPEC, Wanted(), tmp_path / "best")
