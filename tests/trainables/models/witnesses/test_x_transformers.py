"""Self-attention with RoPE, ALiBi, a window, and what else scores are made of: x-transformers."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from x_transformers.x_transformers import (
    AlibiPositionalBias,
    Attention,
    RelativePositionBias,
    RotaryEmbedding,
)

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.self_attention import SelfAttention
from trainables.models.layer import Surroundings
from trainables.models.positions import Alibi, Rope, Xpos

HEAD_WIDTH = 8
BASE = 256.0
"""Its frequencies, computed in float32, are powers of two at this width: no rounding."""


def around(positions: str, width: int) -> Surroundings:
    if positions == "rope":
        return Surroundings(width, rotate=Rope(Rope.Config(base=BASE), width).rotate)
    if positions == "xpos":
        return Xpos(Xpos.Config(base=BASE, fading_steps=64.0), width).around_layers
    if positions == "alibi":
        return Surroundings(width, slopes=Alibi(Alibi.Config(), width).slopes)
    return Surroundings(width)


def inside(positions: str, heads: int, length: int) -> dict[str, Any]:
    """What the package's attention is called with."""
    if positions == "rope":
        rotary = RotaryEmbedding(HEAD_WIDTH, base=BASE).double()
        return {"rotary_pos_emb": rotary.forward_from_seq_len(length)}
    if positions == "xpos":
        rotary = RotaryEmbedding(HEAD_WIDTH, base=BASE, use_xpos=True, scale_base=64).double()
        pairs = torch.arange(0, HEAD_WIDTH, 2).double() / HEAD_WIDTH
        rotary.scale = (pairs + 0.4) / 1.4  # as they were, without float32's rounding
        return {"rotary_pos_emb": rotary.forward_from_seq_len(length)}
    if positions == "alibi":
        return {"rel_pos": AlibiPositionalBias(heads).double()}
    return {}


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("heads", [1, 4, 6])
@pytest.mark.parametrize("positions", ["none", "rope", "alibi", "xpos"])
@pytest.mark.parametrize("length", [1, 63])
def test_attention_agrees_with_the_package(
    positions: str, heads: int, window: int | None, length: int
) -> None:
    """Its maps have no biases: they are given some here; its softmax is told to keep float64.

    Its window counts the steps before the own one, ours the own one too.
    """
    torch.manual_seed(0)
    width = heads * HEAD_WIDTH
    config = SelfAttention.Config(num_heads=heads, window=window)
    layer = SelfAttention(config, around(positions, width)).double()
    stirred(layer)
    past = None if window is None else window - 1
    theirs = Attention(
        width,
        HEAD_WIDTH,
        heads=heads,
        causal=True,
        max_attend_past=past,
        custom_attn_fn=partial(torch.softmax, dim=-1),
    )
    for name in ("to_q", "to_k", "to_v", "to_out"):
        setattr(theirs, name, nn.Linear(width, width))
    theirs.double()
    options = inside(positions, heads, length)

    def witness(weights: Weights, x: Tensor) -> Tensor:
        taken = {f"to_out.{name}": weights[f"out.{name}"] for name in ("weight", "bias")}
        for name in ("weight", "bias"):
            q, k, v = weights[f"qkv.{name}"].chunk(3)
            taken |= {f"to_q.{name}": q, f"to_k.{name}": k, f"to_v.{name}": v}
        return functional_call(theirs, taken, (x,), options)

    assert_agree(layer, witness, stream(2, length, width))


REMEDIES: list[dict[str, Any]] = [
    {"sink": True},
    {"distance_bias": {"buckets": 8, "farthest": 20}},
    {"contextual_positions": 6},
    {"sink": True, "distance_bias": {"buckets": 32, "farthest": 40}},
    {"sink": True, "contextual_positions": 60},
]


@pytest.mark.parametrize("choices", REMEDIES, ids=str)
@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("length", [1, 63])
def test_scores_agree_with_the_package(
    choices: dict[str, Any], window: int | None, length: int
) -> None:
    """T5's bias by distance, positions that are counted (CoPE), and a sink.

    The first two together differ: its gates see the bias, ours what is asked and answered alone.
    """
    torch.manual_seed(0)
    heads, width = 2, 2 * HEAD_WIDTH
    config = SelfAttention.Config.model_validate({"num_heads": 2, "window": window, **choices})
    layer = SelfAttention(config, Surroundings(width)).double()
    stirred(layer)
    positions, bias = config.contextual_positions, config.distance_bias
    theirs = Attention(
        width,
        HEAD_WIDTH,
        heads=heads,
        causal=True,
        max_attend_past=None if window is None else window - 1,
        custom_attn_fn=partial(torch.softmax, dim=-1),
        head_learned_sink=config.sink,
        use_cope=positions is not None,
        cope_max_pos=positions or 1,
    )
    for name in ("to_q", "to_k", "to_v", "to_out"):
        setattr(theirs, name, nn.Linear(width, width))
    if bias is not None:
        theirs.by_distance = RelativePositionBias(
            1.0, causal=True, num_buckets=bias.buckets, max_distance=bias.farthest, heads=heads
        )
    theirs.double()
    options = {} if bias is None else {"rel_pos": theirs.by_distance}

    def witness(weights: Weights, x: Tensor) -> Tensor:
        taken = {f"to_out.{name}": weights[f"out.{name}"] for name in ("weight", "bias")}
        for name in ("weight", "bias"):
            q, k, v = weights[f"qkv.{name}"].chunk(3)
            taken |= {f"to_q.{name}": q, f"to_k.{name}": k, f"to_v.{name}": v}
        if config.sink:
            taken["attend.head_attn_sink"] = weights["sink"]
        if positions is not None:
            taken["attend.cope.pos_emb"] = weights["at_positions"]
        if bias is not None:
            taken["by_distance.relative_attention_bias.weight"] = weights["by_bucket"].T
        return functional_call(theirs, taken, (x,), options)

    assert_agree(layer, witness, stream(2, length, width))
