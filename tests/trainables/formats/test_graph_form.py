"""What stands in for a part in a graph computes what the part does; no graph is made here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.export import ExportedProgram

from tests.trainables.formats.cases import ATTENTION, model
from trainables.exports.formats import checked
from trainables.exports.formats.checked import convert, lengths_for
from trainables.exports.formats.format import Answer, Format, program
from trainables.exports.formats.graph_form import AnySegments, AnyStride
from trainables.exports.formats.stand_ins import STAND_INS
from trainables.models.cells import LAYERS
from trainables.models.cells.recurrent_memory import RecurrentMemory
from trainables.models.kernels.chunked.convolution import long_convolution
from trainables.models.layer import Layer, Recurrence, Surroundings
from trainables.models.model import Model

WIDTH = 8


@pytest.mark.parametrize("kind", [k for k, layer in LAYERS.items() if layer in STAND_INS])
def test_stand_ins_step_as_their_layers(kind: str) -> None:
    torch.manual_seed(0)
    layer = LAYERS[kind](LAYERS[kind].Config(kind=kind), Surroundings(width=WIDTH))
    assert isinstance(layer, Recurrence)
    with torch.no_grad():
        for weight in layer.parameters():  # no first weight of zero hides a part
            weight.add_(0.1 * torch.randn(weight.shape))
        stand_in = STAND_INS[type(layer)](layer)
        state, other = layer.initial_state(3), stand_in.initial_state(3)
        for x in torch.randn(40, 3, WIDTH):
            y, state = layer.step(x, state)
            z, other = stand_in.step(x, other)
            torch.testing.assert_close(z, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "parts",
    [
        {"cell": ATTENTION},
        {"cell": {**ATTENTION, "window": 5}},
        {"cell": ATTENTION, "positions": {"kind": "alibi"}},
        {"cell": {**ATTENTION, "window": 70}, "positions": {"kind": "alibi"}},
        {"cell": ATTENTION, "positions": {"kind": "xpos"}},
        {"cell": ATTENTION, "readout": {"kind": "attention", "score": "additive"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("steps", [1, 4, 300])
def test_what_is_exported_is_what_is_run(
    parts: dict[str, Any], steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The branches taken while a graph is made, for lengths on either side of every block."""
    made = model(**parts)
    inputs = torch.randint(5, (2, steps), generator=torch.Generator().manual_seed(1))
    scored = torch.tensor([[0, steps - 1]] * 2)
    with torch.no_grad():
        expected = made(inputs, scored)
        monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
        torch.testing.assert_close(made(inputs, scored), expected)


@pytest.mark.parametrize("steps", [1, 64, 65, 300])
def test_the_long_convolution_at_once(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    u, h = torch.randn(2, steps, 4), torch.randn(steps, 4)
    expected = long_convolution(u, h)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    torch.testing.assert_close(long_convolution(u, h), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [*range(1, 11), 64])
def test_segments_for_any_length(steps: int) -> None:
    config = RecurrentMemory.Config(segment=4, num_tokens=2)
    layer, x = RecurrentMemory(config, Surroundings(WIDTH)), torch.randn(2, steps, WIDTH)
    with torch.no_grad():
        torch.testing.assert_close(AnySegments(layer)(x), layer(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("steps", range(1, 11))
def test_a_stride_for_any_length(steps: int) -> None:
    made = model(front_end={"kind": "strided", "stride": 4})
    any_stride = AnyStride(made.front_end)
    x = torch.randn(2, steps, WIDTH)
    with torch.no_grad():
        frames = made.front_end.down(x)
        one_more = any_stride.down(x)
        torch.testing.assert_close(one_more[:, :-1], frames)
        torch.testing.assert_close(any_stride.up(one_more, x), made.front_end.up(frames, x))


class Off(Format):
    """A file whose answers are off."""

    file = "model.off"

    def __init__(self, made: Model, by: float) -> None:
        self.made, self.by = made, by

    def write(self, traced: ExportedProgram, about: Mapping[str, str]) -> bytes:
        return b""

    def open(self, content: bytes) -> Answer:
        return lambda inputs, scored: self.made(inputs, scored) + self.by


def test_answers_that_are_off_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = model()
    monkeypatch.setattr(checked, "program", lambda model: None)
    assert convert({"off": Off(made, 5e-5)}, made, 8, {})["off"].record["steps"] == [7, 14]
    for by in (2e-4, float("nan")):
        with pytest.raises(ValueError, match="off cannot hold this model: its answers are off by"):
            convert({"off": Off(made, by)}, made, 8, {})


class Counts(Layer):
    """What comes out hangs on numbers: no graph holds it."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def forward(self, x: Tensor) -> Tensor:
        return x * int(x.sum() > 0)

    def flops_per_step(self, length: int) -> float:
        return 0.0

    def state_bytes(self, length: int) -> int:
        return 0


def test_a_layer_that_no_graph_holds_is_refused_in_one_line() -> None:
    made = model()
    made.blocks[0].layer = Counts()
    with pytest.raises(ValueError, match="onnx cannot hold this model: ") as caught:
        convert({"onnx": Off(made, 0)}, made, 8, {})
    assert len(str(caught.value).splitlines()) == 1


def test_lengths_are_the_lag_and_what_can_be_read() -> None:
    assert lengths_for(model(), 4) == (7, 14)
    assert lengths_for(model(), 100) == (7, 100)
    assert lengths_for(model(), 9999) == (7, 512)
    short = model(cell=ATTENTION, positions={"kind": "learned", "max_length": 5})
    assert lengths_for(short, 100) == (5, 5)


def test_a_graph_is_for_any_number_of_rows_and_steps_and_leaves_the_model_alone() -> None:
    """A recurrence that carries nothing besides numbers of its own, by `torch.export`."""
    made = model(cell={"kind": "min_gru"})
    before = {name: type(module) for name, module in made.named_modules()}
    graph = program(made).module()
    assert {name: type(module) for name, module in made.named_modules()} == before
    assert all(weight.requires_grad for weight in made.parameters())
    for batch_size, steps in ((1, 1), (3, 20)):
        inputs = torch.randint(5, (batch_size, steps))
        scored = torch.full((batch_size, 1), steps - 1)
        with torch.no_grad():
            torch.testing.assert_close(graph(inputs, scored), made(inputs, scored))
