"""Self-attention with every position encoding, against loops written from the papers."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from trainables.models.cells.self_attention import SelfAttention
from trainables.models.positions import POSITIONS, Positions

WIDTH = 12


def positions_of(kind: str, width: int = WIDTH) -> Positions:
    torch.manual_seed(0)
    return POSITIONS[kind](POSITIONS[kind].Config(), width).double()


def stream(length: int, width: int = WIDTH, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, length, width, generator=generator, dtype=torch.float64)


def attention_with(positions: Positions, num_heads: int, window: int | None) -> SelfAttention:
    torch.manual_seed(3)
    config = SelfAttention.Config(num_heads=num_heads, window=window)
    return SelfAttention(config, positions.around_layers).double()


def rotated(x: Tensor, t: int, base: float) -> Tensor:
    """R_t x: each pair of coordinates turned by its own 2 x 2 matrix (Su et al. 2021, eq. 15)."""
    width = x.shape[-1]
    R = torch.zeros(width, width, dtype=x.dtype)
    for i in range(width // 2):
        angle = t * base ** (-2 * i / width)
        R[2 * i, 2 * i], R[2 * i, 2 * i + 1] = math.cos(angle), -math.sin(angle)
        R[2 * i + 1, 2 * i], R[2 * i + 1, 2 * i + 1] = math.sin(angle), math.cos(angle)
    return x @ R.T


def extrapolated(x: Tensor, t: int, power: int) -> Tensor:
    """x turned by t, each pair times zeta**(power * t / 512) (Sun et al. 2022, eq. 12 and 13)."""
    width, gamma = x.shape[-1], 0.4
    zeta = [(i / (width / 2) + gamma) / (1 + gamma) for i in range(width // 2)]
    scales = torch.tensor([z ** (power * t / 512) for z in zeta for _ in range(2)], dtype=x.dtype)
    return rotated(x, t, base=10_000.0) * scales


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
                    elif kind == "xpos":
                        score = extrapolated(q[t], t, 1) @ extrapolated(k[s], s, -1)
                    else:
                        score = q[t] @ k[s]
                    penalty = slopes[h] * (t - s) if kind == "alibi" else 0.0
                    scores.append(score / math.sqrt(E) - penalty)
                weights = torch.stack(scores).softmax(0)
                answers.append(sum(w * v[s] for w, s in zip(weights, seen, strict=True)))
            heads.append(torch.stack(answers))
        rows.append(torch.cat(heads, dim=-1) @ layer.out.weight.T + layer.out.bias)
    return torch.stack(rows)


@pytest.mark.parametrize("kind", ["none", "rope", "alibi", "xpos"])
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


@pytest.mark.parametrize("kind", ["rope", "alibi", "xpos"])
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
    for kind in sorted(POSITIONS):
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
        (
            4,
            "rope",
            r"^num_heads: 4 is not allowed; rotary positions need an even head width, "
            r"and 12 / 4 is",
        ),
    ],
)
def test_heads_that_do_not_fit_are_refused(num_heads: int, kind: str, reason: str) -> None:
    """One line with the key, the value and what is allowed."""
    with pytest.raises(ValueError, match=reason):
        attention_with(positions_of(kind), num_heads, window=None)


@pytest.mark.parametrize("window", [None, 10, 100])
def test_state_is_the_keys_and_values_still_seen(window: int | None) -> None:
    """A key and a value for each earlier step that the next one sees, four bytes a number."""
    layer, x = attention_with(positions_of("none"), 3, window), stream(65).requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x)[0, -1].square().sum(), x)
    seen = torch.count_nonzero(gradient[0, :-1].abs().amax(-1)).item()
    assert layer.state_bytes(64) == 4 * 2 * WIDTH * seen


@pytest.mark.parametrize("window", [None, 10, 100])
def test_flops_are_those_of_the_pairs_seen(window: int | None) -> None:
    """Torch counts all T x T pairs; those that are masked are not ours to count."""
    layer, T = attention_with(positions_of("none"), 3, window), 64
    unfused = sdpa_kernel(SDPBackend.MATH)
    with torch.no_grad(), unfused, FlopCounterMode(display=False) as counter:
        attention_with(positions_of("none"), 3, window=None)(stream(T)[:1])
    maps = T * 2 * 4 * WIDTH**2
    a_pair = (counter.get_total_flops() - maps) / T**2
    pairs = sum(min(t + 1, window or T) for t in range(T))
    assert T * layer.flops_per_step(T) == pytest.approx(maps + pairs * a_pair)
