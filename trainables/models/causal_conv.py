"""A causal convolution over steps."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from trainables.shapes import Stream

Features = Float[Tensor, "B T F"]


class CausalConv(nn.Conv1d):
    """A convolution over a step and the ``(kernel_width - 1) * dilation`` steps before it."""

    def __init__(self, features: int, width: int, kernel_width: int, dilation: int = 1) -> None:
        super().__init__(features, width, kernel_width, dilation=dilation)
        self.reach = (kernel_width - 1) * dilation

    def forward(self, x: Features) -> Stream:
        """Time stays the second axis."""
        return super().forward(pad(x.transpose(1, 2), (self.reach, 0))).transpose(1, 2)

    def initial_state(self, batch_size: int) -> Features:
        """The inputs that the kernel still needs: zeros before the first step."""
        return self.weight.new_zeros(batch_size, self.reach, self.in_channels)

    def scan(self, x: Features, past: Features) -> tuple[Stream, Features]:
        """`forward` of steps that follow on ``past``, and those that the next ones need."""
        seen = torch.cat((past, x), dim=1)
        return super().forward(seen.transpose(1, 2)).transpose(1, 2), seen[:, -self.reach :]
