"""Self-attention whose scores are more than products, against loops written from the papers."""

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models import scored_attention
from trainables.models.cells.self_attention import DistanceBias, SelfAttention
from trainables.models.cells.transformer import Transformer
from trainables.models.layer import Surroundings
from trainables.models.positions import POSITIONS, Xpos
from trainables.models.scored_attention import Terms

WIDTH, HEADS = 8, 2
HEAD = WIDTH // HEADS
BIAS = {"kind": "constant", "value": 1.0}
REMEDIES: list[dict[str, Any]] = [
    {"normed": True},
    {"sharpened": True},
    {"forget_bias": BIAS},
    {"sink": True},
    {"distance_bias": {"buckets": 6, "farthest": 8}},
    {"contextual_positions": 4},
    {"normed": True, "sharpened": True, "forget_bias": BIAS},
    {
        "normed": True,
        "sharpened": True,
        "forget_bias": BIAS,
        "sink": True,
        "distance_bias": {"buckets": 6, "farthest": 8},
        "contextual_positions": 4,
    },
]


def layer_of(positions: str = "none", **choices: Any) -> SelfAttention:
    torch.manual_seed(0)
    part = POSITIONS[positions](POSITIONS[positions].Config(kind=positions), WIDTH)
    config = SelfAttention.Config.model_validate({"num_heads": HEADS, **choices})
    layer = SelfAttention(config, part.around_layers).double()
    stirred(layer)
    return layer


def turned(x: Tensor, t: int) -> Tensor:
    """Pair by pair in complex numbers."""
    pairs = torch.view_as_complex(x.reshape(-1, 2).contiguous())
    angles = t * 10_000.0 ** (-torch.arange(0, HEAD, 2).double() / HEAD)
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten()


def faded(distance: int) -> Tensor:
    """What xPos leaves of each coordinate's product."""
    zeta = (torch.arange(0, HEAD, 2).double() / HEAD + 0.4) / 1.4
    return (zeta ** (distance / 512)).repeat_interleave(2)


def bucket(distance: int, buckets: int, farthest: int) -> int:
    """T5's, of a causal mask."""
    exact = buckets // 2
    if distance < exact:
        return distance
    share = math.log(distance / exact) / math.log(farthest / exact)
    return min(exact + int(share * (buckets - exact)), buckets - 1)


def contextual(q: Tensor, scores: list[Tensor], table: Tensor) -> list[Tensor]:
    """q . e[p] of each step seen: p is the sum of gates from it to the last, e between rows."""
    added = []
    for s in range(len(scores)):
        p = torch.stack(scores[s:]).sigmoid().sum().clamp(max=len(table) - 1)
        low = min(int(p), len(table) - 2)
        added.append(q @ table[low] * (low + 1 - p) + q @ table[low + 1] * (p - low))
    return added


