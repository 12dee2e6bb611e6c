"""``gated_delta``: a matrix memory that corrects itself and forgets (Yang et al. 2024).

q, k, v = silu(convolution of W x over a few steps), q and k of length 1, in each of H heads
alpha = exp(-a softplus(w_a . x_t + b_a)), beta = m sigmoid(w_b . x_t + b_b)
S_t = alpha S_{t-1} + beta k (v - alpha S_{t-1}^T k)^T
y_t = W_out (norm(S_t^T q) silu(W_g x_t))

With m = 2 a step may turn around what a key recalled: an eigenvalue of -1 (Grazzi et al. 2024).
Several pairs of k and v a step, one after the other, are a product of such steps, and any rotation
of the memory is one (DeltaProduct, Siems et al. 2025).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.first_weights import TimescaleConfig, inverse_softplus
from trainables.models.kernels.chunks import chunk_size
from trainables.models.kernels.compiled.convolution import short_convolution
from trainables.models.kernels.compiled.maps import mapped
from trainables.models.kernels.compiled.matrices import delta_scan
from trainables.models.kernels.compiled.norms import gated_root_mean_square
from trainables.models.kernels.delta_kernel import gated_delta_rule
from trainables.models.kernels.door import suits
from trainables.models.kernels.scan import precise
from trainables.models.layer import Recurrence, Surroundings
from trainables.models.short_convolution import ShortConvolution
from trainables.shapes import Stream


class GatedDelta(Recurrence):
    """Writes the difference between a value and what its key already recalls."""

    class Config(TimescaleConfig):
        """How much is carried.

        Attributes:
            num_heads: H, must divide the hidden size; fewer heads, more memory
            taps: steps that the convolution sees
            largest_write: m, of beta; 1 overwrites, up to 2 turns around what a key recalled
            num_writes: pairs of a key and a value that are written at a step

        """

        kind: Literal["gated_delta"] = "gated_delta"
        num_heads: int = Field(default=4, ge=1)
        taps: int = Field(default=4, ge=1)
        largest_write: float = Field(default=1.0, gt=0, le=2)
        num_writes: int = Field(default=1, ge=1, le=16)

        later: ClassVar[frozenset[str]] = frozenset({"largest_write", "num_writes"})

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        D, H = around.width, config.num_heads
        around.head_width(H)  # or it is refused
        maps = 1 + 2 * config.num_writes
        self.qkv = nn.Linear(D, maps * D, bias=False)
        self.convolution = ShortConvolution(maps * D, config.taps)
        self.keep = nn.Linear(D, H)
        self.log_rate = nn.Parameter(torch.empty(H).uniform_(1, 16).log())
        self.write = nn.Linear(D, config.num_writes * H)
        self.norm = nn.RMSNorm(D // H, eps=1e-5)
        self.gate = nn.Linear(D, D, bias=False)
        self.out = nn.Linear(D, D, bias=False)
        with torch.no_grad():
            self.keep.bias.copy_(inverse_softplus(config.draw_log_dt(H).exp()))

    def forward(self, x: Stream) -> Stream:
        """Compiled, or chunk by chunk, or by a kernel on an accelerator."""
        state = self.initial_state(x.shape[0])
        if suits(x, *state, *self.parameters()):
            return self.scan(x, state)[0]
        qkv, *gates = (
            part.flatten(1, 2)
            for part in self._writes(self.convolution(self.qkv(x)), *self._told(x))
        )
        q, k, v = (part.transpose(1, 2) for part in self._heads(qkv))
        beta, log_alpha = (part.transpose(1, 2) for part in gates)
        o = gated_delta_rule(q, k, v, beta, log_alpha).transpose(1, 2)
        return self._answer(o[:, self.config.num_writes - 1 :: self.config.num_writes], x)

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """By compiled kernels where they run, else step by step."""
        if not suits(x, *state, *self.parameters()):
            return super().scan(x, state)
        past, S = state
        x = x.transpose(0, 1)
        told = mapped(self.keep, x), mapped(self.write, x)
        qkv, past = short_convolution(
            mapped(self.qkv, x), self.convolution.taps, self.convolution.bias, past
        )
        writes = self._writes(qkv, *told)
        qkv, beta, log_alpha = (part.movedim(2, 1).flatten(0, 1) for part in writes)
        o, S = delta_scan(qkv, beta, log_alpha, S)
        o = o[self.config.num_writes - 1 :: self.config.num_writes]
        weight, eps = self.norm.weight, self.norm.eps or 0.0
        o = gated_root_mean_square(o, weight, mapped(self.gate, x), eps)
        return mapped(self.out, o).transpose(0, 1), (past, S)

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
        writes = self._writes(qkv, *self._told(x))
        for write in zip(*(part.unbind(1) for part in writes), strict=True):
            q, k, v = (part[..., None, :] for part in self._heads(write[0]))  # rows
            beta, log_alpha = (part[..., None, None] for part in write[1:])
            S = log_alpha.exp() * S
            S = S + beta * k.mT * (v - k @ S)
        return self._answer((q @ S).squeeze(-2), x), (past, S)

    def _writes(
        self,
        qkv: Float[Tensor, "*N M"],
        keep: Float[Tensor, "*N H"],
        write: Float[Tensor, "*N n*H"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What is written one after the other at a step: qkv (*N, n, 3 D), the gates (*N, n, H).

        All is forgotten ahead of the first of them, and what follows it forgets nothing.
        """
        n, H = self.config.num_writes, self.config.num_heads
        beta, log_alpha = self._gates(keep, write)
        if n > 1:
            q, k, v = qkv.split([self.width, n * self.width, n * self.width], dim=-1)
            pairs = (part.unflatten(-1, (n, -1)) for part in (k, v))
            qkv = torch.cat([q[..., None, :].expand(*q.shape[:-1], n, -1), *pairs], dim=-1)
            log_alpha = nn.functional.pad(log_alpha, (0, (n - 1) * H))
        else:
            qkv = qkv[..., None, :]
        return qkv, beta.unflatten(-1, (n, H)), log_alpha.unflatten(-1, (n, H))

    def _heads(self, qkv: Float[Tensor, "*N M"]) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v (*N, H, E)."""
        wide = qkv.to(precise(qkv.dtype)).unflatten(-1, (3, self.config.num_heads, -1))
        q, k, v = wide.unbind(-3)
        return nn.functional.normalize(q, dim=-1), nn.functional.normalize(k, dim=-1), v

    def _told(self, x: Float[Tensor, "*N D"]) -> tuple[Tensor, Tensor]:
        """What the input says of keeping and of writing."""
        return self.keep(x), self.write(x)

    def _gates(self, keep: Tensor, write: Tensor) -> tuple[Tensor, Tensor]:
        """Beta (*N, n H) and log alpha (*N, H)."""
        wide = precise(keep.dtype)
        rate = self.log_rate.to(wide).exp()
        log_alpha = -rate * nn.functional.softplus(keep.to(wide))
        beta = self.config.largest_write * torch.sigmoid(write.to(wide))
        return beta, log_alpha

    def _answer(self, o: Float[Tensor, "*N H E"], x: Float[Tensor, "*N D"]) -> Tensor:
        """The gated and normed heads, mixed."""
        return self.out(self.norm(o.to(x.dtype)).flatten(-2) * nn.functional.silu(self.gate(x)))

    def flops_per_step(self, length: int) -> float:
        """Square maps, gates, convolution; for each head products in and between chunks."""
        H, E, n = self.config.num_heads, self.width // self.config.num_heads, self.config.num_writes
        L = min(n * length, chunk_size(E))
        maps = (3 + 2 * n) * self.width**2 + (1 + n) * H * self.width
        convolved = (1 + 2 * n) * self.width * self.config.taps
        return 2.0 * (maps + convolved + n * H * (4 * L * E + 3 * E**2))
