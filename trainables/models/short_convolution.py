"""A causal convolution over a few steps, each channel by itself."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.shapes import Stream


class ShortConvolution(nn.Module):
    """y_t = silu(b + sum_k w_k x_{t-k}), K taps, as Mamba and its kin put before the recurrence."""

    def __init__(self, width: int, taps: int) -> None:
        super().__init__()
        bound = taps**-0.5
        self.taps = nn.Parameter(torch.empty(taps, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(width).uniform_(-bound, bound))

    def forward(self, x: Stream) -> Stream:
        """All steps at once; zeros stand before the first."""
        return nn.functional.silu(self.weighted(x))

    def weighted(self, x: Stream) -> Stream:
        """The sum alone."""
        K, T = len(self.taps), x.shape[1]
        padded = nn.functional.pad(x, (0, 0, K - 1, 0))
        y: Tensor = self.bias
        for k, tap in enumerate(self.taps.unbind()):  # far faster backwards than a grouped conv1d
            y = torch.addcmul(y, tap, padded[:, K - 1 - k : K - 1 - k + T])
        return y

    def scan(
        self, x: Stream, past: Float[Tensor, "B P D"]
    ) -> tuple[Stream, Float[Tensor, "B P D"]]:
        """Steps that follow on ``past``: their answers and the inputs that the next step sees."""
        seen = torch.cat([past, x], dim=1)
        answers = nn.functional.silu(self.weighted(seen)[:, past.shape[1] :])
        return answers, seen[:, seen.shape[1] - past.shape[1] :]

    def initial_state(self, batch_size: int) -> Float[Tensor, "B P D"]:
        """The inputs before the first step: zeros, the oldest first."""
        return self.taps.new_zeros(batch_size, len(self.taps) - 1, self.taps.shape[1])

    def step(
        self, x: Float[Tensor, "B D"], past: Float[Tensor, "B P D"]
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B P D"]]:
        """One step: its answer and the inputs that the next step sees."""
        seen = torch.cat([past, x[:, None]], dim=1)
        y = self.bias + (seen * self.taps.flip(0)).sum(1)
        return nn.functional.silu(y), seen[:, 1:]
