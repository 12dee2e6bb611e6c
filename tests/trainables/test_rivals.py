"""A rung is about memory: whoever does no better than the task's controls does not solve it."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from tests.trainables.training.stand_ins import (
    LAG,
    KnowingMember,
    attempt,
    knowing,
    ladder,
    no_tick,
    seeded,
)
from trainables.controls.measuring import measure
from trainables.controls.rivals import Rivals
from trainables.measure.records import MemberRung
from trainables.measure.reliability import better_than
from trainables.tasks.recall import Recall
from trainables.tasks.task import Batch
from trainables.training.member import Member


class Skewed(Recall):
    """Recall of cues that come with the given shares; its last input may say the cue as well."""

    def __init__(self, shares: tuple[float, ...], told: bool = False) -> None:
        super().__init__(Recall.Config(alphabet=len(shares)))
        self.shares, self.told = torch.tensor(shares), told

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        batch = super().sample(lag, batch_size, generator)
        cues = torch.multinomial(self.shares, batch_size, replacement=True, generator=generator)
        batch.inputs[:, 0] = 1 + cues
        if self.told:
            batch.inputs[:, -1] = batch.inputs[:, 0]
        return Batch(batch.inputs, cues[:, None], batch.scored)


class Guessing(nn.Module):
    """Answers by ``guess``, from inputs (B, T) to classes (B,), whatever it is trained on."""

    longest = None

    def __init__(self, classes: int, guess: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.classes, self.guess = classes, guess

    def forward(self, inputs: Tensor, scored: Tensor) -> Tensor:
        return nn.functional.one_hot(self.guess(inputs)[:, None], self.classes).float()

    def flops(self, length: int, answers: int) -> float:
        return 1.0


def climbed(task: Skewed, guess: Callable[[Tensor], Tensor], seed: int = 0) -> MemberRung:
    """How the rung ends for a member that answers so."""
    member = knowing(1.0)
    guessing = Guessing(task.alphabet, guess)
    member.model = guessing  # type: ignore[assignment]  # a stand-in

    def learn(batch: Batch) -> tuple[float, int]:
        right = guessing(batch.inputs, batch.scored).argmax(-1) == batch.targets
        return 1.0, int(right.sum())

    member.learn = learn  # type: ignore[method-assign]  # a stand-in
    rivals = {LAG: Rivals(task, LAG, seeded(seed))}
    steps = ladder(success=0.7, test_sequences=256, stall=None)
    options = {"task": task, "rivals": rivals.__getitem__}
    return attempt(cast(KnowingMember | Member, member), steps, seed, **options).run(no_tick)


def first(inputs: Tensor) -> Tensor:
    return inputs[:, 0].long() - 1


def last(inputs: Tensor) -> Tensor:
    return inputs[:, -1].long() - 1


def majority(inputs: Tensor) -> Tensor:
    return torch.zeros(len(inputs), dtype=torch.long)


@pytest.mark.parametrize("shares", [(0.915, 0.085), (0.9, 0.06, 0.04)], ids=len)
def test_a_majority_is_no_memory(shares: tuple[float, ...]) -> None:
    """Its success rate alone would pass; one that remembers does pass, on the same task."""
    task = Skewed(shares)
    guessed = climbed(task, majority)
    assert guessed.ended_by == "budget"
    assert guessed.lower_bound >= 0.7
    assert guessed.control == "constant"
    assert guessed.control_rate == guessed.success_rate
    remembered = climbed(task, first)
    assert (remembered.ended_by, remembered.success_rate) == ("solved", 1.0)
    assert remembered.control_rate == pytest.approx(shares[0], abs=0.06)


def test_guessers_of_every_luck_pass_nothing() -> None:
    """Two in a hundred answers at random: better than the majority now and then, by luck."""
    task = Skewed((0.915, 0.085))
    random = seeded(5)

    def noisy(inputs: Tensor) -> Tensor:
        return (torch.rand(len(inputs), generator=random) < 0.02).long()

    assert not any(climbed(task, noisy, seed).solved for seed in range(40))


def test_the_last_input_is_no_memory() -> None:
    task = Skewed((0.25, 0.25, 0.25, 0.25), told=True)
    found = climbed(task, last)
    assert (found.ended_by, found.success_rate) == ("budget", 1.0)
    assert found.control in ("last input", "blinded")


def test_a_member_that_is_right_by_its_place_is_found_out() -> None:
    """It is shown the sequences again, in another order: what it knew was the order."""
    task = Skewed((0.5, 0.5))
    answers: list[Tensor] = []

    def by_place(inputs: Tensor) -> Tensor:
        if len(inputs) == 256 and not answers:
            answers.append(first(inputs))
        return answers[0][: len(inputs)] if answers and len(inputs) == 256 else first(inputs)

    assert not climbed(task, by_place).solved


def test_better_is_the_exact_paired_test() -> None:
    for won, lost in [(0, 0), (4, 0), (5, 0), (8, 1), (30, 18), (31, 17), (60, 40), (62, 38)]:
        exact = won + lost > 0 and binomtest(won, won + lost, 0.5, "greater").pvalue <= 0.05
        assert better_than(won, lost) == exact, (won, lost)


def test_luck_is_called_better_in_one_of_twenty_at_most() -> None:
    random = seeded(1)
    called = 0
    for _ in range(400):
        won = int(torch.randint(2, (40,), generator=random).sum())
        called += better_than(won, 40 - won)
    assert called <= 0.08 * 400


def test_a_task_must_be_established_to_need_memory() -> None:
    """Just below the success asked for is not enough: it may lie above."""
    found = measure(Skewed((0.89, 0.11)), LAG)
    complaint = found.complaint(found.rates["constant"].rate + 0.01)
    assert complaint is not None
    assert "established to stay below success 0." in complaint
    assert found.complaint(found.rates["constant"].at_most + 0.01) is None
