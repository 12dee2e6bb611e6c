"""``kda``: Kimi delta attention, the gated delta rule with a gate for every channel (Kimi 2025).

q, k, v = silu(convolution of W x over a few steps), q and k of length 1, in each of H heads
log alpha = -5 sigmoid(W_up W_down x_t + b), beta = sigmoid(w_b . x_t + b_b)
S_t = (1 - beta k k^T) diag(alpha) S_{t-1} + beta k v^T
y_t = W_out (norm(S_t^T q) sigmoid(V_up V_down x_t))

The gate is the bounded one of the authors' package: nothing forgets more than e^-5 a step.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.first_weights import TimescaleConfig
from trainables.models.kernels.chunked.rank_one import (
    LARGEST_DECAY,
    Steps,
    chunked_rank_one,
    products_per_step,
)
from trainables.models.kernels.scan import precise
from trainables.models.layer import Recurrence, Surroundings
from trainables.models.short_convolution import ShortConvolution
from trainables.shapes import Stream


class Kda(Recurrence):
    """A matrix memory that corrects itself, and forgets one channel of its keys and not another."""

    class Config(TimescaleConfig):
        """How much is carried.

        Attributes:
            num_heads: H, must divide the hidden size; fewer heads, more memory
            taps: steps that the convolution sees
            largest_write: of beta; 1 overwrites, up to 2 turns around what a key recalled

        """

        kind: Literal["kda"] = "kda"
        num_heads: int = Field(default=4, ge=1)
        taps: int = Field(default=4, ge=1)
        largest_write: float = Field(default=1.0, gt=0, le=2)

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        D, H = around.width, config.num_heads
        E = around.head_width(H)
        self.qkv = nn.Linear(D, 3 * D, bias=False)
        self.convolution = ShortConvolution(3 * D, config.taps)
        self.narrow = nn.Linear(D, 2 * E, bias=False)  # W_down and V_down
        self.keep = nn.Linear(E, D)
        self.write = nn.Linear(D, H)
        self.gate = nn.Linear(E, D)
        self.norm = nn.RMSNorm(E, eps=1e-5)
        self.out = nn.Linear(D, D, bias=False)
        with torch.no_grad():
            self.keep.bias.copy_(torch.logit(config.draw_log_dt(D).exp() / LARGEST_DECAY))

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """Chunk by chunk."""
        past, S = state
        qkv, past = self.convolution.scan(self.qkv(x), past)
        narrow, opened = self.narrow(x).chunk(2, dim=-1)
        steps = (part.transpose(1, 2) for part in self._steps(x, qkv, narrow))
        o, S = chunked_rank_one(Steps(*steps), S)
        return self._answer(o.transpose(1, 2), opened), (past, S)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """Zeros: the convolution's past, and S (B, H, E, E) in float32 at least."""
        H, weight = self.config.num_heads, self.out.weight
        E = self.width // H
        S = weight.new_zeros(batch_size, H, E, E, dtype=precise(weight.dtype))
        return self.convolution.initial_state(batch_size), S

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        past, S = state
        qkv, past = self.convolution.step(self.qkv(x), past)
        narrow, opened = self.narrow(x).chunk(2, dim=-1)
        q, k, v, a, b, log_w = (part[..., None] for part in self._steps(x, qkv, narrow))
        S = log_w.exp() * S + a @ (b.mT @ S) + k @ v.mT
        return self._answer((S.mT @ q).squeeze(-1), opened), (past, S)

    def _steps(
        self, x: Float[Tensor, "*N D"], qkv: Float[Tensor, "*N M"], narrow: Float[Tensor, "*N E"]
    ) -> Steps:
        """What each step does, (*N, H, E)."""
        wide, H = precise(x.dtype), self.config.num_heads
        q, k, v = qkv.to(wide).unflatten(-1, (3, H, -1)).unbind(-3)
        q, k = nn.functional.normalize(q, dim=-1), nn.functional.normalize(k, dim=-1)
        log_w = -LARGEST_DECAY * torch.sigmoid(self.keep(narrow).to(wide)).unflatten(-1, (H, -1))
        beta = self.config.largest_write * torch.sigmoid(self.write(x).to(wide))[..., None]
        return Steps(q, beta * k, v, -beta * k, log_w.exp() * k, log_w)

    def _answer(self, o: Float[Tensor, "*N H E"], opened: Float[Tensor, "*N E"]) -> Tensor:
        """The gated and normed heads, mixed."""
        gate = torch.sigmoid(self.gate(opened))
        return self.out(self.norm(o.to(self.norm.weight.dtype)).flatten(-2) * gate)

    def flops_per_step(self, length: int) -> float:
        """Four square maps, narrow ones, gates, convolution; for each head its products."""
        D, H = self.width, self.config.num_heads
        E = D // H
        maps = 4 * D**2 + 4 * D * E + H * D + 3 * D * self.config.taps
        return 2.0 * (maps + H * products_per_step(length, E))
