"""Segments: the same answers and the same gradient, and no more states kept than was said."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.trainables.models.kernels.paths import PATHS, take
from tests.trainables.models.test_model import ENTRIES, NUMBERS, SYMBOLS, config_of
from trainables.models import segments
from trainables.models.cells import LAYERS
from trainables.models.config import ModelConfig
from trainables.models.layer import Recurrence
from trainables.models.model import Carried, Model, build, outline
from trainables.models.segments import by_segments

LENGTH = 63
RECURRENT = [kind for kind in sorted(LAYERS) if issubclass(LAYERS[kind], Recurrence)]
PARTS = [entry for entry in ENTRIES if entry[0] != "cell"]


@pytest.fixture(params=PATHS, autouse=True)
def _path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled kernels and torch's operators; and few borders, so that there are three levels."""
    take(request.param, monkeypatch)
    monkeypatch.setattr(segments, "MOST_BORDERS", 3)


def scored() -> Tensor:
    """Ascending, some in one segment, not at the same steps in all rows."""
    return torch.tensor([[0, 5, 6, 40, LENGTH - 1], [2, 3, 9, 22, 23], [9, 20, 30, 40, 50]])


def gradients(model: Model, inputs: Tensor, steps: int | None) -> tuple[Tensor, list[Tensor]]:
    """The answers and the weights' gradients, in segments or whole."""
    at = scored()
    y = model(inputs, at) if steps is None else by_segments(model, inputs, at, steps)
    drawn = torch.randn(y.shape, generator=torch.Generator().manual_seed(2), dtype=y.dtype)
    weights = list(model.parameters())
    found = torch.autograd.grad(
        (y * drawn).sum(), weights, materialize_grads=True, allow_unused=True
    )
    return y.detach(), list(found)


def same(model: Model, inputs: Tensor, steps: int) -> None:
    whole, by_whole = gradients(model, inputs, None)
    cut, by_cut = gradients(model, inputs, steps)
    torch.testing.assert_close(cut, whole, rtol=0, atol=1e-11)
    torch.testing.assert_close(by_cut, by_whole, rtol=1e-9, atol=1e-9)
    with torch.no_grad():
        torch.testing.assert_close(by_segments(model, inputs, scored(), steps), whole)


def symbols() -> Tensor:
    return torch.randint(5, (3, LENGTH), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", RECURRENT)
def test_every_recurrence_has_the_gradient_of_the_whole(kind: str) -> None:
    model = build(config_of("cell", kind), SYMBOLS, seed=0).double()
    assert model.carries_no_past
    same(model, symbols(), 7)


@pytest.mark.parametrize(("part", "kind"), PARTS)
def test_so_has_every_other_part(part: str, kind: str) -> None:
    """Front ends whose frames cross borders, read-outs that look back, paths and positions."""
    model = build(config_of(part, kind), NUMBERS, seed=0).double()
    generator = torch.Generator().manual_seed(1)
    same(model, torch.randn(3, LENGTH, 2, generator=generator, dtype=torch.float64), 5)


@pytest.mark.parametrize("steps", [1, 21, 62, 63, 100])
def test_segments_of_any_length(steps: int) -> None:
    same(build(config_of("cell", "gru"), SYMBOLS, seed=0).double(), symbols(), steps)


def test_no_more_states_are_kept_than_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 63 segments, a few on each of four levels are there at any time; and no graph beside."""
    alive, most = 0, 0
    scan = Model.scan

    class Watched(Carried):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def watched(self: Model, embedded: Tensor, carried: Carried) -> tuple[Tensor, Carried]:
        nonlocal alive, most
        y, after = scan(self, embedded, carried)
        alive += 1
        most = max(most, alive)
        return y, Watched(after.front, after.frame, after.frames, after.blocks)

    monkeypatch.setattr(Model, "scan", watched)
    model = build(config_of("cell", "gru"), SYMBOLS, seed=0)
    gradients(model, symbols(), 1)
    assert 3 < most <= 4 * 3 + 2


def test_attention_keeps_its_past_and_says_so() -> None:
    def of(**parts: object) -> Model:
        return outline(ModelConfig.model_validate({"hidden_size": 8, **parts}), SYMBOLS)

    assert not of(cell="transformer").carries_no_past
    assert not of(cell="hyena").carries_no_past
    assert not of(cell="lstm", depth=2, hybrid="interleaved").carries_no_past
    assert of(cell="lstm", readout="attention").carries_no_past


def by_windows(model: Model, inputs: Tensor, window: int) -> tuple[Tensor, list[Tensor]]:
    """Truncated backpropagation by hand: a scan a window, the states cut loose between two."""
    borders = [*range(LENGTH % window, LENGTH, window), LENGTH]
    carried, pieces, first = model.initial_state(len(inputs)), [], 0
    for end in borders:
        if end:
            stream, carried = model.scan(model.embed(inputs[:, first:end]), carried)
            carried = carried.of([part.detach() for part in carried.tensors])
            pieces.append(stream)
        first = end
    y = model.readout(torch.cat(pieces, dim=1), scored())
    drawn = torch.randn(y.shape, generator=torch.Generator().manual_seed(2), dtype=y.dtype)
    found = torch.autograd.grad(
        (y * drawn).sum(), list(model.parameters()), materialize_grads=True, allow_unused=True
    )
    return y.detach(), list(found)


TRUNCATED = ["lstm", "gru", "lru", "min_gru", "ntm", "transformer", "hyena", "recurrent_memory"]


@pytest.mark.parametrize("kind", TRUNCATED)
def test_windows_end_the_gradient_where_they_begin(kind: str) -> None:
    """Five windows of 14 steps, the first of 7, each whole or in two segments; some ask nothing."""
    model = build(config_of("cell", kind), SYMBOLS, seed=0).double()
    wanted, by_hand = by_windows(model, symbols(), 14)
    for steps in (14, 7) if model.carries_no_past else (14,):
        at = scored()
        y = by_segments(model, symbols(), at, steps, window=14 // steps)
        drawn = torch.randn(y.shape, generator=torch.Generator().manual_seed(2), dtype=y.dtype)
        found = torch.autograd.grad(
            (y * drawn).sum(), list(model.parameters()), materialize_grads=True, allow_unused=True
        )
        torch.testing.assert_close(y.detach(), wanted, rtol=0, atol=1e-11)
        torch.testing.assert_close(list(found), by_hand, rtol=1e-9, atol=1e-9)
    whole, by_whole = gradients(model, symbols(), None)
    torch.testing.assert_close(whole, wanted, rtol=0, atol=1e-11)
    assert any((a - b).abs().max() > 1e-6 for a, b in zip(by_hand, by_whole, strict=True))


def test_a_read_out_that_looks_back_reaches_every_window() -> None:
    config = ModelConfig.model_validate({"cell": "gru", "hidden_size": 8, "readout": "attention"})
    model = build(config, SYMBOLS, seed=0).double()
    _, by_hand = by_windows(model, symbols(), 14)
    y = by_segments(model, symbols(), scored(), 14, window=1)
    drawn = torch.randn(y.shape, generator=torch.Generator().manual_seed(2), dtype=y.dtype)
    found = torch.autograd.grad((y * drawn).sum(), list(model.parameters()))
    torch.testing.assert_close(list(found), by_hand, rtol=1e-9, atol=1e-9)