def attention(weights: Weights, x: Tensor, positions: str, choices: dict[str, Any]) -> Tensor:
    """Head by head, query by query and key by key."""
    window = choices.get("window") or x.shape[1]
    qkv = x @ weights["qkv.weight"].T + weights["qkv.bias"]
    rows = []
    for row, whole in zip(x, qkv, strict=True):
        heads = []
        for h in range(HEADS):
            own = slice(h * HEAD, (h + 1) * HEAD)
            q, k, v = (part[:, own] for part in whole.split(WIDTH, dim=-1))
            if choices.get("normed"):
                q, k = (
                    part / (part.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weights[name]
                    for part, name in ((q, "norms.0.weight"), (k, "norms.1.weight"))
                )
            if "forget_bias" in choices:
                f = row @ weights["forget.weight"][h] + weights["forget.bias"][h]
                log_f = -torch.log1p(torch.exp(-f))
            answers = []
            for t in range(len(row)):
                seen = range(max(0, t - window + 1), t + 1)
                scores: list[Tensor] = []
                for s in seen:
                    if positions == "rope":
                        score = turned(q[t], t) @ turned(k[s], s) / math.sqrt(HEAD)
                    elif positions == "xpos":
                        score = turned(q[t], t) * faded(t - s) @ turned(k[s], s) / math.sqrt(HEAD)
                    else:
                        score = q[t] @ k[s] / math.sqrt(HEAD)
                    if choices.get("sharpened"):
                        score = score * weights["sharpness"][h] * math.log(len(seen))
                    scores.append(score)
                if "contextual_positions" in choices:
                    more = contextual(q[t], scores, weights["at_positions"])
                    scores = [a + b for a, b in zip(scores, more, strict=True)]
                for place, s in enumerate(seen):
                    if positions == "alibi":
                        scores[place] = scores[place] - 2.0 ** (-8 * (h + 1) / HEADS) * (t - s)
                    if "distance_bias" in choices:
                        which = bucket(t - s, **choices["distance_bias"])
                        scores[place] = scores[place] + weights["by_bucket"][h, which]
                    if "forget_bias" in choices:
                        scores[place] = scores[place] + log_f[s + 1 : t + 1].sum()
                shares = torch.stack(scores).exp()
                nothing = weights["sink"][h].exp() if choices.get("sink") else 0.0
                answers.append(shares @ v[seen.start : seen.stop] / (shares.sum() + nothing))
            heads.append(torch.stack(answers))
        rows.append(torch.cat(heads, dim=-1))
    return torch.stack(rows) @ weights["out.weight"].T + weights["out.bias"]


@pytest.mark.parametrize("choices", REMEDIES, ids=str)
@pytest.mark.parametrize(
    ("positions", "window"), list(product(["none", "rope", "alibi", "xpos"], [None, 4]))
)
def test_each_is_its_formula(choices: dict[str, Any], positions: str, window: int | None) -> None:
    """With every kind of positions inside attention, with a window and without."""
    chosen = {**choices, "window": window}
    layer = layer_of(positions, **chosen)
    assert_agree(layer, lambda w, x: attention(w, x, positions, chosen), stream(2, 11, WIDTH))


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("positions", ["none", "rope", "alibi", "xpos"])
def test_a_sequence_may_come_in_pieces(positions: str, window: int | None) -> None:
    """What was forgotten, and how many steps were seen, goes on where the last piece ended."""
    layer, x = layer_of(positions, window=window, **REMEDIES[-1]), stream(2, 40, WIDTH)
    state, answers = layer.initial_state(2), []
    for piece in x.tensor_split((1, 3, 20, 21), dim=1):
        y, state = layer.scan(piece, state)
        answers.append(y)
    torch.testing.assert_close(torch.cat(answers, 1), layer(x), rtol=0, atol=1e-10)
    numbers = sum(part[0].numel() for part in state)
    assert layer.state_bytes(40) == 4 * numbers


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("choices", REMEDIES[3:6], ids=str)
@pytest.mark.parametrize("positions", ["rope", "xpos"])
def test_blocks_of_queries_change_nothing(
    positions: str, choices: dict[str, Any], window: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers and gradients of 23 steps, seven at a time and at once; and nothing from ahead."""
    layer, x = layer_of(positions, window=window, **choices), stream(2, 23, WIDTH).requires_grad_()
    sources = [x, *layer.parameters()]
    found = []
    for block in (7, 128):
        monkeypatch.setattr(scored_attention, "_BLOCK", block)
        y = layer(x)
        (ahead,) = torch.autograd.grad(y[:, 11].sum(), x, retain_graph=True)
        assert ahead[:, 11].all()
        assert not ahead[:, 12:].any()
        found.append((y, *torch.autograd.grad((y * x.detach()).sum(), sources)))
    for cut, whole in zip(*found, strict=True):
        torch.testing.assert_close(cut, whole, rtol=0, atol=1e-12)
        assert whole.any()


@pytest.mark.parametrize("choices", REMEDIES[3:6], ids=str)
def test_in_bfloat16_they_stay_near(choices: dict[str, Any]) -> None:
    layer, x = layer_of(**choices), stream(2, 300, WIDTH)
    due = layer(x)
    mine = layer.bfloat16()(x.bfloat16())
    assert mine.dtype == torch.bfloat16
    torch.testing.assert_close(mine.double(), due, rtol=0, atol=0.1)


def test_a_bias_needs_distances_beyond_its_first_buckets() -> None:
    with pytest.raises(ValueError, match=r"farthest: 8 is not allowed; .* half the buckets \(8\)"):
        DistanceBias(buckets=16, farthest=8)
    assert DistanceBias.model_validate(4096) == DistanceBias(farthest=4096)


def test_forgetting_holds_over_long_sequences_in_float32() -> None:
    """Sums of thousands of logarithms: answers at the end are those of float64 to a thousandth."""
    layer = layer_of(forget_bias={"kind": "constant", "value": 2.0})
    x = stream(1, 3000, WIDTH)
    due = layer(x)[:, -50:]
    mine = layer.float()(x.float())[:, -50:]
    torch.testing.assert_close(mine.double(), due, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("window", [None, 3000])
def test_fading_scores_stay_in_float32_however_late(window: int | None) -> None:
    """Queries after 60,000 steps: the paper's factors by themselves would leave float32."""
    q, k, v = stream(1, 200, WIDTH, 1), stream(1, 60_000, WIDTH, 2), stream(1, 60_000, WIDTH, 3)
    rates = Xpos(Xpos.Config(kind="xpos"), WIDTH).fading(WIDTH)
    distance = torch.arange(59_800, 60_000)[:, None] - torch.arange(60_000)
    scores = torch.zeros(200, 60_000, dtype=torch.float64)
    for e, rate in enumerate(rates):
        scores += 9 * q[0, :, e, None] * k[0, :, e] * (rate * distance.clamp(min=0)).exp()
    unseen = (distance < 0) | (distance >= (window or math.inf))
    due = (scores / math.sqrt(WIDTH)).masked_fill(unseen, -math.inf).softmax(-1) @ v
    terms = Terms(None, rates, None, 0, None, None)
    mine = [(9 * q)[:, None].float(), k[:, None].float(), v[:, None].float()]
    mine[1].requires_grad_()
    found = scored_attention.scored_attention(*mine, mine[0], None, window, terms)
    torch.testing.assert_close(found[:, 0].double(), due, rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad(found.sum(), mine[1])
    assert gradient.isfinite().all()


def test_a_block_hands_them_on_and_an_older_configuration_keeps_its_digest() -> None:
    config = Transformer.Config.model_validate(REMEDIES[-1])
    names = dict(Transformer(config, Surroundings(WIDTH)).named_parameters())
    assert {"attention.sharpness", "attention.forget.bias", "attention.norms.0.weight"} <= set(
        names
    )
    assert set(Transformer.Config().model_dump()) == {"kind", "num_heads", "window"}
