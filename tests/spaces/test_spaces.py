"""The contract of every space in the table."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings

import pytest
import torch

from search.scheduler import draw
from spaces import SPACES
from trainables.models.model import build
from trainables.tasks import TASKS

LAG = 64
DRAWS = 200


@pytest.mark.parametrize("name", SPACES)
def test_every_draw_builds_and_answers(name: str) -> None:
    """200 draws decode, build, run forward and backward, and each choice is drawn."""
    recall = TASKS["recall"]
    task = recall(recall.Config())
    drawn = draw(SPACES[name], DRAWS)
    for number, config in enumerate(drawn):
        model = build(config.model, task, seed=number)
        batch = task.sample(LAG, 2, torch.Generator().manual_seed(number))
        answers = model(batch.inputs, batch.scored)
        assert answers.isfinite().all(), config
        task.answer.loss(answers, batch.targets).backward()
    for part in ("cell", "front_end", "readout"):
        kinds = {getattr(config.model, part).kind for config in drawn}
        assert len(kinds) > 1, part


@pytest.mark.parametrize("name", SPACES)
def test_spaces_are_picklable(name: str) -> None:
    """A lambda or closure could not be sent or resumed."""
    assert pickle.loads(pickle.dumps(SPACES[name])) is SPACES[name]


@pytest.mark.parametrize("name", SPACES)
def test_a_fresh_process_draws_the_same(name: str) -> None:
    code = (
        "from search.scheduler import draw; from spaces import SPACES;"
        f"print([c.digest for c in draw(SPACES[{name!r}], 5)])"
    )
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert fresh.stdout.strip() == str([c.digest for c in draw(SPACES[name], 5)])


def test_building_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(SPACES["first"], 3)
