"""Evaluation counts whole sequences, in bounded memory, and shows a row at most once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.trainables.tasks.labelled import task_of, write
from tests.trainables.training.stand_ins import CPU, KnowingModel, as_model, recall, seeded
from trainables.measure.reliability import lower_bound, upper_bound
from trainables.tasks.copying import Copying
from trainables.tasks.flip_flop import FlipFlop
from trainables.training.held_out.evaluation import STEPS_AT_ONCE, Tally, evaluate


class CopiesButTheZeros(nn.Module):
    """Right in every answer but for the symbol 0, which it takes for 1."""

    def forward(self, inputs: Tensor, scored: Tensor) -> Tensor:
        symbols = (inputs[:, :3] - 2).clamp(min=1)
        return nn.functional.one_hot(symbols.long(), 4).float()


def test_one_wrong_answer_of_several_is_no_success() -> None:
    """Of 64 sequences of three symbols out of four, those that hold no 0 are right."""
    task = Copying(Copying.Config(symbols=3, alphabet=4))
    tally = evaluate(as_model(CopiesButTheZeros()), task, 4, 400, seeded(), CPU)
    generator, without_zero = seeded(), 0
    for size in (256, 144):
        targets = task.sample(4, size, generator).targets
        without_zero += sum(0 not in row for row in targets.tolist())
    assert (tally.successes, tally.sequences) == (without_zero, 400)
    assert tally.answers == 1200
    assert tally.answers_right / 1200 == pytest.approx(3 / 4, abs=0.04)
    assert tally.answers_guessed / 1200 == pytest.approx(1 / 4, abs=0.04)
    assert 0.3 < tally.rate < 0.55  # (3/4)**3 = 0.42; of single answers, 0.75 are right


class AnswersZero(nn.Module):
    """Says class 0 wherever it is asked."""

    def forward(self, inputs: Tensor, scored: Tensor) -> Tensor:
        return nn.functional.one_hot(torch.zeros_like(scored), 2).float()


def test_only_what_is_asked_is_counted() -> None:
    """A row of a paper's flip-flop asks at its reads alone; of those, half are the bit 0."""
    task = FlipFlop(FlipFlop.Config(protocol="paper"))
    tally = evaluate(as_model(AnswersZero()), task, 8, 256, seeded(), CPU)
    targets = task.sample(8, 256, seeded()).targets
    assert tally.answers == int((targets >= 0).sum()) < targets.numel()
    assert tally.answers_right == int((targets == 0).sum())


@pytest.mark.parametrize("lag", [4, 2000, 20_000, 2**18 + 5])
def test_no_batch_is_larger_than_its_bound(lag: int) -> None:
    """The number of sequences is the same whatever their length; a batch holds at least one."""
    sequences = 300 if lag < 20_000 else 17 if lag == 20_000 else 2
    model = KnowingModel()
    assert evaluate(as_model(model), recall(), lag, sequences, seeded(), CPU).sequences == sequences
    assert sum(batch for batch, _ in model.shapes) == sequences
    assert all(batch <= 256 for batch, _ in model.shapes)
    assert all(batch == 1 or batch * steps <= STEPS_AT_ONCE for batch, steps in model.shapes)


def test_a_finite_split_is_shown_at_most_once(tmp_path: Path) -> None:
    rows = [[float(row), 0.0] for row in range(300)]
    file = write(tmp_path / "rows.parquet", rows, [row % 2 for row in range(300)])
    test = task_of(file).split("test")

    class Looks(nn.Module):
        seen: list[float] = []

        def forward(self, inputs: Tensor, scored: Tensor) -> Tensor:
            self.seen += inputs[:, 0, 0].tolist()
            return torch.zeros(len(inputs), 1, 2)

    held_out = test.distinct_sequences(1)
    assert 20 < held_out < 120
    tally = evaluate(as_model(Looks()), test, 4, 10_000, seeded(), CPU)
    assert tally.sequences == held_out == len(set(Looks.seen)) == len(Looks.seen)
    Looks.seen.clear()
    assert evaluate(as_model(Looks()), test, 4, 10, seeded(), CPU).sequences == 10
    assert len(set(Looks.seen)) == 10


def test_the_same_generator_gives_the_same_tally() -> None:
    tallies = [
        evaluate(as_model(KnowingModel(success=0.5)), recall(), 4, 100, seeded(7), CPU)
        for _ in range(2)
    ]
    assert tallies[0] == tallies[1]
    assert 30 < tallies[0].successes < 70


def test_layers_that_behave_otherwise_in_training_are_told() -> None:
    """And find themselves in training again afterwards, if they were."""
    model = KnowingModel()
    evaluate(as_model(model), recall(), 4, 10, seeded(), CPU)
    assert model.was_training == [False]
    assert model.training
    evaluate(as_model(model.eval()), recall(), 4, 10, seeded(), CPU)
    assert not model.training


def test_no_graph_is_kept() -> None:
    class Linear(nn.Linear):
        def forward(self, inputs: Tensor, scored: Tensor | None = None) -> Tensor:
            answer = super().forward(inputs[:, :1, None].float())
            assert not answer.requires_grad
            return answer

    evaluate(as_model(Linear(1, 4)), recall(), 4, 10, seeded(), CPU)


def test_rates_and_bounds_of_a_tally() -> None:
    assert Tally(0, 0).rate == 0
    assert Tally(3, 4).rate == 0.75
    assert Tally(90, 100).lower_bound(0.95) == lower_bound(90, 100, 0.95)
    assert Tally(90, 100).upper_bound(0.95) == upper_bound(90, 100, 0.95)
