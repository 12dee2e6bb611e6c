"""``rwkv7``: a matrix memory with a rate of its own for every channel, to decay and to remove.

Peng et al. 2025, time mixing: x_n = lerp(x_t, x_{t-1}, mu_n) for each map n below, then
r, k, v = W x; w = exp(-e^(-1/2) sigmoid(d)), a = sigmoid(.), g, each from a narrow net
kappa = xi k, of length 1 in each of H heads; k' = k (1 + (a - 1) alpha)
S_t = (diag(w) - (a kappa) kappa^T) S_{t-1} + k' v^T
p = norm(S_t^T r) + (r . rho k') v, y_t = W_out (g p)
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.first_weights import TimescaleConfig
from trainables.models.kernels.chunked.rank_one import Steps, chunked_rank_one, products_per_step
from trainables.models.kernels.scan import precise
from trainables.models.layer import Recurrence, Surroundings
from trainables.shapes import Stream

FASTEST = math.exp(-0.5)
"""Of -log w: a channel keeps 0.545 of itself a step at least."""

MIXES = 6  # of r, k, v, d, a, g


class Rwkv7(Recurrence):
    """Removes along one direction and writes along another, each channel at its own rate."""

    class Config(TimescaleConfig):
        """How much is carried.

        Attributes:
            num_heads: H, must divide the hidden size; fewer heads, more memory
            narrow_width: of the nets that make rates and gate

        """

        kind: Literal["rwkv7"] = "rwkv7"
        num_heads: int = Field(default=4, ge=1)
        narrow_width: int = Field(default=16, ge=1)

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        D, H, N = around.width, config.num_heads, config.narrow_width
        around.head_width(H)  # or it is refused
        self.mu = nn.Parameter(torch.rand(MIXES, D))
        self.receive, self.key, self.value = (nn.Linear(D, D, bias=False) for _ in range(3))
        self.narrow_decay, self.narrow_remove, self.narrow_gate = (
            nn.Linear(D, N, bias=False) for _ in range(3)
        )
        self.decay, self.remove = nn.Linear(N, D), nn.Linear(N, D)
        self.gate = nn.Linear(N, D, bias=False)
        self.xi = nn.Parameter(torch.full((D,), 0.85))
        self.alpha = nn.Parameter(torch.ones(D))
        self.rho = nn.Parameter(torch.randn(D) * 0.1)
        self.norm = nn.GroupNorm(H, D, eps=64e-5)
        self.out = nn.Linear(D, D, bias=False)
        with torch.no_grad():
            slow = config.draw_log_dt(D).exp().clamp(max=0.99 * FASTEST)
            self.decay.bias.copy_(torch.logit(slow / FASTEST))

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """Chunk by chunk."""
        last, S = state
        steps, gate = self._steps(x, torch.cat((last[:, None], x[:, :-1]), dim=1))
        o, S = chunked_rank_one(Steps(*(part.transpose(1, 2) for part in steps)), S)
        return self._answer(o.transpose(1, 2), steps, gate), (x[:, -1], S)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """Zeros: the input before the first, and S (B, H, E, E) in float32 at least."""
        H, weight = self.config.num_heads, self.out.weight
        E = self.width // H
        S = weight.new_zeros(batch_size, H, E, E, dtype=precise(weight.dtype))
        return weight.new_zeros(batch_size, self.width), S

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        last, S = state
        steps, gate = self._steps(x, last)
        q, k, v, a, b, log_w = (part[..., None] for part in steps)
        S = log_w.exp() * S + a @ (b.mT @ S) + k @ v.mT
        return self._answer((S.mT @ q).squeeze(-1), steps, gate), (x, S)

    def _steps(
        self, x: Float[Tensor, "*N D"], last: Float[Tensor, "*N D"]
    ) -> tuple[Steps, Float[Tensor, "*N D"]]:
        """What each step does, (*N, H, E), and the gate."""
        wide, H = precise(x.dtype), self.config.num_heads
        last = last.to(x.dtype)
        x_r, x_k, x_v, x_d, x_a, x_g = (
            torch.lerp(x, last, mu) for mu in self.mu.to(x.dtype).unbind()
        )
        r, k, v = (
            map_(part).to(wide)
            for map_, part in ((self.receive, x_r), (self.key, x_k), (self.value, x_v))
        )
        d = self.decay(torch.tanh(self.narrow_decay(x_d))).to(wide)
        a = torch.sigmoid(self.remove(self.narrow_remove(x_a)).to(wide))
        gate = self.gate(torch.sigmoid(self.narrow_gate(x_g)))
        log_w = -FASTEST * torch.sigmoid(d)
        kappa = nn.functional.normalize((self.xi * k).unflatten(-1, (H, -1)), dim=-1)
        k = k * (1 + (a - 1) * self.alpha)
        r, k, v, a, log_w = (part.unflatten(-1, (H, -1)) for part in (r, k, v, a, log_w))
        return Steps(r, k, v, -a * kappa, kappa, log_w), gate

    def _answer(
        self, o: Float[Tensor, "*N H E"], steps: Steps, gate: Float[Tensor, "*N D"]
    ) -> Float[Tensor, "*N D"]:
        """W_out (g (norm(o) + (r . rho k) v))."""
        rho = self.rho.unflatten(0, o.shape[-2:]).to(o.dtype)
        present = (steps.q * rho * steps.k).sum(-1, keepdim=True) * steps.v
        rows = o.reshape(-1, self.width).to(self.norm.weight.dtype)
        p = self.norm(rows).view(gate.shape) + present.flatten(-2).to(gate.dtype)
        return self.out(gate * p)

    def flops_per_step(self, length: int) -> float:
        """Four square maps, narrow ones, and for each head its products."""
        D, H = self.width, self.config.num_heads
        maps = 4 * D**2 + 6 * D * self.config.narrow_width
        return 2.0 * (maps + H * products_per_step(length, D // H))
