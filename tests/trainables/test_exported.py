"""Exported folders: what loads, what is measured again, and what is refused."""

from __future__ import annotations

import functools
import json
import pickle
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import trainables
from tests.trainables.tasks.labelled import DIGITS
from tests.trainables.training.stand_ins import CPU, seeded, trial_config
from trainables.config import TrialConfig
from trainables.exports import exported
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.reliability import CONFIDENCE
from trainables.models.model import Model, build
from trainables.tasks import TASKS
from trainables.tasks.recall import Recall
from trainables.tasks.task import Task
from trainables.training.climber import weights_file
from trainables.trial import TrialSpec, run_trial

RECALL = Recall.Config(alphabet=2)
CONFIG = trial_config()
LAG = 4


def outcome(**changes: Any) -> dict[str, Any]:
    return {"search": "small", "lag": LAG, "success": 0.8, "task": "recall", **changes}


def write(
    folder: Path,
    model: Model,
    config: TrialConfig = CONFIG,
    task: dict[str, Any] | None = None,
    interface: Task | None = None,
) -> Path:
    """A folder as ``longspan export`` leaves it."""
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / "model.safetensors")
    measured_on = interface or Recall(RECALL)
    content = {
        "configuration": config.model_dump(mode="json"),
        "task": task or RECALL.model_dump(mode="json"),
        "inputs": asdict(measured_on.inputs),
        "answer": asdict(measured_on.answer),
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (folder / "outcome.json").write_text(json.dumps(outcome(), indent=2))
    return folder


@functools.cache
def learned() -> Model:
    """A small model that recalls one of two symbols after four steps."""
    steps = LadderConfig(
        start=LAG, stop=LAG, members=1, quorum=1, success=0.9, sequences=8000, test_sequences=256
    )
    model = build(CONFIG.model, Recall(RECALL), seed=0)
    with tempfile.TemporaryDirectory() as folder:
        spec = TrialSpec(CONFIG, {"recall": RECALL}, steps, seed=0)
        run_trial(spec, Path(folder), lambda metrics, checkpoint: None, CPU)
        model.load_state_dict(load_file(weights_file(Path(folder) / "weights/recall", LAG, 0)))
    return model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "1-trial-00007", learned())


def answers(model: Model, lag: int = 9) -> torch.Tensor:
    batch = Recall(RECALL).sample(lag, 32, seeded(5))
    with torch.no_grad():
        return model(batch.inputs, batch.scored)


# Loading


def test_what_loads_answers_as_what_was_saved(folder: Path) -> None:
    """To the last bit, ready to answer, and at any lag."""
    for path in (folder, str(folder)):
        model = trainables.load(path)
        assert not model.training
        assert torch.equal(answers(model), answers(learned().eval()))


def test_loading_leaves_the_global_generator_alone(folder: Path) -> None:
    state = torch.get_rng_state()
    trainables.load(folder)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_folder_can_be_moved_and_opened_again(folder: Path, tmp_path: Path) -> None:
    moved = shutil.move(folder, tmp_path / "elsewhere")
    assert torch.equal(answers(trainables.load(moved)), answers(learned().eval()))


def digits_folder(folder: Path, path: Path) -> Path:
    task = {"kind": "parquet", "path": str(path), "sequence": "pixels", "target": "label"}
    parquet = TASKS["parquet"]
    here = parquet(parquet.Config.model_validate({**task, "path": str(DIGITS)}))
    return write(folder, build(CONFIG.model, here, seed=3), task=task, interface=here)


def test_a_model_loads_without_its_data(tmp_path: Path) -> None:
    folder = digits_folder(tmp_path / "export", tmp_path / "gone.parquet")
    model = trainables.load(folder)
    assert model(torch.zeros(2, 70, 1), torch.full((2, 1), 69)).shape == (2, 1, 10)


