"""An export from a stranger: refused in one line before it costs more than its weights."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import trainables
from tests.trainables.test_exported import CONFIG, RECALL, write
from trainables.exports import exported
from trainables.files import sums
from trainables.models.model import build
from trainables.tasks.recall import Recall

FILES = (exported.CONFIG, exported.WEIGHTS, exported.OUTCOME)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "export", build(CONFIG.model, Recall(RECALL), seed=0))


def refusal(folder: Path) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        trainables.load(folder)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("name", [*FILES, sums.NAME])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_waited_for(folder: Path, name: str, make: Any) -> None:
    sums.write(folder, FILES)
    (folder / name).unlink()
    make(folder / name)
    said = refusal(folder)
    assert str(folder / name) in said
    assert "it is no file, but a folder, pipe or device" in said


@pytest.mark.parametrize("name", [exported.CONFIG, exported.OUTCOME, sums.NAME])
def test_a_file_of_gigabytes_is_not_read(folder: Path, name: str) -> None:
    with (folder / name).open("ab") as file:
        file.truncate(2**34)  # takes no place on the disk
    assert f"{folder / name}: larger than the" in refusal(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a0: &a0 [0, 0]\n"
            + "".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}]\n" for n in range(1, 30)),
            "more than 100,000 values once its aliases are followed",
        ),
        ("a: &a [*a]\n", "more than 100,000 values"),
        ("[" * 9000, "not YAML"),
    ],
)  # fmt: skip
def test_yaml_that_blows_up_is_bounded(folder: Path, text: str, said: str) -> None:
    (folder / exported.CONFIG).write_text(text)
    assert said in refusal(folder)


def edit(folder: Path, name: str, **changes: Any) -> None:
    file = folder / name
    content = yaml.safe_load(file.read_text())
    for place, value in changes.items():
        *path, key = place.split("__")
        node = content
        for step in path:
            node = node[step]
        node[key] = value
    file.write_text(yaml.safe_dump(content) if name == exported.CONFIG else json.dumps(content))


def test_the_weights_head_is_compared_before_a_model_is_built(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand gigabytes, by the configuration."""
    edit(folder, exported.CONFIG, configuration__model__hidden_size=16_384,
         configuration__model__depth=256)  # fmt: skip
    monkeypatch.setattr(exported, "Predictor", None)  # would be called to build it
    said = refusal(folder)
    assert said.startswith(f"{folder / exported.WEIGHTS}: not this configuration's weights: ")


@pytest.mark.parametrize("vocabulary", [10**18, -5, 2**70])
def test_sizes_that_nothing_has_are_one_line(folder: Path, vocabulary: int) -> None:
    edit(folder, exported.CONFIG, inputs__vocabulary=vocabulary)
    assert str(folder) in refusal(folder)


def test_weights_of_another_type_are_not_taken_as_these(folder: Path) -> None:
    file = folder / exported.WEIGHTS
    tensors = load_file(file)
    name = min(tensors)
    save_file({**tensors, name: tensors[name].to(torch.int8)}, file)
    assert f"{name} is I8" in refusal(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [("lag", 2**40), ("lag", 10**30), ("success", 1 - 1e-15), ("encoding_sha256", [1]),
     ("search", {})],
)  # fmt: skip
def test_a_claim_past_sense_is_refused(folder: Path, key: str, value: Any) -> None:
    edit(folder, exported.OUTCOME, **{key: value})
    assert refusal(folder).startswith(f"{folder / exported.OUTCOME}: {key}: ")


def test_a_task_that_is_not_the_models_is_refused(folder: Path) -> None:
    edit(folder, exported.CONFIG, task__alphabet=5)
    with pytest.raises(ValueError, match=r"task: .* the model takes") as caught:
        exported.verify(exported.read(folder), 0)
    assert len(str(caught.value).splitlines()) == 1


def test_an_encoding_that_is_not_the_models_is_refused(folder: Path) -> None:
    encoding = Recall(Recall.Config(alphabet=5)).encoding
    (folder / exported.ENCODING).write_text(encoding.model_dump_json())
    edit(folder, exported.OUTCOME, encoding_sha256=encoding.digest)
    assert "encoding.json: it gives Symbols(vocabulary=" in refusal(folder)


def test_an_address_is_opened_when_it_is_given_and_not_on_a_folders_word(folder: Path) -> None:
    task = {"kind": "parquet", "path": "s3://theirs/x.parquet", "sequence": "x", "target": "y"}
    edit(folder, exported.CONFIG, task=task)
    claim = exported.read(folder)
    with pytest.raises(ValueError, match=r"s3://theirs/x\.parquet, .* give it as --data ADDRESS"):
        claim.task_config()
    assert claim.task_config("s3://mine/x.parquet").files == "s3://mine/x.parquet"
