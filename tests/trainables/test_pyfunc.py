"""MLflow's loader protocol over an exported folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.test_exported import CONFIG, RECALL, write
from tests.trainables.training.stand_ins import seeded
from trainables.exports.pyfunc import Answering, _load_pyfunc
from trainables.models.model import build
from trainables.tasks import TASKS
from trainables.tasks.recall import Recall


@pytest.fixture
def answering(tmp_path: Path) -> Answering:
    return _load_pyfunc(str(write(tmp_path / "export", build(CONFIG.model, Recall(RECALL), 1))))


def test_steps_are_counted_from_either_end(answering: Answering) -> None:
    inputs = {"inputs": Recall(RECALL).sample(5, 3, seeded(0)).inputs.numpy()}
    length = inputs["inputs"].shape[1]
    last = answering.predict(inputs)["answers"]
    assert last.shape == (3, 1, RECALL.alphabet)
    both = answering.predict(inputs, {"scored": [0, length - 1, -length]})["answers"]
    np.testing.assert_array_equal(both[:, 1], last[:, 0])
    np.testing.assert_array_equal(both[:, 0], both[:, 2])


@pytest.mark.parametrize("step", [6, -7])
def test_a_step_outside_is_refused(answering: Answering, step: int) -> None:
    with pytest.raises(ValueError, match=rf"scored: \[{step}\] is not allowed; .* 6 steps"):
        answering.predict({"inputs": np.zeros((1, 6), np.int64)}, {"scored": [step]})


@pytest.mark.parametrize("rows", [[[1, 2]], {"sequence": [[1, 2]]}, np.zeros((1, 2))])
def test_raw_rows_are_told_what_lacks(answering: Answering, rows: Any) -> None:
    """In one line: of a folder of the version before, which keeps no encoding."""
    with pytest.raises(ValueError, match="rows: this export is of a version that kept no") as told:
        answering.predict(rows)
    assert "\n" not in str(told.value)


def test_numbers_come_in_the_targets_units(tmp_path: Path) -> None:
    adding = TASKS["adding"](TASKS["adding"].Config())
    model = build(CONFIG.model, adding, 1)
    task = adding.config.model_dump(mode="json")
    answers = _load_pyfunc(str(write(tmp_path / "e", model, task=task, interface=adding)))
    batch = adding.sample(8, 4, seeded(0))
    with torch.inference_mode():
        expected = adding.answer.value(model.eval()(batch.inputs, batch.scored))
    length = batch.inputs.shape[1]
    steps = [int(step) - length for step in batch.scored[0]]
    given = answers.predict({"inputs": batch.inputs.numpy()}, {"scored": steps})["answers"]
    np.testing.assert_array_equal(given, expected.numpy())