def test_data_that_has_moved_can_be_named(tmp_path: Path) -> None:
    claim = exported.read(digits_folder(tmp_path / "export", tmp_path / "gone.parquet"))
    with pytest.raises(ValueError, match=r"gone\.parquet does not exist"):
        exported.verify(claim, 0)
    assert exported.verify(claim, 0, DIGITS).sequences == 408


def test_data_for_a_task_that_reads_none_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        exported.verify(exported.read(folder), 0, DIGITS)
    assert str(caught.value) == f"data: {DIGITS} is not allowed; recall reads no file"


def test_a_path_is_read_as_parquet_and_nothing_else(tmp_path: Path) -> None:
    """What a stranger's folder points at is not shown, not run, and not changed."""
    secret = tmp_path / "secret.txt"
    secret.write_text("the password is swordfish\n" * 50)
    pickled = tmp_path / "rows.pkl"
    pickled.write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    for number, path in enumerate((secret, pickled, tmp_path)):
        claim = exported.read(digits_folder(tmp_path / str(number), path))
        with pytest.raises(ValueError, match=r".") as caught:
            exported.verify(claim, 0)
        said = str(caught.value)
        assert str(path) in said
        assert "swordfish" not in said
    assert not (tmp_path / "ran").exists()
    assert secret.read_text().startswith("the password")


# Measuring again


def test_the_claim_of_learned_weights_holds(folder: Path) -> None:
    claim = exported.read(folder)
    assert (claim.lag, claim.success) == (LAG, 0.8)
    tally = exported.verify(claim, seed=1)
    assert tally.sequences == exported.VERIFY_SEQUENCES
    assert tally.lower_bound(CONFIDENCE) >= claim.success


def test_a_verification_is_the_same_for_the_same_seed_and_fresh_for_another(folder: Path) -> None:
    """Shown on first weights, right by chance: those learned are right in all there is."""
    first = build(CONFIG.model, Recall(RECALL), seed=9)
    save_file(first.state_dict(), folder / "model.safetensors")
    claim = exported.read(folder)
    tallies = [exported.verify(claim, seed).successes for seed in (1, 1, 2, 3, 4)]
    assert tallies[0] == tallies[1]
    assert len(set(tallies)) > 1


def test_the_claim_of_other_weights_fails(folder: Path) -> None:
    fresh = build(CONFIG.model, Recall(RECALL), seed=9)
    save_file(fresh.state_dict(), folder / "model.safetensors")
    claim = exported.read(folder)
    assert exported.verify(claim, seed=1).lower_bound(CONFIDENCE) < claim.success


# Refusals


class Runs:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (self.path,)


