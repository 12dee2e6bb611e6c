"""Batches drawn ahead are those drawn in turn, and what nobody took is drawn again after a cut."""

from __future__ import annotations

import threading

import pytest
import torch

from tests.trainables.training.pretended import ACCELERATOR
from tests.trainables.training.stand_ins import CPU, LAG, attempt, knowing, ladder, recall, seeded
from trainables.measure.records import MemberRung
from trainables.tasks.drawing import Drawing
from trainables.tasks.task import Batch
from trainables.training.rung import RungTraining

SIZES = [4, 4, 3]
MIXED = {"kind": "mixed"}


class Drawer:
    """Draws lags and batches from one generator, and notes where."""

    def __init__(self) -> None:
        self.generator = seeded()
        self.threads: list[threading.Thread] = []

    def __call__(self, size: int) -> tuple[int, Batch]:
        self.threads.append(threading.current_thread())
        lag = int(torch.randint(LAG, 2 * LAG, (), generator=self.generator))
        return lag, recall().sample(lag, size, self.generator)


def all_of(drawing: Drawing) -> list[list[int]]:
    found = []
    for size, following in zip(SIZES, [*SIZES[1:], 0], strict=True):
        lag, batch = drawing.take(size, following)
        found.append([lag, *batch.inputs.flatten().tolist()])
    return found


def test_what_is_drawn_ahead_is_what_is_drawn_in_turn() -> None:
    turn, ahead = Drawer(), Drawer()
    expected = all_of(Drawing(turn, turn.generator, ahead=False))
    assert all_of(Drawing(ahead, ahead.generator, ahead=True)) == expected
    here = threading.current_thread()
    assert [thread is here for thread in turn.threads] == [True, True, True]
    assert [thread is here for thread in ahead.threads] == [True, False, False]


@pytest.mark.parametrize("ahead", [True, False])
def test_what_nobody_took_is_still_to_be_drawn(ahead: bool) -> None:
    drawer, again = Drawer(), Drawer()
    drawing = Drawing(drawer, drawer.generator, ahead)
    drawing.take(*SIZES[:2])
    again.generator.set_state(drawing.state)
    _, expected = drawing.take(SIZES[1], 0)
    _, found = again(SIZES[1])
    assert torch.equal(found.inputs, expected.inputs)
    assert torch.equal(drawing.state, again.generator.get_state())


def test_an_error_while_drawing_ahead_is_told_when_its_batch_is_asked_for() -> None:
    drawer = Drawer()

    def broken(size: int) -> tuple[int, Batch]:
        if drawer.threads:
            raise ValueError("the file is gone")
        return drawer(size)

    drawing = Drawing(broken, drawer.generator, ahead=True)
    drawing.take(4, 4)
    with pytest.raises(ValueError, match="the file is gone"):
        drawing.take(4, 0)


class CutOffError(Exception):
    pass


def attempted(ahead: bool) -> RungTraining:
    steps = ladder(start=2, stop=16, sequences=330)
    under_way = attempt(knowing(0.5), steps, lag=16, regime=MIXED, clock=lambda: 0.0)
    under_way.drawing = Drawing(under_way._draw, under_way.generators["train"], ahead)
    return under_way


def test_an_attempt_comes_to_the_same_however_its_batches_are_drawn() -> None:
    """Also when it is cut off and restored on the way."""

    def cut_off(training: RungTraining) -> None:
        if training.progress.sequences == 160:
            raise CutOffError

    in_turn = attempted(ahead=False)
    expected = in_turn.run(lambda _: None)
    found: list[MemberRung] = [attempted(ahead=True).run(lambda _: None)]
    first = attempted(ahead=True)
    with pytest.raises(CutOffError):
        first.run(cut_off)
    second = attempted(ahead=True)
    second.restore(first.state())
    second.member.model.generator = first.member.model.generator  # type: ignore[assignment]  # a stand-in's
    found.append(second.run(lambda _: None))
    assert found == [expected, expected]
    assert expected.sequences == 330


def test_symbols_travel_as_int32_and_numbers_as_they_are() -> None:
    batch = recall().sample(LAG, 4, seeded())
    assert batch.to(CPU).inputs is batch.inputs
    numbers = Batch(batch.inputs.double(), batch.targets, batch.scored)
    of_eight_bytes = Batch(batch.inputs.long(), batch.targets, batch.scored)
    symbols, plain = of_eight_bytes.to(ACCELERATOR), numbers.to(ACCELERATOR)
    assert (symbols.inputs.dtype, plain.inputs.dtype) == (torch.int32, torch.float64)
    assert symbols.targets.dtype == symbols.scored.dtype == torch.int64
