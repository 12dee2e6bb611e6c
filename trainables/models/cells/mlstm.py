"""``mlstm``: the LSTM with a matrix memory and an exponential input gate (Beck et al. 2024).

q, k, v = W x_t, k / sqrt(E), in each of H heads of width E = D / H
f = sigmoid(w_f . x_t + b_f), i = exp(w_i . x_t + b_i)
C_t = f C_{t-1} + i v k^T, n_t = f n_{t-1} + i k
h_t = C_t q / max(|n_t . q|, 1)
y_t = W_out (sigmoid(W_o x_t + b_o) * norm(h_t))
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.kernels.chunked_mlstm import chunked_mlstm, read
from trainables.models.kernels.chunks import chunk_size
from trainables.models.kernels.compiled.maps import mapped
from trainables.models.kernels.compiled.matrices import mlstm_scan
from trainables.models.kernels.compiled.norms import gated_group
from trainables.models.kernels.door import suits
from trainables.models.kernels.scan import precise
from trainables.models.layer import PartConfig, Recurrence, Surroundings
from trainables.shapes import Stream


class Mlstm(Recurrence):
    """Writes pairs of keys and values into a matrix; trains in parallel over time."""

    class Config(PartConfig):
        """``num_heads`` must divide the hidden size; fewer heads, more memory."""

        kind: Literal["mlstm"] = "mlstm"
        num_heads: int = Field(default=4, ge=1)

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        D, H = around.width, config.num_heads
        around.head_width(H)  # or it is refused
        self.qkv = nn.Linear(D, 3 * D)
        self.gates = nn.Linear(D, 2 * H)  # of input and of forgetting
        self.open = nn.Linear(D, D)
        self.norm = nn.GroupNorm(H, D)
        self.out = nn.Linear(D, D)
        with torch.no_grad():
            self.gates.weight.zero_()
            self.gates.bias[:H].normal_(std=0.1)
            self.gates.bias[H:] = torch.linspace(3, 6, H)

    def forward(self, x: Stream) -> Stream:
        """Compiled, or chunk by chunk."""
        state = self.initial_state(x.shape[0])
        if suits(x, *state, *self.parameters()):
            return self.scan(x, state)[0]
        q, k, v, log_i, log_f = (part.movedim(-2, 1) for part in self._heads(x))
        h_BHTE = chunked_mlstm(q, k, v, log_i.squeeze(-1), log_f.squeeze(-1))
        return self._answer(h_BHTE.transpose(1, 2), x)

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """By a compiled kernel where it runs, else step by step."""
        if not suits(x, *state, *self.parameters()):
            return super().scan(x, state)
        joint, m = state
        x = x.transpose(0, 1)
        i, f = mapped(self.gates, x).chunk(2, dim=-1)
        start = (joint[..., :-1], joint[..., -1], m)
        h, (C, n, m) = mlstm_scan(mapped(self.qkv, x), i, nn.functional.logsigmoid(f), start)
        weight, bias, eps = self.norm.weight, self.norm.bias, self.norm.eps
        h = gated_group(h, weight, bias, mapped(self.open, x), self.config.num_heads, eps)
        return mapped(self.out, h).transpose(0, 1), (torch.cat((C, n[..., None]), dim=-1), m)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The zero memory (B, H, E, E + 1), n its last column, and m (B, H), in float32 at least.

        Both are kept times exp(-m), where m is the largest exponent of a gate so far.
        """
        weight, H = self.out.weight, self.config.num_heads
        dtype, E = precise(weight.dtype), self.width // H
        memory = weight.new_zeros(batch_size, H, E, E + 1, dtype=dtype)
        return memory, memory.new_zeros(batch_size, H)

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        memory, m = state
        q, k, v, log_i, log_f = self._heads(x)
        following = torch.maximum(log_f.squeeze(-1) + m, log_i.squeeze(-1)).detach()
        kept = torch.exp(log_f + (m - following)[..., None])[..., None]
        k = k * torch.exp(log_i - following[..., None])
        v = torch.cat([v, torch.ones_like(v[..., :1])], dim=-1)
        memory = kept * memory + k[..., :, None] * v[..., None, :]
        h = read((q[..., None, :] @ memory).squeeze(-2), following)
        return self._answer(h, x), (memory, following)

    def _heads(self, x: Float[Tensor, "*N D"]) -> tuple[Tensor, ...]:
        """q, k, v (*N, H, E) and log i, log f (*N, H, 1)."""
        H, wide = self.config.num_heads, precise(x.dtype)
        qkv = self.qkv(x).to(wide).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (H, -1)) for part in qkv)
        i, f = self.gates(x).to(wide).chunk(2, dim=-1)
        log_f = nn.functional.logsigmoid(f)
        return q, k * k.shape[-1] ** -0.5, v, i[..., None], log_f[..., None]

    def _answer(self, h: Float[Tensor, "*N H E"], x: Float[Tensor, "*N D"]) -> Tensor:
        """The gated and normed heads, mixed."""
        h = self.norm(h.reshape(-1, self.width).to(x.dtype)).view(x.shape)
        return self.out(torch.sigmoid(self.open(x)) * h)

    def flops_per_step(self, length: int) -> float:
        """Five square maps, the gates, and for each head products inside and between chunks."""
        H, E = self.config.num_heads, self.width // self.config.num_heads
        L = min(length, chunk_size(E))
        maps = 5 * self.width**2 + 2 * H * self.width
        return 2.0 * (maps + H * (L * (2 * E + 1) + 2 * E * (E + 1)))
