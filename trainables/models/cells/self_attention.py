"""``self_attention``: causal self-attention of several heads (Vaswani et al. 2017, 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, pad

from trainables.models.attention import (
    Heads,
    causal_attention,
    forgetting,
    late_attention,
    mean_span,
)
from trainables.models.first_weights import ForgetBiasConfig, forget_bias
from trainables.models.kernels.chunked.given_types import in_given_types
from trainables.models.kernels.scan import precise
from trainables.models.layer import Layer, PartConfig, Surroundings
from trainables.models.scored_attention import Terms, scored_attention
from trainables.parts import Config
from trainables.shapes import Stream


class DistanceBias(Config):
    """A number that each head adds to a score by the distance, in buckets (Raffel et al. 2020).

    Written as a number, it is ``farthest``.

    Attributes:
        buckets: half of them for a distance each, the others even in its logarithm
        farthest: the distance from which on there is one bucket

    """

    buckets: int = Field(default=32, ge=4, le=1024, multiple_of=2)
    farthest: int = Field(default=128, ge=4)

    @model_validator(mode="before")
    @classmethod
    def _number(cls, given: Any) -> Any:
        is_number = isinstance(given, int) and not isinstance(given, bool)
        return {"farthest": given} if is_number else given

    @model_validator(mode="after")
    def _far_enough(self) -> Self:
        if self.farthest <= self.buckets // 2:
            raise ValueError(
                f"farthest: {self.farthest} is not allowed; it must be above half the buckets "
                f"({self.buckets // 2})"
            )
        return self


class HeadsConfig(PartConfig):
    """Heads of self-attention.

    Attributes:
        num_heads: H, which must divide the hidden size
        window: how many steps a step sees, itself among them; null for all of them
        normed: whether queries and keys have length sqrt(E), times a weight for each of E channels,
            so that no score grows without bounds (Dehghani et al. 2023)
        sharpened: whether scores are multiplied by s log n, n the steps seen and s learned by each
            head, so that attention does not flatten as a sequence grows (Nakanishi 2025)
        forget_bias: of a gate f in each head; a score of step s at step t then falls by the sum of
            -log f since s (FoX, Lin et al. 2025); null for no gate
        sink: whether each head may look at nothing, by a learned score that takes its share of the
            softmax (gpt-oss 2025; Xiao et al. 2024)
        distance_bias: what each head adds by distance, learned (T5's); null for nothing
        contextual_positions: how many positions have an embedding, where a position counts the
            steps since that a gate lets count (CoPE, Golovneva et al. 2024); null for no positions

    """

    num_heads: int = Field(default=4, ge=1)
    window: int | None = Field(default=None, ge=1)
    normed: bool = False
    sharpened: bool = False
    forget_bias: ForgetBiasConfig | None = None

    sink: bool = False
    distance_bias: DistanceBias | None = None
    contextual_positions: int | None = Field(default=None, ge=2, le=65_536)

    later: ClassVar[frozenset[str]] = frozenset(
        {
            "normed",
            "sharpened",
            "forget_bias",
            "sink",
            "distance_bias",
            "contextual_positions",
        }
    )

    @property
    def scores_are_sums(self) -> bool:
        """Whether scores are more than a product of queries and keys with penalties."""
        return self.sink or self.distance_bias is not None or self.contextual_positions is not None


class SelfAttention(Layer):
    """softmax(Q K^T / sqrt(E)) V over the past, H heads of width E = D / H."""

    class Config(HeadsConfig):
        """Self-attention alone, without a feed-forward net."""

        kind: Literal["self_attention"] = "self_attention"

    attends = True

    def __init__(self, config: HeadsConfig, around: Surroundings) -> None:
        super().__init__(config, around)
        head_width = around.head_width(config.num_heads)
        if around.rotate is not None and head_width % 2:
            raise ValueError(
                f"num_heads: {config.num_heads} is not allowed; rotary positions need an even "
                f"head width, and {around.width} / {config.num_heads} is {head_width}"
            )
        self.rotate = around.rotate
        self.slopes = None if around.slopes is None else around.slopes(config.num_heads)
        self.fading = None if around.fading is None else around.fading(head_width)
        self.qkv = nn.Linear(around.width, 3 * around.width)
        self.out = nn.Linear(around.width, around.width)
        if config.normed:
            self.norms = nn.ModuleList(nn.RMSNorm(head_width, eps=1e-6) for _ in "qk")
        if config.sharpened:
            self.sharpness = nn.Parameter(torch.full((config.num_heads,), 0.43))  # 1 for n = 10
        if config.forget_bias is not None:
            self.forget = nn.Linear(around.width, config.num_heads)
            with torch.no_grad():
                self.forget.bias.copy_(forget_bias(config.forget_bias).draw(config.num_heads))
        if config.sink:
            self.sink = nn.Parameter(torch.zeros(config.num_heads))
        if config.distance_bias is not None:
            buckets = config.distance_bias.buckets
            self.by_bucket = nn.Parameter(torch.zeros(config.num_heads, buckets))
        if config.contextual_positions is not None:
            self.at_positions = nn.Parameter(torch.zeros(config.contextual_positions, head_width))

    @property
    def plain_maps(self) -> Sequence[nn.Linear]:
        """All but that of a gate, which starts by its bias."""
        return self.qkv, self.out

    @property
    def scores_one_by_one(self) -> bool:
        """Whether no kernel of torch's knows its scores."""
        return self.config.scores_are_sums or self.fading is not None

    def forward(self, x: Stream) -> Stream:
        """Attend to the past and to the step itself."""
        q, k, v = self._heads(x)
        asking, kept = q, self._kept(x)
        if self.rotate is not None:
            q, k = self.rotate(q), self.rotate(k)
        q = self._sharp(q, before=0)
        if self.scores_one_by_one:
            y_BHTE = self._scored(q, k, v, asking, None if kept is None else kept.cumsum(-1))
        elif kept is None:
            y_BHTE = causal_attention(q, k, v, self.slopes, self.config.window)
        else:
            forgetful = in_given_types(causal_attention)
            qkv = forgetting(q, k, v, kept.cumsum(-1))
            y_BHTE = forgetful(*qkv, self.slopes, self.config.window)[..., : q.shape[-1]]
        return self._joined(y_BHTE, x)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The cache of no steps: keys, not rotated yet, and values (B, H, S, E).

        Then the logarithm of what is kept up to each of them (B, H, S), where that is gated.
        """
        H, weight = self.config.num_heads, self.out.weight
        none = weight.new_zeros(batch_size, H, 0, self.width // H)
        state = [none, none]
        if self.config.forget_bias is not None:
            state.append(weight.new_zeros(batch_size, H, 0, dtype=precise(weight.dtype)))
        return tuple(state)

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """Attend to the cache and to the piece; the cache grows, up to the window.

        Scores depend on distances alone, so positions are counted from the cache's first step.
        """
        T, window = x.shape[1], self.config.window
        q, *new = self._heads(x)
        asking = q
        kept = self._kept(x)
        if kept is not None:
            forgotten = kept.cumsum(-1)
            new.append(forgotten + state[2][..., -1:] if state[2].shape[-1] else forgotten)
        k, v, *gone = (torch.cat(parts, dim=2) for parts in zip(state, new, strict=True))
        past = 0 if window is None else max(0, k.shape[2] - (window - 1))
        carried = (k[:, :, past:], v[:, :, past:], *(part[:, :, past:] for part in gone))
        before = k.shape[2] - T
        if self.rotate is not None:
            q = self.rotate(pad(q, (0, 0, before, 0)))[:, :, before:]
            k = self.rotate(k)
        q = self._sharp(q, before)
        if self.scores_one_by_one:
            y_BHTE = self._scored(q, k, v, asking, gone[0] if gone else None)
        elif kept is None:
            y_BHTE = late_attention(q, k, v, self.slopes, window)
        else:
            qkv = forgetting(q, k, v, gone[0])
            y_BHTE = in_given_types(late_attention)(*qkv, self.slopes, window)[..., : q.shape[-1]]
        return self._joined(y_BHTE, x), carried

    def _heads(self, x: Stream) -> tuple[Heads, Heads, Heads]:
        """Queries, keys and values, not rotated yet."""
        qkv = self.qkv(x).unflatten(-1, (3, self.config.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        if self.config.normed:
            q, k = (
                norm(part.to(norm.weight.dtype)).to(v.dtype)
                for norm, part in zip(self.norms, (q, k), strict=True)
            )
        return q, k, v

    def _kept(self, x: Stream) -> Float[Tensor, "B H T"] | None:
        """Log f of every step, if there is a gate."""
        if self.config.forget_bias is None:
            return None
        return logsigmoid(self.forget(x).to(precise(x.dtype))).transpose(1, 2)

    def _sharp(self, q: Heads, before: int) -> Heads:
        """Queries times s log n, where the first is of step ``before``."""
        if not self.config.sharpened:
            return q
        seen = torch.arange(before + 1, before + q.shape[2] + 1, device=q.device)
        if self.config.window is not None:
            seen = seen.clamp(max=self.config.window)
        factors = self.sharpness[:, None] * seen.to(precise(q.dtype)).log()
        return q * factors[..., None].to(q.dtype)

    def _scored(
        self, q: Heads, k: Heads, v: Heads, asking: Heads, log_kept: Tensor | None
    ) -> Heads:
        """Score by score, in float32 at least, as positions are counted in them."""
        config = self.config
        bias = config.distance_bias
        terms = Terms(
            slopes=self.slopes,
            fading=self.fading,
            by_bucket=None if bias is None else self.by_bucket,
            farthest=0 if bias is None else bias.farthest,
            at_positions=None if config.contextual_positions is None else self.at_positions,
            sink=self.sink if config.sink else None,
        )
        wide = precise(v.dtype)
        q, k, v, asking = (part.to(wide) for part in (q, k, v, asking))
        return in_given_types(scored_attention)(q, k, v, asking, log_kept, config.window, terms)

    def _joined(self, y: Heads, x: Stream) -> Stream:
        """The heads side by side, mixed."""
        return self.out(y.transpose(1, 2).flatten(2).to(x.dtype))

    def flops_per_step(self, length: int) -> float:
        """Four square maps; a score and a value for each step seen."""
        seen = mean_span(length, self.config.window)
        gates = 0 if self.config.forget_bias is None else self.config.num_heads
        positions = self.config.contextual_positions or 0
        scores = 2 * seen * self.width + gates * (self.width + 2 * seen) + positions * self.width
        return 2.0 * (4 * self.width**2 + scores)

    def state_bytes(self, length: int) -> int:
        """Keys and values of the steps that the next one may see."""
        window = self.config.window
        kept = length if window is None else min(length, window - 1)
        gates = 0 if self.config.forget_bias is None else self.config.num_heads
        return 4 * kept * (2 * self.width + gates)
