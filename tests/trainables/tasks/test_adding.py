"""How far off a sum may be: as in 1997, or as the task's configuration says."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from trainables.tasks.adding import Adding
from trainables.tasks.task import Batch


def adding(**config: Any) -> Adding:
    return Adding(Adding.Config.model_validate(config))


def off_by(task: Adding, error: float) -> bool:
    """Whether answers that are off by ``error`` are right."""
    batch = task.sample(10, 4, torch.Generator().manual_seed(0))
    outputs = (batch.targets + error - task.answer.offset) / task.answer.scale
    right = task.judge(outputs[..., None], Batch(batch.inputs, batch.targets, batch.scored))
    assert right.all() == right.any()
    return bool(right.all())


@pytest.mark.parametrize("variant", ["halves", "early", "classic"])
def test_an_answer_may_be_off_by_the_tolerance(variant: str) -> None:
    assert off_by(adding(variant=variant), 0.039)
    assert not off_by(adding(variant=variant), 0.041)
    assert off_by(adding(variant=variant, tolerance=0.08), -0.079)
    assert not off_by(adding(variant=variant, tolerance=0.08), -0.081)


def test_a_task_without_it_is_the_one_that_was_recorded() -> None:
    """Its streams go by what is written of it."""
    assert adding(tolerance=0.04).config.identity == {"kind": "adding", "variant": "halves"}
    assert adding(tolerance=0.08).config.identity["tolerance"] == 0.08
    with pytest.raises(ValueError, match="tolerance"):
        adding(tolerance=0)
