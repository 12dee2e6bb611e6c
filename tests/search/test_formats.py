"""The best exported for other runtimes by the command; run where Longspan is not."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import trainables
from tests.search.conftest import in_process
from tests.search.searched import searched
from trainables.files import sums

ROOT = Path(__file__).parents[2]
SPEC = """\
name: graphs
space: quick
tasks: [{kind: recall, alphabet: 2}]
ladder:
  {start: 4, stop: 4, members: 1, quorum: 1, success: 0.55, sequences: 12000, test_sequences: 128}
search: {trials: 1, sampler: random, scheduler: none}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    (folder / "spec.yaml").write_text(SPEC)
    searched(folder / "spec.yaml", folder / "runs")
    return folder / "runs"


def export(runs: Path, to: Path, *formats: str) -> tuple[int, str]:
    options = [option for name in formats for option in ("--format", name)]
    done = in_process("export", "graphs", "--to", str(to), "--runs", str(runs), *options)
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def exported(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("best") / "to"
    assert export(runs, to, "torch", "onnx", "onnx") == (0, "")
    (folder,) = to.iterdir()
    return folder


def test_the_files_are_summed_and_stand_on_the_card(exported: Path) -> None:
    assert sums.check(exported, ["model.pt2", "model.onnx"])
    outcome = json.loads((exported / "outcome.json").read_text())
    card = (exported / "CARD.md").read_text()
    assert list(outcome["formats"]) == ["torch", "onnx"]
    for record in outcome["formats"].values():
        assert record["largest_difference"] <= record["tolerance"] == 1e-4
        assert (record["batch_sizes"], record["steps"]) == ([1, 3], [7, 14])
        assert f"| `{record['file']}` | {record['largest_difference']:.1e} | 0.0001 |" in card
    assert "int64 (B, T), symbols" in card


def test_the_program_answers_as_the_model(exported: Path) -> None:
    model = trainables.load(exported)
    inputs, scored = torch.randint(3, (4, 30)), torch.tensor([[29], [3], [7], [0]])
    program = torch.export.load(exported / "model.pt2").module()
    with torch.no_grad():
        torch.testing.assert_close(program(inputs, scored), model(inputs, scored))


def test_raw_rows_are_answered_without_longspan_and_torch(exported: Path, tmp_path: Path) -> None:
    """By the reader of the documents, where both cannot be imported."""
    model = trainables.load(exported)
    names = model.encoding.steps.names
    rng = np.random.default_rng(0)
    rows = [[names[n] for n in rng.integers(0, len(names), steps)] for steps in (3, 5, 5, 40)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    absent = "".join(
        f"sys.modules[{name!r}] = None; " for name in ("torch", "trainables", "search", "longspan")
    )
    reader = str(ROOT / "examples" / "read_onnx.py")
    arguments = [reader, str(exported), str(tmp_path / "rows.json")]
    code = f"import runpy, sys; {absent} sys.argv = {arguments}"
    code += f"; runpy.run_path({reader!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == model.predict(rows).tolist()


def refused(runs: Path, to: Path, *formats: str) -> str:
    code, said = export(runs, to, *formats)
    assert code == 2
    assert len(said.strip().splitlines()) == 1
    assert not to.exists()
    return said


def test_what_cannot_be_is_refused_before_anything_is_written(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / "to"
    assert "--format: 'tflite' is not allowed; allowed: torch, onnx" in refused(runs, to, "tflite")
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name)
    )
    said = refused(runs, to, "torch", "onnx")
    assert (
        "--format onnx: needs onnxruntime, not installed here: pip install 'longspan[onnx]'" in said
    )
    monkeypatch.undo()
    monkeypatch.setattr("trainables.exports.formats.checked.TOLERANCE", 0.0)
    said = refused(runs, to, "torch")
    assert "--format: trial 0: torch cannot hold this model: its answers are off by" in said


def test_damaged_weights_are_found_first(runs: Path, tmp_path: Path) -> None:
    (source,) = (runs / "graphs").glob("**/weights/recall/*.safetensors")
    whole = source.read_bytes()
    source.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    try:
        said = refused(runs, tmp_path / "to", "torch")
    finally:
        source.write_bytes(whole)
    assert f"{source}: " in said
    assert "nothing is exported" in said
