"""What is tested where memory is short: in pieces, with the same answers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainables.training.stand_ins import (
    CPU,
    attempt,
    ladder,
    recall,
    seeded,
    trial_config,
)
from trainables.measure.records import CurvePoint, HorizonPoint
from trainables.models import room
from trainables.models.model import Carried, Model, build
from trainables.models.room import SHORTEST, Room
from trainables.randomness import Streams
from trainables.training.held_out.curve import forgetting_curve
from trainables.training.held_out.evaluation import each_shown, evaluate
from trainables.training.horizon import gradient_horizon
from trainables.training.member import Member

STREAMS = Streams(0, "0" * 64)
LAG = 200
SHORT = 1.0
"""Of memory, in bytes: nothing longer than the shortest segment fits."""


@pytest.fixture
def lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of what a model was given at a time."""
    seen: list[int] = []
    scan, hidden = Model.scan, Model.hidden

    def scanned(self: Model, embedded: Tensor, carried: Carried) -> tuple[Tensor, Carried]:
        seen.append(embedded.shape[1])
        return scan(self, embedded, carried)

    def whole(self: Model, embedded: Tensor) -> Tensor:
        seen.append(embedded.shape[1])
        return hidden(self, embedded)

    monkeypatch.setattr(Model, "scan", scanned)
    monkeypatch.setattr(Model, "hidden", whole)
    return seen


def counting(seen: list[int]) -> list[int]:
    """Without the two stretches on which a room counts what a step takes."""
    return [steps for steps in seen if steps not in (128, 256)]


def model(cell: str, **parts: Any) -> Model:
    return build(trial_config(cell, **parts).model, recall(), seed=0)


@pytest.mark.parametrize("cell", ["lstm", "transformer"])
def test_however_much_memory_no_more_than_so_much_is_tested_at_a_time(
    cell: str, lengths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond 1,000 sequences times steps, where nothing is learned; what attends is never cut."""
    monkeypatch.setattr(room, "UNLEARNED", 1000)
    monkeypatch.setattr(room, "OF_THOSE", 300)
    tried, batch = model(cell), recall().sample(LAG, 4, seeded())
    asked = Room(tried, math.inf)
    with torch.no_grad():
        first = asked.answers(batch.inputs, batch.scored)
        assert set(lengths) == {LAG + 1}
        longer = recall().sample(300, 4, seeded())
        lengths.clear()
        cut = asked.answers(longer.inputs, longer.scored)
    assert max(lengths) == (301 if cell == "transformer" else 75)
    lengths.clear()
    whole = asked.answers(longer.inputs, longer.scored)
    assert set(lengths) == {301}
    torch.testing.assert_close(cut, whole)
    assert len(first) == 4


@pytest.mark.parametrize("cell", ["lstm", "lru", "min_gru"])
@pytest.mark.parametrize("readout", ["last", "attention"])
def test_answers_are_those_of_the_whole(cell: str, readout: str, lengths: list[int]) -> None:
    """Tallies and answers are the same, and no more than a segment is computed at a time."""
    tried = model(cell, readout=readout)
    whole = evaluate(tried, recall(), LAG, 300, seeded(), CPU)
    assert max(lengths) == LAG + 1
    lengths.clear()
    assert evaluate(tried, recall(), LAG, 300, seeded(), CPU, SHORT) == whole
    assert max(counting(lengths)) == SHORTEST
    for mixed in (False, True):
        shown = [
            [right for _, right in each_shown(tried, recall(), LAG, 99, seeded(), CPU, mixed, m)]
            for m in (math.inf, SHORT)
        ]
        assert all(torch.equal(*pair) for pair in zip(*shown, strict=True))


def test_attention_keeps_its_past_and_is_read_whole(lengths: list[int]) -> None:
    evaluate(model("transformer"), recall(), LAG, 10, seeded(), CPU, SHORT)
    assert min(lengths) == LAG + 1


def test_a_member_short_of_memory_is_tested_so(lengths: list[int]) -> None:
    """Its training, its looks and the comparison with the controls."""
    member = Member(trial_config("gru"), recall(), STREAMS, 0, LAG, CPU, SHORT)
    measured = attempt(
        member, ladder(stop=256, sequences=32, test_sequences=64, success=0.01), lag=LAG
    ).run(lambda training: None)
    assert measured.test_sequences == 64
    assert max(counting(lengths)) == SHORTEST


def curve(memory: float) -> list[CurvePoint]:
    found = forgetting_curve(
        model("lru"), "recall", recall(), [LAG], STREAMS, math.inf, CPU, memory
    )
    return list(found)


def test_so_is_a_forgetting_curve(lengths: list[int]) -> None:
    whole = curve(math.inf)
    lengths.clear()
    assert curve(SHORT) == whole
    assert max(counting(lengths)) == SHORTEST


@pytest.mark.parametrize("cell", ["lstm", "transformer"])
def test_a_horizon_that_would_not_fit_is_left_out(cell: str) -> None:
    """It is a gradient in every input, and would be ended with the whole worker."""

    def horizon(memory: float) -> list[HorizonPoint]:
        tried, task = model(cell), recall()
        return list(gradient_horizon(tried, "recall", task, LAG, "end", seeded(), CPU, memory))

    assert horizon(SHORT) == []
    assert len(horizon(2.0**40)) > 4
