"""Sequences that begin where others ended, and gradients that end at windows, as members learn."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.trainables.models.test_model import SYMBOLS, config_of
from tests.trainables.training.stand_ins import CPU, recall, seeded, trial_config
from trainables.models.model import build
from trainables.models.passing import after_others
from trainables.models.room import Room
from trainables.randomness import Streams
from trainables.training.member import Member

LENGTH = 21
KINDS = ["lstm", "dilated_lstm", "lru", "min_gru", "mamba", "ntm", "transformer"]
KINDS += ["hyena", "recurrent_memory"]


def inputs() -> Tensor:
    return torch.randint(5, (4, LENGTH), generator=seeded(1))


def scored() -> Tensor:
    return torch.tensor([[3, LENGTH - 1]] * 4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_passed_sequence_answers_as_behind_another(kind: str) -> None:
    """Rows 0 and 1 as the last steps of rows 3, 0 and 0, 1 in one; rows 2 and 3 by themselves."""
    model = build(config_of("cell", kind), SYMBOLS, seed=0).double()
    shown, asked = inputs(), scored()
    answers = after_others(Room(model, math.inf), shown, asked, 0.5)
    behind = torch.cat((shown[[3, 0]], shown[[0, 1]]), dim=1)
    torch.testing.assert_close(answers[:2], model(behind, asked[:2] + LENGTH))
    torch.testing.assert_close(answers[2:], model(shown[2:], asked[2:]))


@pytest.mark.parametrize("kind", ["gru", "lru"])
def test_in_pieces_it_is_the_same_and_the_past_gets_no_gradient(kind: str) -> None:
    """Sequences of 200 steps, in segments of 64 and whole; the first state is a constant."""
    model = build(config_of("cell", kind), SYMBOLS, seed=0).double()
    shown = torch.randint(5, (4, 200), generator=seeded(1))
    asked = torch.tensor([[199]] * 4)
    found = []
    for room in (Room(model, math.inf), Room(model, 1.0)):
        answers = after_others(room, shown, asked, 1.0)
        found.append(torch.autograd.grad(answers.pow(2).sum(), list(model.parameters())))
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-9)
    with torch.no_grad():
        _, carried = model.scan(model.embed(shown.roll(1, 0)), model.initial_state(4))
    stream, _ = model.scan(model.embed(shown), carried)
    by_hand = torch.autograd.grad(
        model.readout(stream, asked).pow(2).sum(), list(model.parameters())
    )
    torch.testing.assert_close(found[0], by_hand, rtol=1e-9, atol=1e-9)


def test_positions_and_front_end_begin_anew() -> None:
    """With no state in between, what is passed changes nothing."""
    shown = torch.randint(5, (4, LENGTH), generator=seeded(1))
    for part, kind in (("positions", "learned"), ("front_end", "strided")):
        config = config_of(part, kind).model_dump() | {"cell": {"kind": "lstm"}}
        model = build(type(config_of(part, kind)).model_validate(config), SYMBOLS, seed=0).double()
        anew = model.initial_state(4)
        with torch.no_grad():
            _, carried = model.scan(model.embed(shown.roll(1, 0)), anew)
            first = type(anew)(anew.front, anew.frame, 0, carried.blocks)
            stream, _ = model.scan(model.embed(shown), first)
            wanted = model.readout(stream, scored())
            answers = after_others(Room(model, math.inf), shown, scored(), 1.0)
        torch.testing.assert_close(answers, wanted)


def test_a_sequence_alone_begins_as_ever() -> None:
    model = build(config_of("cell", "gru"), SYMBOLS, seed=0)
    alone = after_others(Room(model, math.inf), inputs()[:1], scored()[:1], 1.0)
    torch.testing.assert_close(alone, model(inputs()[:1], scored()[:1]), rtol=0, atol=0)


def learned(regime: dict[str, object], memory: float = math.inf, cell: str = "lstm") -> Tensor:
    """A member's weights after three steps at a lag of 100."""
    config = trial_config(cell, {"rehearsal_fraction": 0.0, **regime})
    member = Member(config, recall(), Streams(0, "0" * 64), 0, 100, CPU, memory)
    for step in range(3):
        member.learn(recall().sample(100, 16, seeded(step)))
    return torch.cat([weight.detach().flatten() for weight in member.model.parameters()])


@pytest.mark.parametrize("cell", ["lstm", "min_gru", "transformer"])
def test_a_window_as_long_as_the_sequence_is_backpropagation_through_all_of_it(cell: str) -> None:
    """To the last bit; one that is a step shorter is not."""
    whole = learned({"kind": "incremental"}, cell=cell)
    for window in (101, 4096):
        assert torch.equal(learned({"kind": "truncated", "window": window}, cell=cell), whole)
    assert not torch.equal(learned({"kind": "truncated", "window": 100}, cell=cell), whole)


def test_a_member_short_of_memory_learns_the_same_from_windows() -> None:
    """Windows of 96 steps in segments of 48 and less, and whole; sums differ in order."""
    regime: dict[str, object] = {"kind": "truncated", "window": 96}
    torch.testing.assert_close(learned(regime, 1.0), learned(regime), rtol=0, atol=2e-3)


def test_state_passing_is_not_what_is_learned_without() -> None:
    passed = learned({"kind": "state_passing", "passed_fraction": 0.5})
    assert not torch.equal(passed, learned({"kind": "incremental"}))
    assert torch.equal(passed, learned({"kind": "state_passing"}))
