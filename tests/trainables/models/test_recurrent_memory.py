"""``recurrent_memory`` against one segment after the other, all of its tokens at once."""

import math

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from tests.trainables.models.test_model import SYMBOLS, config_of
from tests.trainables.models.test_segments import same, symbols
from trainables.models.cells.recurrent_memory import RecurrentMemory
from trainables.models.layer import Surroundings
from trainables.models.model import build, outline

WIDTH, HEADS = 8, 2
HEAD = WIDTH // HEADS


def layer_of(segment: int, num_tokens: int) -> RecurrentMemory:
    torch.manual_seed(0)
    config = RecurrentMemory.Config(num_heads=HEADS, segment=segment, num_tokens=num_tokens)
    layer = RecurrentMemory(config, Surroundings(WIDTH)).double()
    stirred(layer)
    return layer


def normed(weights: Weights, which: int, x: Tensor) -> Tensor:
    off = x - x.mean(-1, keepdim=True)
    scaled = off / (off.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return scaled * weights[f"norms.{which}.weight"] + weights[f"norms.{which}.bias"]


def block(weights: Weights, tokens: Tensor, places: Tensor, sees: list[list[int]]) -> Tensor:
    """All tokens of one row's segment: what the block adds to each of those it is asked of."""

    def mapped(name: str, x: Tensor) -> Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    q, k, v = mapped("qkv", normed(weights, 0, tokens + places)).split(WIDTH, dim=-1)
    added = []
    for token, seen in enumerate(sees):
        heads = []
        for h in range(HEADS):
            own = slice(h * HEAD, (h + 1) * HEAD)
            shares = torch.stack([q[token, own] @ k[s, own] / math.sqrt(HEAD) for s in seen]).exp()
            heads.append(sum(share * v[s, own] for share, s in zip(shares, seen, strict=True)))
            heads[-1] = heads[-1] / shares.sum()
        a = mapped("out", torch.cat(heads))
        wide = mapped("widen", normed(weights, 1, tokens[token] + a))
        wide = wide * 0.5 * (1 + torch.erf(wide / math.sqrt(2)))
        added.append(a + mapped("narrow", wide))
    return torch.stack(added)


def in_segments(weights: Weights, x: Tensor, segment: int) -> Tensor:
    """[m; x; m] of every whole segment, [m; x] of one that is not."""
    M = len(weights["first_memory"])
    rows = []
    for row in x:
        memory, answers = normed(weights, 2, weights["first_memory"]), []
        for first in range(0, len(row), segment):
            shown = row[first : first + segment]
            tokens = torch.cat((memory, shown, memory))
            places = weights["places"]
            places = torch.cat((places[: M + len(shown)], places[M + segment :]))
            end = M + len(shown)
            sees = [list(range(M))] * M
            sees += [list(range(t + 1)) for t in range(M, end)]
            sees += [list(range(end + M))] * M
            added = block(weights, tokens, places, sees)
            answers.append(added[M:end])
            memory = normed(weights, 2, memory + added[end:])
        rows.append(torch.cat(answers))
    return torch.stack(rows)


@pytest.mark.parametrize(
    ("segment", "num_tokens", "length"),
    [(1, 1, 4), (4, 1, 15), (5, 3, 10), (5, 3, 14), (16, 2, 33)],
)
def test_agrees_with_the_equations(segment: int, num_tokens: int, length: int) -> None:
    """Ends within segments and with them; gradients through all memories."""
    layer = layer_of(segment, num_tokens)
    assert_agree(layer, lambda w, x: in_segments(w, x, segment), stream(2, length, WIDTH))


@pytest.mark.parametrize("length", [1, 7, 8])
def test_agrees_within_the_first_segment(length: int) -> None:
    """Where no memory is written yet."""
    layer, x = layer_of(8, 2), stream(2, length, WIDTH)
    due = in_segments(dict(layer.named_parameters()), x, 8)
    torch.testing.assert_close(layer(x), due, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("steps", [1, 3, 8, 11])
def test_a_sequence_may_come_in_pieces_of_any_length(steps: int) -> None:
    """States and answers of pieces that end within segments and with them."""
    layer, x = layer_of(8, 3), stream(2, 33, WIDTH)
    state, answers = layer.initial_state(2), []
    for piece in x.split(steps, dim=1):
        y, state = layer.scan(piece, state)
        answers.append(y)
    torch.testing.assert_close(torch.cat(answers, dim=1), layer(x), rtol=0, atol=1e-12)
    assert state.keys.shape[2] == 33 % 8


def test_far_segments_reach_by_the_memory_alone() -> None:
    """A gradient from the last step to the first, fifteen segments back; none without a memory."""
    layer, x = layer_of(4, 2), stream(1, 64, WIDTH).requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x)[:, -1].sum(), x)
    assert gradient[0].any(dim=-1).all()
    _, before = layer.scan(x[:, :60], layer.initial_state(1))
    forgotten = layer.begun(layer.initial_state(1).memory)
    last, anew = (layer.scan(x[:, 60:], state)[0] for state in (before, forgotten))
    assert (last - anew).abs().max() > 1e-3
    torch.testing.assert_close(last, layer(x)[:, 60:], rtol=0, atol=1e-12)


def test_no_more_is_carried_than_is_said() -> None:
    """At most, whatever the length; of a step before a segment's end, to the byte."""
    layer = layer_of(8, 3)
    for length in (1, 5, 7, 8, 15, 33):
        _, state = layer.scan(stream(1, length, WIDTH), layer.initial_state(1))
        held = 4 * sum(part.numel() for part in state)
        assert held <= layer.state_bytes(length)
        if length % 8 == 7 or length < 8:
            assert held == layer.state_bytes(length) or length == 8
    assert layer.state_bytes(7) == layer.state_bytes(10**6)
    model = outline(config_of("cell", "recurrent_memory"), SYMBOLS)
    assert model.carries_no_past


@pytest.mark.parametrize("steps", [5, 7, 32])
def test_recomputed_in_segments_it_has_the_gradient_of_the_whole(steps: int) -> None:
    """Borders within its own segments and at them."""
    config = config_of("cell", "recurrent_memory")
    same(build(config, SYMBOLS, seed=0).double(), symbols(), steps)


def test_memory_stays_near_over_thousands_of_segments() -> None:
    """In float32 the answers at the end are those of float64, and the memory does not grow."""
    layer, x = layer_of(4, 2), stream(1, 8000, WIDTH)
    with torch.no_grad():
        due, state = layer.scan(x, layer.initial_state(1))
        layer.float()
        mine, _ = layer.scan(x.float(), layer.initial_state(1))
    torch.testing.assert_close(mine[:, -50:].double(), due[:, -50:], rtol=0, atol=1e-3)
    assert state.memory.abs().max() < 10


def test_heads_that_do_not_fit_are_refused() -> None:
    config = RecurrentMemory.Config(num_heads=3)
    with pytest.raises(
        ValueError, match=r"^num_heads: 3 is not allowed; it must divide the hidden size \(8\)$"
    ):
        RecurrentMemory(config, Surroundings(WIDTH))
