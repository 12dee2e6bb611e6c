"""What a front end is: it turns the embedded input into the stream, causally."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from trainables.models.causal_conv import Features
from trainables.models.layer import PartConfig, State
from trainables.shapes import Stream

Frames = Float[Tensor, "B N D"]
"""The stream at the blocks' rate: N = ceil(T / stride), one for every `FrontEnd.stride` steps."""


class FrontEnd(nn.Module, ABC):
    """(B, T, F) -> (B, T, D); what comes out at step t depends on steps up to t alone.

    The blocks run on `down` of it, and `up` brings their answers back to every step.
    """

    Config: ClassVar[type[PartConfig]]
    stride: int = 1
    """Steps a frame."""

    def __init__(self, config: Any, features: int, width: int) -> None:
        super().__init__()
        self.config, self.features, self.width = config, features, width

    @abstractmethod
    def forward(self, x: Features) -> Stream:
        """The stream at every step."""

    def down(self, x: Stream) -> Frames:
        """The frames the blocks see."""
        return x

    def up(self, frames: Frames, x: Stream) -> Stream:
        """The blocks' answers at every step, each from frames ended by then, and ``x``."""
        return frames

    def initial_state(self, batch_size: int) -> State:
        """What `scan` carries before the first step."""
        return ()

    @abstractmethod
    def scan(self, x: Features, state: State) -> tuple[Stream, State]:
        """`forward` of steps that follow on ``state``, and what is carried after them."""

    def initial_frame(self, batch_size: int) -> State:
        """What `down_from` and `up_from` carry before the first step."""
        return ()

    def down_from(self, x: Stream, frame: State) -> Frames:
        """The frames that end within steps that follow on ``frame``."""
        return x

    def up_from(self, frames: Frames, x: Stream, frame: State) -> tuple[Stream, State]:
        """`up` of steps that follow on ``frame``, and what is carried after them."""
        return frames, ()

    @abstractmethod
    def flops_per_step(self) -> float:
        """Floating-point operations a step, forward."""

    @abstractmethod
    def state_bytes(self) -> int:
        """Bytes that one sequence must carry from step to step, in float32."""
