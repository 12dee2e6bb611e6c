"""``recurrent_memory``: attention within segments, and memory tokens handed from one to the next.

Of each segment x_1 .. x_S the block is shown [m; x_1 .. x_S; m] (RMT, Bulatov et al. 2022, eq. 3):
steps see the memory and the segment up to themselves, the memory at the end sees all of it, and
what comes of that is the memory of the next segment. With A attention, F a feed-forward net:

    a_t = A(x_t | m, x_1 .. x_t)              y_t = a_t + F(norm(x_t + a_t))
    b   = A(m | m, x_1 .. x_S, m)             m' = norm(m + b + F(norm(m + b)))

each token normed, with a vector of its own place added, before it is asked and answered. Gradients
go through the memory. Every block has a memory of its own, as in Rodkin et al. 2024; one block is
RMT with one layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from trainables.models.attention import Heads, mean_span
from trainables.models.layer import Layer, PartConfig, Surroundings
from trainables.shapes import Stream

Tokens = Float[Tensor, "B M D"]


class Segment(NamedTuple):
    """What is carried: the memory, and keys and values of the steps so far of a segment."""

    memory: Tokens
    keys: Heads
    values: Heads


class RecurrentMemory(Layer):
    """Looks back within a segment, and over all before it by a memory of a few tokens."""

    class Config(PartConfig):
        """How long segments are, and how much goes from one to the next.

        Attributes:
            num_heads: H, which must divide the hidden size
            segment: S, steps
            num_tokens: M, of memory, each as wide as the stream

        """

        kind: Literal["recurrent_memory"] = "recurrent_memory"
        num_heads: int = Field(default=4, ge=1)
        segment: int = Field(default=32, ge=1)
        num_tokens: int = Field(default=8, ge=1, le=4096)

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        D, M = around.width, config.num_tokens
        around.head_width(config.num_heads)  # or it is refused
        self.first_memory = nn.Parameter(torch.randn(M, D))
        self.places = nn.Parameter(torch.randn(M + config.segment + M, D))
        self.norms = nn.ModuleList(nn.LayerNorm(D) for _ in ("asking", "inside", "memory"))
        self.qkv = nn.Linear(D, 3 * D)
        self.out = nn.Linear(D, D)
        self.widen = nn.Linear(D, 4 * D)
        self.narrow = nn.Linear(4 * D, D)

    def initial_state(self, batch_size: int) -> Segment:
        """A learned memory, normed as all later ones, and no step of a segment yet."""
        return self.begun(self.norms[2](self.first_memory).expand(batch_size, -1, -1))

    def begun(self, memory: Tokens) -> Segment:
        """A segment of which no step was seen yet."""
        H = self.config.num_heads
        none = self.out.weight.new_zeros(memory.shape[0], H, 0, self.width // H)
        return Segment(memory, none, none)

    def forward(self, x: Stream) -> Stream:
        """Segment by segment."""
        return self.scan(x, self.initial_state(x.shape[0]))[0]

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, Segment]:
        """The same on from within a segment."""
        segment, answers = Segment(*state), []
        for piece in x.split(self._pieces(x.shape[1], segment.keys.shape[2]), dim=1):
            y, segment = self.within(piece, segment)
            answers.append(y)
            if segment.keys.shape[2] == self.config.segment:
                segment = self.begun(self.written(segment))
        return torch.cat(answers, dim=1), segment

    def within(self, x: Stream, segment: Segment) -> tuple[Stream, Segment]:
        """The answers of steps of one segment, which then holds them too."""
        memory, keys, values = segment
        before = keys.shape[2]
        q, k, v = self._heads(x, self.config.num_tokens + before, keys.dtype)
        keys, values = torch.cat((keys, k), dim=2), torch.cat((values, v), dim=2)
        _, read_k, read_v = self._heads(memory, 0, keys.dtype)
        seen = torch.cat((read_k, keys), dim=2), torch.cat((read_v, values), dim=2)
        key = torch.arange(seen[0].shape[2], device=x.device)
        is_past = key <= key[-x.shape[1] :, None]
        a = self._joined(scaled_dot_product_attention(q, *seen, attn_mask=is_past), x)
        return a + self._feed_forward(x + a), Segment(memory, keys, values)

    def written(self, segment: Segment) -> Tokens:
        """The memory after a whole segment."""
        memory, keys, values = segment
        _, read_k, read_v = self._heads(memory, 0, keys.dtype)
        q, k, v = self._heads(memory, self.config.num_tokens + self.config.segment, keys.dtype)
        seen = torch.cat((read_k, keys, k), dim=2), torch.cat((read_v, values, v), dim=2)
        memory = memory + self._joined(scaled_dot_product_attention(q, *seen), memory)
        after: Tokens = self.norms[2](memory + self._feed_forward(memory))
        return after

    def _pieces(self, length: int, held: int) -> Sequence[int]:
        """Steps up to the end of each segment, of which the first holds some already."""
        sizes = []
        while length:
            sizes.append(min(length, self.config.segment - held))
            length, held = length - sizes[-1], 0
        return sizes

    def _heads(
        self, tokens: Float[Tensor, "B N D"], first: int, dtype: torch.dtype
    ) -> tuple[Heads, Heads, Heads]:
        """Queries, keys and values of tokens, the first of which stands at place ``first``."""
        places = self.places[first : first + tokens.shape[1]]
        qkv = self.qkv(self.norms[0](tokens + places)).to(dtype)
        q, k, v = qkv.unflatten(-1, (3, self.config.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v

    def _joined(self, heads: Heads, like: Tensor) -> Float[Tensor, "B N D"]:
        """The heads side by side, mixed."""
        return self.out(heads.transpose(1, 2).flatten(2)).to(like.dtype)

    def _feed_forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        return self.narrow(gelu(self.widen(self.norms[1](tokens)))).to(tokens.dtype)

    def flops_per_step(self, length: int) -> float:
        """A block's maps and scores for each step; and for the memory, read and written."""
        D, M, S = self.width, self.config.num_tokens, self.config.segment
        steps = 12 * D**2 + 2 * D * (M + mean_span(min(length, S), None))
        reading = 3 * M * D**2 * -(-length // S)
        writing = M * ((3 + 12) * D**2 + 2 * D * (2 * M + S)) * (length // S)
        return 2.0 * (steps + (reading + writing) / length)

    def state_bytes(self, length: int) -> int:
        """The memory, and the keys and values of as many steps as a segment ever holds."""
        held = min(length, self.config.segment - 1)
        return 4 * self.width * (self.config.num_tokens + 2 * held)
