"""A member on rows with several answers: what solves a rung, and what stands beside it."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from tests.trainables.training.stand_ins import (
    CPU,
    KnowingMember,
    attempt,
    ladder,
    no_tick,
    seeded,
    trial_config,
)
from trainables.controls.rivals import Rivals
from trainables.models.promises import BrokenPromiseError
from trainables.randomness import Streams
from trainables.tasks.parquet import Parquet
from trainables.training.member import Member

LAG = 4


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Parquet:
    """The label is the symbol four steps before; asked at step 5, and in half the rows at 7."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 4, (2000, 8))
    labels = np.full(tokens.shape, -100)
    labels[:, 5] = tokens[:, 1]
    labels[::2, 7] = tokens[::2, 3]
    file = tmp_path_factory.mktemp("several") / "f.parquet"
    table = {"x": tokens.tolist(), "y": labels.tolist(), "back": [LAG] * len(tokens)}
    pq.write_table(pa.table(table), file)
    return Parquet(
        Parquet.Config(
            path=file, sequence="x", values="tokens", target="y", ignore=-100, lag="back"
        )
    )


class Recalls(nn.Module):
    """Gives the symbol four steps before; at its second answer only if it knows it all."""

    def __init__(self, knows_all: bool) -> None:
        super().__init__()
        self.knows_all = knows_all

    def forward(self, inputs: Tensor, scored: Tensor) -> Tensor:
        answer = inputs.gather(1, scored - LAG)
        if not self.knows_all:
            answer = torch.where(scored == 7, (answer + 1) % 4, answer)
        return nn.functional.one_hot(answer.long(), 4).float()

    def flops(self, length: int, answers: int) -> float:
        return 1.0


class Peeks(Recalls):
    """Changes its mind at step 5 if the last step is even."""

    def forward(self, inputs: Tensor, scored: Tensor) -> Tensor:
        return super().forward(inputs, scored) * (1 + 0.1 * (inputs[:, -1:, None] % 2))


class Knowing(KnowingMember):
    """A member whose model needs no training."""

    def __init__(self, model: Recalls) -> None:
        super().__init__(lambda _: 1.0, lambda step: 1 / (step + 1))
        self.model: Any = model

    def learn(self, batch: Any) -> tuple[float, int]:
        self.sizes.append(len(batch.inputs))
        return self.loss(len(self.sizes)), len(batch.inputs) if self.model.knows_all else 0


@pytest.mark.parametrize("knows_all", [True, False])
def test_a_rung_asks_for_every_answer_and_counts_each(task: Parquet, knows_all: bool) -> None:
    rivals = functools.cache(lambda lag: Rivals(task, lag, seeded()))
    steps = ladder(success=0.8, test_sequences=400)
    outcome = attempt(Knowing(Recalls(knows_all)), steps, task=task, rivals=rivals).run(no_tick)
    assert outcome.solved == knows_all
    shown = task.split("test").drawable(LAG).rows
    both = (shown % 2 == 0).mean()
    rows = outcome.test_sequences
    assert rows == task.split("test").distinct_sequences(LAG)
    assert outcome.success_rate == pytest.approx(1 if knows_all else 1 - both, abs=0.05)
    assert outcome.answer_rate == pytest.approx(1 if knows_all else 1 / (1 + both), abs=0.02)
    assert outcome.answers == 1
    assert outcome.chance == pytest.approx(0.25, abs=0.06)
    if knows_all:
        assert outcome.control_rate < 0.5


def test_a_rung_is_not_solved_by_looking_ahead(task: Parquet) -> None:
    rivals = functools.cache(lambda lag: Rivals(task, lag, seeded()))
    peeking = Knowing(Peeks(knows_all=True))
    trained = attempt(peeking, ladder(success=0.8, test_sequences=400), task=task, rivals=rivals)
    with pytest.raises(BrokenPromiseError, match=r"up to step \d change with later inputs"):
        trained.run(no_tick)


def test_rivals_take_rows_of_one_answer_as_well(task: Parquet) -> None:
    """However few of a batch's rows have as many as others."""
    rivals = Rivals(task, LAG, seeded())
    odd = np.flatnonzero(task.asked.places.counts == 1)[:5]
    batch = task.split("train").show(odd, LAG, seeded())
    assert batch.targets.shape == (5, 2)
    compared = rivals.compare(iter([(batch, torch.ones(5, dtype=torch.bool))]), seeded())
    assert compared.sequences == 5


def test_what_is_not_asked_is_not_learned_from(task: Parquet) -> None:
    """The gradient is the same whatever stands where a row has one answer only."""
    batch = task.split("train").sample(LAG, 32, seeded())
    member = Member(trial_config("gru"), task, Streams(0, "a" * 64), 0, LAG, CPU)
    predictions = member.model(batch.inputs, batch.scored)
    none = (batch.targets == -1)[..., None]
    assert none.any()
    loss = task.answer.loss(predictions, batch.targets)
    changed = task.answer.loss(predictions.masked_fill(none, 5.0), batch.targets)
    assert torch.equal(loss, changed)
    before, _ = member.learn(batch)
    for _ in range(5):
        after, _ = member.learn(batch)
    assert after < before
