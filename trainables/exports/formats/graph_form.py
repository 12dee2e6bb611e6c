"""A model as a graph for any number of rows and steps.

Traced as they are, recurrences lose the time axis: a loop is unrolled, a fused or chunked form
fixes its length. Each is therefore replaced by one scan of its own `step`, an operator that
`torch.export` keeps whole and that ONNX has too (``Scan``). Nothing but `step` is asked of a kind,
and there is one form for both formats.
"""

from __future__ import annotations

import copy
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan

from trainables.exports.formats.stand_ins import STAND_INS
from trainables.models.cells.recurrent_memory import RecurrentMemory
from trainables.models.front_end import Frames
from trainables.models.front_ends import Strided
from trainables.models.layer import Recurrence
from trainables.models.model import Model
from trainables.shapes import Stream


class Steps(Protocol):
    """What is asked of a recurrence."""

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The state before the first step, the batch first."""

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step: its answer and the next state."""


class Scanned(nn.Module):
    """(B, T, D) -> (B, T, D): a scan of a recurrence's step, for any B and T."""

    def __init__(self, steps: Any) -> None:
        super().__init__()
        self.steps: Steps = steps

    def forward(self, x: Stream) -> Stream:
        """The scan; parts of a state that hold no number are not carried."""
        start = self.steps.initial_state(x.shape[0])
        shapes = [part.shape[1:] for part in start]

        def advance(carried: list[Tensor], x_t: Tensor) -> tuple[list[Tensor], Tensor]:
            parts = iter(carried)
            state = tuple(
                next(parts) if 0 not in shape else x_t.new_zeros(x_t.shape[0], *shape)
                for shape in shapes
            )
            y_t, state = self.steps.step(x_t, state)
            return _own(state), y_t.clone()

        _, y_TBD = scan(advance, _own(start), x.transpose(0, 1).contiguous())
        return y_TBD.transpose(0, 1)


def _own(state: tuple[Tensor, ...]) -> list[Tensor]:
    """The parts with numbers, each in memory of its own, as the operator asks."""
    return [
        part.clone(memory_format=torch.contiguous_format)
        for part in state
        if 0 not in part.shape[1:]
    ]


class AnyStride(nn.Module):
    """`Strided` for any T: picks steps by number, where slices would fix T by the stride.

    One frame more than there is, so that there are never fewer than two: nothing reads it.
    """

    def __init__(self, front_end: Strided) -> None:
        super().__init__()
        self.of, self.stride = front_end, front_end.stride

    def forward(self, x: Stream) -> Stream:
        """As it is."""
        return self.of(x)

    def down(self, x: Stream) -> Frames:
        """One linear map of the steps of each frame."""
        frames = (x.shape[1] - 1) // self.stride + 2
        steps = torch.arange(frames * self.stride, device=x.device)
        padded = nn.functional.pad(x, (0, 0, self.stride - 1, 2 * self.stride))
        return self.of.frame(padded[:, steps].unflatten(1, (frames, self.stride)).flatten(2))

    def up(self, frames: Frames, x: Stream) -> Stream:
        """relu(U y_floor(t / stride) + V x_t + b)."""
        ended = torch.arange(x.shape[1], device=x.device) // self.stride
        return torch.relu(self.of.from_frame(frames)[:, ended] + self.of.from_step(x))


class AnySegments(nn.Module):
    """`RecurrentMemory` for any T: a scan of whole segments, the last filled up with zeros.

    One segment more than there is, so that there are never fewer than two: nothing reads it.
    """

    def __init__(self, layer: RecurrentMemory) -> None:
        super().__init__()
        self.of, self.segment = layer, layer.config.segment

    def forward(self, x: Stream) -> Stream:
        """As it is."""
        count = (x.shape[1] - 1) // self.segment + 2
        steps = torch.arange(count * self.segment, device=x.device)
        padded = nn.functional.pad(x, (0, 0, 0, 2 * self.segment))[:, steps]
        segments_NBSD = padded.unflatten(1, (count, self.segment)).transpose(0, 1).contiguous()

        def advance(carried: list[Tensor], piece: Tensor) -> tuple[list[Tensor], Tensor]:
            y, segment = self.of.within(piece, self.of.begun(carried[0]))
            return [self.of.written(segment).clone()], y.clone()

        memory = self.of.initial_state(x.shape[0]).memory
        _, y_NBSD = scan(advance, _own((memory,)), segments_NBSD)
        return y_NBSD.transpose(0, 1).flatten(1, 2)[:, : x.shape[1]]


def graph_form(model: Model) -> nn.Module:
    """A copy of the model that can be traced for any number of rows, steps and answers."""
    copied = copy.deepcopy(model).requires_grad_(False).eval()
    _replace_recurrences(copied)
    if isinstance(copied.front_end, Strided):
        copied.add_module("front_end", AnyStride(copied.front_end))
    return copied


def _replace_recurrences(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, Recurrence):
            stand_in = STAND_INS.get(type(child))
            setattr(module, name, Scanned(child if stand_in is None else stand_in(child)))
        elif isinstance(child, RecurrentMemory):
            setattr(module, name, AnySegments(child))
        else:
            _replace_recurrences(child)
