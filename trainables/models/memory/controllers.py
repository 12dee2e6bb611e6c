"""Controllers: the net that drives a memory, fed with the input and with what was read last.

Each computes `torch.nn`'s cell of its kind on [x_t; r_{t-1}]. The part of it that hangs on x alone
is `project`, which a scan does for all steps at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.layer import PartConfig

Reads = Float[Tensor, "B R"]
Output = Float[Tensor, "B D"]
Carried = Float[Tensor, "B _"]
"""A hidden state or a cell: as wide as the output, or of width zero where there is none."""


class Controller(nn.Module, ABC):
    """Answers (B, D) from the projected input (B, G), the last reads, hidden state and cell."""

    Config: ClassVar[type[PartConfig]]
    num_gates: ClassVar[int]
    carries: ClassVar[tuple[bool, bool]]
    """Whether it has a hidden state and a cell."""

    def __init__(self, config: Any, width: int, read_size: int) -> None:
        super().__init__()
        self.width, self.read_size = width, read_size
        self.project = nn.Linear(width, self.num_gates * width)

    def initial_state(self, batch_size: int) -> tuple[Carried, Carried]:
        """Zeros."""
        weight = self.project.weight
        hidden, cell = (weight.new_zeros(batch_size, has * self.width) for has in self.carries)
        return hidden, cell

    @abstractmethod
    def forward(
        self, projected: Float[Tensor, "B G"], reads: Reads, hidden: Carried, cell: Carried
    ) -> tuple[Output, Carried, Carried]:
        """One step: the answer, and the next hidden state and cell."""

    def flops_per_step(self) -> float:
        """The maps of x, of the reads and of the hidden state to all gates."""
        inputs = self.width + self.read_size + self.carries[0] * self.width
        return 2.0 * inputs * self.num_gates * self.width


class FeedForward(Controller):
    """``feed_forward``: h_t = tanh(W [x_t; r_{t-1}] + b); the memory alone remembers."""

    class Config(PartConfig):
        """A controller without a state of its own."""

        kind: Literal["feed_forward"] = "feed_forward"

    num_gates = 1
    carries = (False, False)

    def __init__(self, config: Config, width: int, read_size: int) -> None:
        super().__init__(config, width, read_size)
        self.recur = nn.Linear(read_size, width, bias=False)

    def forward(
        self, projected: Float[Tensor, "B G"], reads: Reads, hidden: Carried, cell: Carried
    ) -> tuple[Output, Carried, Carried]:
        """One layer."""
        return torch.addmm(projected, reads, self.recur.weight.T).tanh(), hidden, cell


class Rnn(Controller):
    """``rnn``: h_t = tanh(W [x_t; r_{t-1}] + U h_{t-1} + b)."""

    class Config(PartConfig):
        """A plain recurrent controller."""

        kind: Literal["rnn"] = "rnn"

    num_gates = 1
    carries = (True, False)

    def __init__(self, config: Config, width: int, read_size: int) -> None:
        super().__init__(config, width, read_size)
        self.recur = nn.Linear(read_size + width, width, bias=False)

    def forward(
        self, projected: Float[Tensor, "B G"], reads: Reads, hidden: Carried, cell: Carried
    ) -> tuple[Output, Carried, Carried]:
        """The equation above."""
        carried = torch.cat((reads, hidden), dim=1)
        hidden = torch.addmm(projected, carried, self.recur.weight.T).tanh()
        return hidden, hidden, cell


class Gru(Controller):
    """``gru``: the gated recurrent unit (Cho et al. 2014) on [x_t; r_{t-1}], as `torch.nn.GRU`."""

    class Config(PartConfig):
        """``forget_bias`` is the update gate's bias at the start: above 0, keep the state."""

        kind: Literal["gru"] = "gru"
        forget_bias: float = Field(default=1.0, ge=-10, le=20)

    num_gates = 3
    carries = (True, False)

    def __init__(self, config: Config, width: int, read_size: int) -> None:
        super().__init__(config, width, read_size)
        self.observe = nn.Linear(read_size, 3 * width, bias=False)
        self.recur = nn.Linear(width, 3 * width)
        with torch.no_grad():  # two biases are added; their sum is the gate's
            self.project.bias[width : 2 * width].fill_(config.forget_bias)
            self.recur.bias[width : 2 * width].zero_()

    def forward(
        self, projected: Float[Tensor, "B G"], reads: Reads, hidden: Carried, cell: Carried
    ) -> tuple[Output, Carried, Carried]:
        """Gates reset, update, new."""
        sizes = [2 * self.width, self.width]
        gates_x, new_x = torch.addmm(projected, reads, self.observe.weight.T).split(sizes, dim=1)
        gates_h, new_h = self.recur(hidden).split(sizes, dim=1)
        reset, update = (gates_x + gates_h).sigmoid().chunk(2, dim=1)
        new = torch.addcmul(new_x, reset, new_h).tanh()
        hidden = torch.addcmul(new, update, hidden - new)
        return hidden, hidden, cell


class Lstm(Controller):
    """``lstm``: long short-term memory (Hochreiter & Schmidhuber 1997) on [x_t; r_{t-1}]."""

    class Config(PartConfig):
        """``forget_bias`` is the forget gate's bias at the start: above 0, remember at first."""

        kind: Literal["lstm"] = "lstm"
        forget_bias: float = Field(default=1.0, ge=-10, le=20)

    num_gates = 4
    carries = (True, True)

    def __init__(self, config: Config, width: int, read_size: int) -> None:
        super().__init__(config, width, read_size)
        self.recur = nn.Linear(read_size + width, 4 * width, bias=False)
        with torch.no_grad():
            self.project.bias[width : 2 * width].fill_(config.forget_bias)

    def forward(
        self, projected: Float[Tensor, "B G"], reads: Reads, hidden: Carried, cell: Carried
    ) -> tuple[Output, Carried, Carried]:
        """Gates in, forget, out, new."""
        carried = torch.cat((reads, hidden), dim=1)
        gates, new = torch.addmm(projected, carried, self.recur.weight.T).split(
            [3 * self.width, self.width], dim=1
        )
        enter, forget, leave = gates.sigmoid().chunk(3, dim=1)
        cell = torch.addcmul(forget * cell, enter, new.tanh())
        hidden = leave * cell.tanh()
        return hidden, hidden, cell


CONTROLLERS: dict[str, type[Controller]] = {
    "lstm": Lstm,
    "gru": Gru,
    "rnn": Rnn,
    "feed_forward": FeedForward,
}
