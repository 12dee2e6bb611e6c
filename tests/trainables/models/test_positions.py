"""Position encodings against their papers' formulas, written as loops."""

import json
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from trainables.models.cells.self_attention import SelfAttention
from trainables.models.layer import Site
from trainables.models.positions import POSITIONS, Positions, alibi_slopes

KINDS = sorted(POSITIONS)
WIDTH = 12


def positions_of(kind: str, width: int = WIDTH, **choices: object) -> Positions:
    torch.manual_seed(0)
    config = POSITIONS[kind].Config.model_validate({"kind": kind, **choices})
    return POSITIONS[kind](config, width).double()


def stream(length: int, width: int = WIDTH, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, length, width, generator=generator, dtype=torch.float64)


def attention_with(positions: Positions, num_heads: int, window: int | None) -> SelfAttention:
    torch.manual_seed(3)
    site = Site(positions.width, rotate=positions.rotate, slopes=positions.slopes)
    return SelfAttention(SelfAttention.Config(num_heads=num_heads, window=window), site).double()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 2, 63])
def test_every_kind_keeps_time_and_rows_apart(kind: str, length: int) -> None:
    """A step's encoding depends on that step of that row alone, and passes its gradient on."""
    positions, x = positions_of(kind), stream(length).requires_grad_()
    y = positions(x)
    assert y.shape == x.shape
    (gradient,) = torch.autograd.grad(y[1, -1].sum(), x)
    assert torch.count_nonzero(gradient[0]) == 0
    assert torch.count_nonzero(gradient[1, :-1]) == 0
    assert torch.equal(gradient[1, -1], torch.ones(WIDTH, dtype=torch.float64))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns_and_round_trips(kind: str) -> None:
    """Each table has a gradient; configurations survive JSON; the kind is the default."""
    positions = positions_of(kind)
    positions(stream(9).requires_grad_()).square().sum().backward()
    assert all(torch.count_nonzero(p.grad) > 0 for p in positions.parameters())
    config = POSITIONS[kind].Config()
    assert config.kind == kind
    assert POSITIONS[kind].Config.model_validate(json.loads(config.model_dump_json())) == config


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_keeps_bfloat16(kind: str) -> None:
    """The stream's type is kept, outside attention and inside."""
    positions, x = positions_of(kind).bfloat16(), stream(63).bfloat16()
    y = attention_with(positions, num_heads=3, window=None).bfloat16()(positions(x))
    assert y.dtype == torch.bfloat16
    assert torch.isfinite(y).all()