def refusal(folder: Path) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        trainables.load(folder)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("name", ["config.yaml", "outcome.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    said = refusal(folder)
    assert said.startswith(f"{folder / name}: ")
    assert "o such file" in said


@pytest.mark.parametrize("name", ["config.yaml", "outcome.json", "model.safetensors"])
def test_a_folder_in_place_of_a_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    assert refusal(folder).startswith(f"{folder / name}: ")


def test_a_folder_that_is_none_is_named(folder: Path) -> None:
    assert refusal(folder / "config.yaml").startswith(f"{folder / 'config.yaml' / 'config.yaml'}: ")
    assert refusal(folder / "no").startswith(f"{folder / 'no' / 'config.yaml'}: no such file")


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def emptied(content: bytes) -> bytes:
    return b""


def not_text(content: bytes) -> bytes:
    return b"\xff\xfe\x00" + content


def a_pickle(content: bytes) -> bytes:
    return pickle.dumps({"weights": [1.0, 2.0]})


def a_torch_file(content: bytes) -> bytes:
    with tempfile.NamedTemporaryFile() as file:
        torch.save({"weights": torch.ones(2)}, file.name)
        return Path(file.name).read_bytes()


def with_a_huge_head(content: bytes) -> bytes:
    return b"\xff" * 8 + content[8:]


@pytest.mark.parametrize("name", ["config.yaml", "outcome.json", "model.safetensors"])
@pytest.mark.parametrize("spoil", [emptied, not_text, a_pickle, a_torch_file])
def test_a_file_of_something_else_is_named(
    folder: Path, name: str, spoil: Callable[[bytes], bytes]
) -> None:
    file = folder / name
    file.write_bytes(spoil(file.read_bytes()))
    assert refusal(folder).startswith(f"{file}: ")


@pytest.mark.parametrize("spoil", [truncated, with_a_huge_head])
def test_torn_weights_are_named(folder: Path, spoil: Callable[[bytes], bytes]) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(spoil(file.read_bytes()))
    assert refusal(folder).startswith(f"{file}: these weights are damaged: ")


@pytest.mark.parametrize(
    "other",
    [
        trial_config(hidden_size=16),
        trial_config("lstm"),
        trial_config(depth=2),
        trial_config("rnn"),
    ],
)
def test_weights_of_another_configuration_are_refused(folder: Path, other: TrialConfig) -> None:
    save_file(build(other.model, Recall(RECALL), 0).state_dict(), folder / "model.safetensors")
    said = refusal(folder)
    assert said.startswith(f"{folder / 'model.safetensors'}: not this configuration's weights: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("configuration: [", "not YAML: "),
        ("a: b: c", "not YAML: "),
        ("!!python/object/apply:os.system ['true']", "not YAML: "),
        ("day: 2026-13-45", "not YAML: "),
        ("[" * 500, "not YAML: "),
        ("", "None is not allowed"),
        ("[1, 2]", "[1, 2] is not allowed"),
        ("task: recall", "configuration: this key is required"),
        ("configuration: {model: {cell: gru}}", "task: this key is required"),
        ("{configuration: {model: {cell: gru}}, task: recal}", "task: kind: 'recal' is not known"),
        ("{configuration: {model: {cell: gur}}, task: recall}", "configuration.model.cell: kind: "),
        (
            "{configuration: {model: {cell: gru}}, task: recall, inputs: {vocabulary: 4}, "
            "answer: {classes: 2}, x: 1}",
            "x: this key is not known",
        ),
        (
            "{configuration: {model: {cell: gru}}, task: recall, inputs: {vocabulary: 4}, "
            "answer: {classes: 2, x: 1}}",
            "answer",
        ),
        (
            "{configuration: {model: {cell: gru}}, task: parquet}",
            "task: path: this key is required",
        ),
        (
            "{configuration: {model: {cell: gru}}, task: recall, answer: {classes: 2}}",
            "inputs: this key is required",
        ),
        (
            "{configuration: {model: {cell: gru}}, task: recall, answer: {classes: 2}, "
            "inputs: {vocabulary: none}}",
            "inputs",
        ),
    ],
)
def test_a_configuration_that_is_none_is_named(folder: Path, text: str, reason: str) -> None:
    file = folder / "config.yaml"
    file.write_text(text)
    assert refusal(folder).startswith(f"{file}: {reason}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "not JSON: "),
        ("[" * 100_000, "not JSON: "),
        ("[]", "lag: None is not allowed"),
        ("null", "lag: None is not allowed"),
        ('{"lag": 8}', "success: None is not allowed"),
        ('{"lag": true, "success": 0.9}', "lag: True is not allowed"),
        ('{"lag": 8.0, "success": 0.9}', "lag: 8.0 is not allowed"),
        ('{"lag": 0, "success": 0.9}', "lag: 0 is not allowed"),
        ('{"lag": 8, "success": "0.9"}', "success: '0.9' is not allowed"),
        ('{"lag": 8, "success": NaN}', "success: nan is not allowed"),
        ('{"lag": 8, "success": 0.0}', "success: 0.0 is not allowed"),
        ('{"lag": 8, "success": 1}', "success: 1 is not allowed"),
    ],
)
def test_an_outcome_that_claims_nothing_is_named(folder: Path, content: str, reason: str) -> None:
    file = folder / "outcome.json"
    file.write_text(content)
    assert refusal(folder).startswith(f"{file}: {reason}")
