"""Self-attention with RoPE, ALiBi and a window against x-transformers."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from x_transformers.x_transformers import (
    AlibiPositionalBias,
    Attention,
    RotaryEmbedding,
)

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.self_attention import SelfAttention
from trainables.models.layer import Surroundings
from trainables.models.positions import Alibi, Rope

HEAD_WIDTH = 8
BASE = 256.0
"""Its frequencies, computed in float32, are powers of two at this width: no rounding."""


def around(positions: str, width: int) -> Surroundings:
    if positions == "rope":
        return Surroundings(width, rotate=Rope(Rope.Config(base=BASE), width).rotate)
    if positions == "alibi":
        return Surroundings(width, slopes=Alibi(Alibi.Config(), width).slopes)
    return Surroundings(width)


def inside(positions: str, heads: int, length: int) -> dict[str, Any]:
    """What the package's attention is called with."""
    if positions == "rope":
        rotary = RotaryEmbedding(HEAD_WIDTH, base=BASE).double()
        return {"rotary_pos_emb": rotary.forward_from_seq_len(length)}
    if positions == "alibi":
        return {"rel_pos": AlibiPositionalBias(heads).double()}
    return {}


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("heads", [1, 4, 6])
@pytest.mark.parametrize("positions", ["none", "rope", "alibi"])
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
