"""Front ends: what turns the embedded input into the stream. (B, T, F) -> (B, T, D), causal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal, Self, cast

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import pad

from trainables.models.causal_conv import CausalConv, Features
from trainables.models.front_end import Frames, FrontEnd
from trainables.models.layer import PartConfig, State
from trainables.shapes import Stream


class Pointwise(FrontEnd):
    """``none``: each step by itself, through one linear map or as it is."""

    class Config(PartConfig):
        """No convolution.

        Attributes:
            mapped: whether a step goes through a linear map; if not, the stream is the input
                itself, the vectors of the table of symbols

        """

        later: ClassVar[frozenset[str]] = frozenset({"mapped"})

        kind: Literal["none"] = "none"
        mapped: bool = True

    def __init__(self, config: Config, features: int, width: int) -> None:
        super().__init__(config, features, width)
        if not config.mapped and features != width:
            raise ValueError(
                f"front_end.mapped: False is not allowed; inputs are {features} numbers a step, and"
                f" the hidden size is {width}"
            )
        self.map = nn.Linear(features, width) if config.mapped else nn.Identity()

    def forward(self, x: Features) -> Stream:
        """W x_t + b, or x_t."""
        return self.map(x)

    def scan(self, x: Features, state: State) -> tuple[Stream, State]:
        """Nothing is carried."""
        return self.map(x), ()

    def flops_per_step(self) -> float:
        """One multiply-add a weight."""
        return 2.0 * self.features * self.width if self.config.mapped else 0.0

    def state_bytes(self) -> int:
        """Nothing is carried."""
        return 0


class Conv(FrontEnd):
    """``conv``: a causal convolution over the last ``kernel_width`` steps, then a ReLU.

    It shows the recurrence behind it a pattern of several steps as one input (LeCun et al. 1998).
    """

    class Config(PartConfig):
        """A causal convolution; ``kernel_width`` in steps."""

        kind: Literal["conv"] = "conv"
        kernel_width: int = Field(default=9, ge=2, le=1024)

    def __init__(self, config: Config, features: int, width: int) -> None:
        super().__init__(config, features, width)
        self.conv = CausalConv(features, width, config.kernel_width)

    def forward(self, x: Features) -> Stream:
        """relu(W * x + b)."""
        return torch.relu(self.conv(x))

    def initial_state(self, batch_size: int) -> State:
        """The inputs that the kernel still needs."""
        return (self.conv.initial_state(batch_size),)

    def scan(self, x: Features, state: State) -> tuple[Stream, State]:
        """relu(W * x + b)."""
        y, past = self.conv.scan(x, *state)
        return torch.relu(y), (past,)

    def flops_per_step(self) -> float:
        """One multiply-add a weight."""
        return 2.0 * self.features * self.width * self.config.kernel_width

    def state_bytes(self) -> int:
        """The inputs that the kernel still needs."""
        return 4 * self.conv.reach * self.features


class Dilated(FrontEnd):
    """``dilated``: gated convolutions at dilations 1, 2, 4, ... (van den Oord et al. 2016, eq. 2).

    x <- x + V (tanh(W_f * x) sigmoid(W_g * x)) for each layer, as in WaveNet and, but for the
    gates, in temporal convolutional networks (Bai et al. 2018).
    """

    class Config(PartConfig):
        """``num_layers`` layers see 1 + (kernel_width - 1) (2**num_layers - 1) steps."""

        kind: Literal["dilated"] = "dilated"
        kernel_width: int = Field(default=2, ge=2, le=64)
        num_layers: int = Field(default=6, ge=1, le=16)

    def __init__(self, config: Config, features: int, width: int) -> None:
        super().__init__(config, features, width)
        dilations = [2**layer for layer in range(config.num_layers)]
        self.map = nn.Linear(features, width)
        self.convs = nn.ModuleList(
            CausalConv(width, 2 * width, config.kernel_width, dilation) for dilation in dilations
        )
        self.mixes = nn.ModuleList(nn.Linear(width, width) for _ in dilations)

    def forward(self, x: Features) -> Stream:
        """One layer after the other on a residual path."""
        x = self.map(x)
        for conv, mix in zip(self.convs, self.mixes, strict=True):
            x = self._joined(x, conv(x), mix)
        return x

    @staticmethod
    def _joined(x: Stream, answer: Float[Tensor, "B T D2"], mix: nn.Module) -> Stream:
        signal, gate = answer.chunk(2, dim=-1)
        return x + mix(torch.tanh(signal) * torch.sigmoid(gate))

    def initial_state(self, batch_size: int) -> State:
        """The steps that each kernel still needs."""
        return tuple(conv.initial_state(batch_size) for conv in self._each)

    def scan(self, x: Features, state: State) -> tuple[Stream, State]:
        """One layer after the other."""
        x, carried = self.map(x), []
        for conv, mix, past in zip(self._each, self.mixes, state, strict=True):
            answer, past = conv.scan(x, past)
            x = self._joined(x, answer, mix)
            carried.append(past)
        return x, tuple(carried)

    @property
    def _each(self) -> Iterable[CausalConv]:
        return cast(Iterable[CausalConv], self.convs)

    def flops_per_step(self) -> float:
        """One multiply-add a weight."""
        a_layer = 2 * self.config.kernel_width * self.width**2 + self.width**2
        return 2.0 * (self.features * self.width + self.config.num_layers * a_layer)

    def state_bytes(self) -> int:
        """The steps that each kernel still needs."""
        return 4 * self.width * (self.config.kernel_width - 1) * (2**self.config.num_layers - 1)


class Strided(FrontEnd):
    """``strided``: a convolution, and blocks that run on one frame for every ``stride`` steps.

    Frame n joins the steps from (n - 1) stride + 1 to n stride, so it has ended at step n stride
    (the first is step 0 alone). Step t reads frame floor(t / stride), and, through the
    convolution, the steps since: the lag between blocks is ``stride`` times shorter.
    """

    class Config(PartConfig):
        """``stride`` steps a frame; ``kernel_width`` is at least that, so no step goes unseen."""

        kind: Literal["strided"] = "strided"
        stride: int = Field(default=4, ge=2, le=1024)
        kernel_width: int = Field(default=9, ge=2, le=1024)

        @model_validator(mode="after")
        def _no_step_unseen(self) -> Self:
            if self.kernel_width < self.stride:
                raise ValueError(
                    f"kernel_width: {self.kernel_width} is not allowed; it must be at least the "
                    f"stride ({self.stride})"
                )
            return self

    def __init__(self, config: Config, features: int, width: int) -> None:
        super().__init__(config, features, width)
        self.stride = config.stride
        self.conv = CausalConv(features, width, config.kernel_width)
        self.frame = nn.Linear(config.stride * width, width)
        self.from_frame = nn.Linear(width, width, bias=False)
        self.from_step = nn.Linear(width, width)

    def forward(self, x: Features) -> Stream:
        """relu(W * x + b)."""
        return torch.relu(self.conv(x))

    def down(self, x: Stream) -> Frames:
        """One linear map of the steps of each frame, zeros before the first step."""
        frames = (x.shape[1] - 1) // self.stride + 1
        steps = pad(x, (0, 0, self.stride - 1, 0))[:, : frames * self.stride]
        return self.frame(steps.reshape(x.shape[0], frames, -1))

    def up(self, frames: Frames, x: Stream) -> Stream:
        """relu(U y_floor(t / stride) + V x_t + b)."""
        held = self.from_frame(frames).repeat_interleave(self.stride, dim=1)[:, : x.shape[1]]
        return torch.relu(held + self.from_step(x))

    def initial_state(self, batch_size: int) -> State:
        """The inputs that the kernel still needs."""
        return (self.conv.initial_state(batch_size),)

    def scan(self, x: Features, state: State) -> tuple[Stream, State]:
        """relu(W * x + b)."""
        y, past = self.conv.scan(x, *state)
        return torch.relu(y), (past,)

    def initial_frame(self, batch_size: int) -> State:
        """The steps of the frame begun, all but the last of the first; and the frame held."""
        zeros = self.from_step.weight.new_zeros(batch_size, self.stride, self.width)
        return zeros[:, 1:], zeros[:, :1]

    def down_from(self, x: Stream, frame: State) -> Frames:
        """One linear map of the steps of each frame."""
        steps = torch.cat((frame[0], x), dim=1)
        frames = steps.shape[1] // self.stride
        return self.frame(
            steps[:, : frames * self.stride].unflatten(1, (frames, self.stride)).flatten(2)
        )

    def up_from(self, frames: Frames, x: Stream, frame: State) -> tuple[Stream, State]:
        """relu(U y + V x_t + b), where y is the frame that ended last at each step."""
        begun, held = frame
        known = torch.cat((held, frames), dim=1)
        step = torch.arange(x.shape[1], device=x.device)
        ended = (begun.shape[1] + 1 + step) // self.stride
        y = torch.relu(self.from_frame(known[:, ended]) + self.from_step(x))
        rest = torch.cat((begun, x), dim=1)[:, frames.shape[1] * self.stride :]
        return y, (rest, known[:, -1:])

    def flops_per_step(self) -> float:
        """One multiply-add a weight; a frame's maps are shared by its steps."""
        conv = self.features * self.width * self.config.kernel_width
        return 2.0 * (conv + (2 + 1 / self.stride) * self.width**2)

    def state_bytes(self) -> int:
        """The inputs that the kernel still needs, the steps of the frame begun, the frame held."""
        steps = self.conv.reach * self.features + (self.stride - 1) * self.width
        return 4 * (steps + self.width)


FRONT_ENDS: dict[str, type[FrontEnd]] = {
    "none": Pointwise,
    "conv": Conv,
    "dilated": Dilated,
    "strided": Strided,
}
