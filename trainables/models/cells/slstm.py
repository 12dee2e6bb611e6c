"""``slstm``: the LSTM with an exponential input gate and a normaliser (Beck et al. 2024).

i, f, z, o = V x_t + R h_{t-1} + b, R within each of H heads
c_t = sigmoid(f) c_{t-1} + exp(i) tanh(z), n_t = sigmoid(f) n_{t-1} + exp(i)
h_t = sigmoid(o) c_t / n_t, y_t = W_out norm(h_t)

c and n are kept times exp(-m), where m is the largest exponent of a gate so far.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.first_weights import Constant, ForgetBiasConfig, forget_bias
from trainables.models.layer import PartConfig, Surroundings
from trainables.models.projected import Projected


class Slstm(Projected):
    """A weighted mean of what was written, which a later step can outweigh."""

    class Config(PartConfig):
        """How the cell starts.

        Attributes:
            num_heads: H, must divide the hidden size; units hear those of their own head
            forget_bias: the forget gate's; as c / n is a mean, the input gate needs no opposite

        """

        kind: Literal["slstm"] = "slstm"
        num_heads: int = Field(default=4, ge=1)
        forget_bias: ForgetBiasConfig = Constant.Config(value=3.0)

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around, maps=4)
        D, H = around.width, config.num_heads
        E = around.head_width(H)
        bound = E**-0.5
        self.recurrent = nn.Parameter(torch.empty(H, E, 4 * E).uniform_(-bound, bound))
        self.norm = nn.GroupNorm(H, D)
        self.out = nn.Linear(D, D)
        with torch.no_grad():
            self.enter.bias[D : 2 * D] = forget_bias(config.forget_bias).draw(D)

    def advance(
        self, driven: Float[Tensor, "B M"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        h, c, n, m = state
        H = self.config.num_heads
        heard = h.unflatten(-1, (H, 1, -1)) @ self.recurrent.to(h.dtype)  # B H 1 4E
        heard = heard.view(len(h), H, 4, -1).transpose(1, 2).flatten(2)
        i, f, z, o = (driven.unflatten(-1, (4, -1)) + heard).unbind(1)
        kept = nn.functional.logsigmoid(f)
        following = torch.maximum(kept + m, i).detach()  # any m gives the same h
        kept, written = torch.exp(kept + (m - following)), torch.exp(i - following)
        c = kept * c + written * torch.tanh(z)
        n = kept * n + written
        h = torch.sigmoid(o) * c / n
        return h, (h, c, n, following)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """Zeros for h, c and n, and for m no exponent at all; in float32 at least."""
        nothing = self.zeros(batch_size, self.width)
        return nothing, nothing, nothing, torch.full_like(nothing, -math.inf)

    def answer(self, h: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """W_out norm(h)."""
        return self.out(self.norm(h.reshape(-1, self.width)).view(h.shape))

    def flops_per_step(self, length: int) -> float:
        """Five square maps, and those of the heads."""
        return 2.0 * (5 * self.width**2 + self.recurrent.numel())
