"""Exports load, prove themselves, and are found out where they lie."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import trainables
from tests.search.conftest import in_process, longspan
from trainables.models import kernels


@pytest.fixture(scope="module")
def exported(small_search: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The best of the small search, exported by the command."""
    to = tmp_path_factory.mktemp("best")
    done = longspan("export", "small", "--top", "2", "--to", str(to), "--runs", str(small_search))
    assert done.returncode == 0, done.stderr
    folders = sorted(to.iterdir())
    assert len(folders) == 2
    return folders[0]


def test_a_folder_holds_what_the_card_says(exported: Path) -> None:
    names = {path.name for path in exported.iterdir()}
    expected = {"config.yaml", "model.safetensors", "outcome.json", "encoding.json"}
    expected |= {"SHA256SUMS", "CARD.md"}
    assert names == expected | {"forgetting_curve.png", "gradient_horizon.png"}
    outcome = json.loads((exported / "outcome.json").read_text())
    card = (exported / "CARD.md").read_text()
    assert f"**at least {outcome['lag']} steps**" in card
    assert outcome["configuration_sha256"] in card
    beyond = [point for point in outcome["forgetting_curve"] if not point["learned"]]
    assert (outcome["extrapolated_lag"] is not None) == bool(beyond) == ("Extrapolated" in card)


def test_loading_gives_the_weights_back(exported: Path) -> None:
    model = trainables.load(exported)
    assert isinstance(model, torch.nn.Module)
    saved = load_file(exported / "model.safetensors")
    assert {k: v.tolist() for k, v in model.state_dict().items()} == {
        k: v.tolist() for k, v in saved.items()
    }


def test_the_claim_is_measured_again(exported: Path) -> None:
    done = in_process("verify", str(exported), "--seed", "5")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "holds" in done.stdout
    found = json.loads(in_process("verify", str(exported), "--seed", "5", "--json").stdout)
    assert f"{found['successes']} of {found['sequences']} fresh" in done.stdout.replace("\n", " ")
    assert (found["holds"], found["seed"], found["remarks"]) == (True, 5, [])


def test_other_kernels_than_it_was_trained_by_are_said(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_by = kernels.describe()
    assert trained_by not in in_process("verify", str(exported), "--seed", "5").stdout
    monkeypatch.setattr(kernels, "describe", lambda: "torch: of another machine")
    done = in_process("verify", str(exported), "--seed", "5")
    assert done.returncode == 0, done.stderr + done.stdout
    assert trained_by in done.stdout.replace("\n", " ")


def test_a_false_claim_is_found_out(exported: Path, tmp_path: Path) -> None:
    """Other weights under the same claim: exit code 1, not 0 and not 2."""
    false = tmp_path / "false"
    shutil.copytree(exported, false)
    weights = load_file(false / "model.safetensors")
    save_file({k: torch.zeros_like(v) for k, v in weights.items()}, false / "model.safetensors")
    (false / "SHA256SUMS").unlink()
    done = in_process("verify", str(false))
    assert done.returncode == 1, done.stderr + done.stdout
    assert "FAILS" in done.stdout


def test_broken_weights_are_refused(exported: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(exported, broken)
    content = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(content[: len(content) // 2])
    done = in_process("verify", str(broken))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "model.safetensors" in done.stderr


def test_an_export_overwrites_nothing(exported: Path, small_search: Path) -> None:
    again = in_process("export", "small", "--to", str(exported.parent), "--runs", str(small_search))
    assert again.returncode == 2
    assert exported.name in again.stderr


def test_the_status_of_a_finished_search(small_search: Path) -> None:
    done = in_process("status", "small", "--runs", str(small_search))
    assert done.returncode == 0, done.stderr
    assert "finished, 14 of 14 trials ended" in done.stdout