@pytest.mark.parametrize("width", [2, 7, 12])
def test_sinusoidal_is_the_papers_formula(width: int) -> None:
    """PE(t, 2i) = sin(t / base^(2i/D)), PE(t, 2i+1) = cos of the same, odd widths cut off."""
    x, base = stream(50, width), 1000.0
    expected = x.numpy().copy()
    for t in range(50):
        for channel in range(width):
            angle = t / base ** (2 * (channel // 2) / width)
            expected[:, t, channel] += math.sin(angle) if channel % 2 == 0 else math.cos(angle)
    y = positions_of("sinusoidal", width, base=base)(x)
    np.testing.assert_allclose(y.numpy(), expected, rtol=0, atol=1e-12)


def test_learned_adds_its_own_vector_to_every_step() -> None:
    """x_t + p_t; beyond the table it refuses in one line."""
    positions, x = positions_of("learned", max_length=5), stream(5)
    (table,) = positions.parameters()
    for t in range(5):
        assert torch.equal(positions(x)[:, t], x[:, t] + table[t])
    with pytest.raises(
        ValueError, match=r"^positions.max_length: 5 is not .* the sequence has 6 steps$"
    ):
        positions(stream(6))
    assert positions.longest == 5
    assert positions_of("sinusoidal").longest is None


def test_alibi_slopes_are_the_papers() -> None:
    """The function of the paper's repository, for powers of two and between."""

    def get_slopes(n: int) -> list[float]:
        if math.log2(n).is_integer():
            start = 2 ** (-(2 ** -(math.log2(n) - 3)))
            return [start * start**i for i in range(n)]
        closest = 2 ** math.floor(math.log2(n))
        return get_slopes(closest) + get_slopes(2 * closest)[0::2][: n - closest]

    for num_heads in range(1, 40):
        assert alibi_slopes(num_heads) == pytest.approx(get_slopes(num_heads), rel=1e-12)
    assert alibi_slopes(8) == tuple(2.0**-i for i in range(1, 9))


def rotated(x: Tensor, t: int, base: float) -> Tensor:
    """R_t x: each pair of coordinates turned by its own 2 x 2 matrix (Su et al. 2021, eq. 15)."""
    width = x.shape[-1]
    R = torch.zeros(width, width, dtype=x.dtype)
    for i in range(width // 2):
        angle = t * base ** (-2 * i / width)
        R[2 * i, 2 * i], R[2 * i, 2 * i + 1] = math.cos(angle), -math.sin(angle)
        R[2 * i + 1, 2 * i], R[2 * i + 1, 2 * i + 1] = math.sin(angle), math.cos(angle)
    return x @ R.T


def self_attention(layer: SelfAttention, x: Tensor, kind: str) -> Tensor:
    """The whole layer, head by head and step by step."""
    H, window = layer.config.num_heads, layer.config.window
    E = x.shape[-1] // H
    W_q, W_k, W_v = layer.qkv.weight.split(x.shape[-1])
    b_q, b_k, b_v = layer.qkv.bias.split(x.shape[-1])
    slopes = [2 ** (-8 * (h + 1) / H) for h in range(H)]  # for powers of two
    rows = []
    for row in x:
        heads = []
        for h in range(H):
            own = slice(h * E, (h + 1) * E)
            q, k, v = (row @ W[own].T + b[own] for W, b in ((W_q, b_q), (W_k, b_k), (W_v, b_v)))
            answers = []
            for t in range(len(row)):
                seen = range(0 if window is None else max(0, t - window + 1), t + 1)
                scores = []
                for s in seen:
                    if kind == "rope":
                        score = rotated(q[t], t, base=10_000.0) @ rotated(k[s], s, base=10_000.0)
                    else:
                        score = q[t] @ k[s]
                    penalty = slopes[h] * (t - s) if kind == "alibi" else 0.0
                    scores.append(score / math.sqrt(E) - penalty)
                weights = torch.stack(scores).softmax(0)
                answers.append(sum(w * v[s] for w, s in zip(weights, seen, strict=True)))
            heads.append(torch.stack(answers))
        rows.append(torch.cat(heads, dim=-1) @ layer.out.weight.T + layer.out.bias)
    return torch.stack(rows)


@pytest.mark.parametrize("kind", ["none", "rope", "alibi"])
@pytest.mark.parametrize("window", [None, 4])
def test_self_attention_is_the_formula(kind: str, window: int | None) -> None:
    """The layer against loops over rows, heads, steps and pairs, gradients too."""
    positions = positions_of(kind, width=8)
    layer, x = attention_with(positions, 2, window), stream(11, width=8).requires_grad_()
    fast, slow = layer(x), self_attention(layer, x, kind)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-12)
    weights, sources = stream(11, width=8, seed=5), [x, *layer.parameters()]
    by_layer = torch.autograd.grad((fast * weights).sum(), sources)
    by_loops = torch.autograd.grad((slow * weights).sum(), sources)
    torch.testing.assert_close(by_layer, by_loops, rtol=0, atol=1e-11)


@pytest.mark.parametrize("kind", ["rope", "alibi"])
def test_only_distance_counts_inside_attention(kind: str) -> None:
    """Under a window, the same steps later in time are answered the same."""
    layer, x = attention_with(positions_of(kind), 3, window=5), stream(40)
    x[:, 20:] = x[:, :20]
    y = layer(x)
    torch.testing.assert_close(y[:, 24:], y[:, 4:20], rtol=0, atol=1e-12)


def test_attention_without_positions_knows_no_order() -> None:
    """The last answer is the same for a shuffled past, and is not once positions act."""
    x = stream(9)
    shuffled = torch.cat((x[:, :8].flip(1), x[:, 8:]), dim=1)
    moved = {}
    for kind in KINDS:
        positions = positions_of(kind)
        layer = attention_with(positions, 3, window=None)
        with torch.no_grad():
            answers = [layer(positions(y))[:, -1] for y in (x, shuffled)]
        moved[kind] = float((answers[0] - answers[1]).abs().max())
    assert moved.pop("none") < 1e-12
    assert min(moved.values()) > 1e-4


@pytest.mark.parametrize(
    ("num_heads", "kind", "reason"),
    [
        (5, "none", r"^num_heads: 5 is not allowed; it must divide the hidden size \(12\)$"),
        (4, "rope", r"^num_heads: 4 is not allowed; rope needs an even head width, and 12 / 4 is"),
    ],
)
def test_heads_that_do_not_fit_are_refused(num_heads: int, kind: str, reason: str) -> None:
    """One line with the key, the value and what is allowed."""
    with pytest.raises(ValueError, match=reason):
        attention_with(positions_of(kind), num_heads, window=None)
