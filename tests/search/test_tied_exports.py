"""Exports of models whose read-out is the table of symbols: it travels once, and is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import trainables
from tests.search.conftest import in_process
from tests.search.written_down import written_down
from trainables.models.config import ModelConfig
from trainables.models.model import build
from trainables.tasks.recall import Recall

PARTS: dict[str, Any] = {
    "cell": {"kind": "self_attention", "num_heads": 1},
    "front_end": {"kind": "none", "mapped": False},
    "readout": {"kind": "last", "tied": True},
    "first_weights": {"kind": "normal"},
}


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The best of a search of such models, exported by the command."""
    runs, to = written_down(tmp_path / "runs", **PARTS).runs, tmp_path / "best"
    done = in_process("export", "made", "--top", "1", "--to", str(to), "--runs", str(runs))
    assert done.returncode == 0, done.stderr
    (folder,) = to.iterdir()
    return folder


def test_it_answers_as_the_model_that_was_measured(exported: Path) -> None:
    """On inputs, and on rows by name; what each class is as a symbol stands in the folder."""
    content = yaml.safe_load((exported / "config.yaml").read_text())
    task = Recall(Recall.Config())
    assert content["class_symbols"] == list(range(1, task.answer.outputs + 1))
    model = trainables.load(exported)
    config = ModelConfig.model_validate(content["configuration"]["model"])
    assert config.readout.tied
    measured = build(config, task, seed=1).eval()
    batch = task.sample(9, 16, torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = measured(batch.inputs, batch.scored)
        assert torch.equal(model(batch.inputs, batch.scored), expected)
    names = task.symbol_names
    rows = [[names[symbol] for symbol in row] for row in batch.inputs.tolist()]
    answers = [task.class_names[best] for best in expected[:, 0].argmax(-1).tolist()]
    assert model.predict(rows).tolist() == answers


def test_a_folder_that_does_not_say_which_symbols_is_refused(exported: Path) -> None:
    file = exported / "config.yaml"
    content = yaml.safe_load(file.read_text())
    del content["class_symbols"]
    file.write_text(yaml.safe_dump(content))
    (exported / "SHA256SUMS").unlink()
    with pytest.raises(ValueError, match="the task's answers are not symbols of its inputs") as no:
        trainables.load(exported)
    assert str(no.value).startswith(f"{file}: no such model can be built: ")
    assert len(str(no.value).splitlines()) == 1
