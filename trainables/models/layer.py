"""What a layer is: causal, and as wide at its end as at its start."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.parts import Config
from trainables.shapes import Stream

Rotation = Callable[[Float[Tensor, "B H T E"]], Float[Tensor, "B H T E"]]
"""What a position encoding does to queries and to keys inside self-attention."""

Slopes = Callable[[int], tuple[float, ...]]
"""From a number of heads to what each takes off a score for every step between query and key."""

Fading = Callable[[int], tuple[float, ...]]
"""From a head's width to the logarithm of what a step between query and key leaves of each
coordinate's part of a score."""

State = tuple[Tensor, ...]
"""What is carried from one piece of a sequence to the next: tensors, the batch first."""


class PartConfig(Config):
    """A part's configuration; its ``kind`` is the part's key in its table."""

    kind: str


@dataclass(frozen=True)
class Surroundings:
    """Where a layer is built in.

    Attributes:
        width: D, the width of the stream
        rotate: what self-attention does to its queries and keys, if positions are rotary
        slopes: the penalty a step of distance in each head of self-attention, if positions are such
        fading: by which scores of self-attention fade with distance, if positions are such

    """

    width: int
    rotate: Rotation | None = None
    slopes: Slopes | None = None
    fading: Fading | None = None

    def head_width(self, num_heads: int) -> int:
        """E = D / H, the width of each head.

        Raises:
            ValueError: in one line, if the heads do not divide the width.

        """
        width, rest = divmod(self.width, num_heads)
        if rest:
            raise ValueError(
                f"num_heads: {num_heads} is not allowed; it must divide the hidden size "
                f"({self.width})"
            )
        return width


class Layer(nn.Module, ABC):
    """(B, T, D) -> (B, T, D); what comes out at step t depends on steps up to t alone."""

    Config: ClassVar[type[PartConfig]]
    attends: ClassVar[bool] = False
    """Whether it holds self-attention, in which the surroundings' rotation and slopes act."""

    @property
    def plain_maps(self) -> Sequence[nn.Linear]:
        """Its linear maps, the one that its answer leaves by last, if all may start alike.

        None of a layer whose first weights are a part of what it does.
        """
        return ()

    @classmethod
    def parts(cls, config: Any, around: Surroundings) -> Sequence[Layer]:
        """The layers one block of this kind stands for, each with a residual path of its own."""
        return [cls(config, around)]

    def __init__(self, config: Any, around: Surroundings) -> None:
        super().__init__()
        self.config = config
        self.width = around.width

    @abstractmethod
    def forward(self, x: Stream) -> Stream:
        """The layer's answer at every step."""

    @abstractmethod
    def flops_per_step(self, length: int) -> float:
        """Floating-point operations of `forward` for one step of one sequence of ``length``.

        A multiply-add counts two, with a weight or with a number of the state; gates and
        activations are left out. A training step costs about three times that.
        """

    @abstractmethod
    def state_bytes(self, length: int) -> int:
        """Bytes that one sequence must carry from step ``length`` to the next, in float32."""

    def initial_state(self, batch_size: int) -> State:
        """What is carried before the first step: tensors, the batch first, where the weights are.

        By default the inputs so far, of which there are none yet.
        """
        like = next(self.parameters(), torch.empty(0))
        return (like.new_zeros(batch_size, 0, self.width),)

    def scan(self, x: Stream, state: State) -> tuple[Stream, State]:
        """The answers of steps that follow on ``state``, and what is carried after the last.

        However a sequence is cut, its pieces answer as `forward` does on the whole of it. By
        default by answering again from the first step on.
        """
        so_far = torch.cat((state[0], x), dim=1)
        return self(so_far)[:, -x.shape[1] :], (so_far,)

    def carried_bytes(self, length: int) -> int:
        """Bytes of one sequence's state in `scan` after ``length`` steps, in float32."""
        has_own_scan = type(self).scan is not Layer.scan
        return self.state_bytes(length) if has_own_scan else 4 * length * self.width


class Recurrence(Layer):
    """A layer whose `forward` is the scan of a `step`; a fused kernel may stand in for the scan."""

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before the first step, on the device and of the type of the parameters."""

    @abstractmethod
    def step(self, x: Float[Tensor, "B D"], state: State) -> tuple[Float[Tensor, "B D"], State]:
        """One step: its answer and the next state."""

    def forward(self, x: Stream) -> Stream:
        """The scan over time from the first state."""
        return self.scan(x, self.initial_state(x.shape[0]))[0]

    def scan(self, x: Stream, state: State) -> tuple[Stream, State]:
        """Step by step."""
        answers = []
        for x_t in x.unbind(1):  # indexing x[:, t] instead makes the backward pass quadratic
            y_t, state = self.step(x_t, state)
            answers.append(y_t)
        return torch.stack(answers, dim=1), state

    def state_bytes(self, length: int) -> int:
        """Bytes of the state, the same at every length."""
        return sum(4 * part[0].numel() for part in self.initial_state(1))
