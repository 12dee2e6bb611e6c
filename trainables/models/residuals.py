"""Residual paths: how a layer's answer joins the stream it read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from trainables.models.layer import Layer, PartConfig
from trainables.shapes import Stream


class Residual(nn.Module, ABC):
    """Wraps a layer: (B, T, D) -> (B, T, D)."""

    Config: ClassVar[type[PartConfig]]

    def __init__(self, config: Any, layer: Layer) -> None:
        super().__init__()
        self.config, self.layer = config, layer

    def forward(self, x: Stream) -> Stream:
        """The stream after the layer."""
        return self.after(x, self.layer(self.before(x)))

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """That of the layer."""
        return self.layer.initial_state(batch_size)

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """`forward` on steps that follow on ``state``, and what is carried after them."""
        answer, state = self.layer.scan(self.before(x), state)
        return self.after(x, answer), state

    @abstractmethod
    def before(self, x: Stream) -> Stream:
        """What the layer is shown of the stream."""

    @property
    def shows_as_it_is(self) -> bool:
        """Whether the layer is shown the stream itself."""
        return True

    @abstractmethod
    def after(self, x: Stream, answer: Stream) -> Stream:
        """The stream and the layer's answer, as one."""

    @classmethod
    def last_norm(cls, config: Any, width: int) -> nn.Module:
        """What is due between the last block and the read-out."""
        return nn.Identity()

    def flops_per_step(self, length: int) -> float:
        """Those of the layer and of the path."""
        return self.layer.flops_per_step(length)

    def state_bytes(self, length: int) -> int:
        """Those of the layer; a path carries nothing."""
        return self.layer.state_bytes(length)


class Straight(Residual):
    """``none``: y = f(x)."""

    class Config(PartConfig):
        """No residual path."""

        kind: Literal["none"] = "none"

    def before(self, x: Stream) -> Stream:
        """All of it."""
        return x

    def after(self, x: Stream, answer: Stream) -> Stream:
        """The layer's answer alone."""
        return answer


class NormConfig(PartConfig):
    """Where the layer norm of a residual path stands.

    Attributes:
        norm: ``pre``, ahead of the layer, with one more before the read-out (Xiong et al. 2020);
            ``post``, behind the sum (Vaswani et al. 2017); ``none``

    """

    norm: Literal["pre", "post", "none"] = "pre"


class Normed(Residual):
    """y = post(join(x, f(pre(x)))), where one of the two norms stands or neither."""

    def __init__(self, config: NormConfig, layer: Layer) -> None:
        super().__init__(config, layer)
        self.pre = nn.LayerNorm(layer.width) if config.norm == "pre" else nn.Identity()
        self.post = nn.LayerNorm(layer.width) if config.norm == "post" else nn.Identity()

    def before(self, x: Stream) -> Stream:
        """The stream, normed if the norm stands ahead."""
        return self.pre(x)

    @property
    def shows_as_it_is(self) -> bool:
        """Unless the norm stands ahead."""
        return isinstance(self.pre, nn.Identity)

    def after(self, x: Stream, answer: Stream) -> Stream:
        """Both joined, normed if the norm stands behind."""
        return self.post(self.join(x, answer))

    @abstractmethod
    def join(self, x: Stream, answer: Stream) -> Stream:
        """The stream with the layer's answer in it."""

    @classmethod
    def last_norm(cls, config: NormConfig, width: int) -> nn.Module:
        """A norm if those ahead of the layers leave the stream itself to grow."""
        return nn.LayerNorm(width) if config.norm == "pre" else nn.Identity()


class Add(Normed):
    """``add``: y = x + f(x) (He et al. 2016)."""

    class Config(NormConfig):
        """The layer's answer is added to the stream."""

        kind: Literal["add"] = "add"

    def join(self, x: Stream, answer: Stream) -> Stream:
        """Their sum."""
        return x + answer


class Gated(Normed):
    """``gated``: y = g f(x) + (1 - g) x, g = sigmoid(W x + b) (Srivastava et al. 2015, eq. 3)."""

    class Config(NormConfig):
        """A highway; ``gate_bias`` is b at the start: below 0, the stream passes at first."""

        kind: Literal["gated"] = "gated"
        gate_bias: float = Field(default=-1.0, ge=-10, le=10)

    def __init__(self, config: Config, layer: Layer) -> None:
        super().__init__(config, layer)
        self.gate = nn.Linear(layer.width, layer.width)
        nn.init.constant_(self.gate.bias, config.gate_bias)

    def join(self, x: Stream, answer: Stream) -> Stream:
        """From the stream to the answer by the gate, channel by channel."""
        return torch.lerp(x, answer, torch.sigmoid(self.gate(x)))

    def flops_per_step(self, length: int) -> float:
        """The gate's map besides."""
        return self.layer.flops_per_step(length) + 2.0 * self.layer.width**2


class Scaled(Normed):
    """``scaled``: y = x + a f(x), a learned (ReZero, Bachlechner et al. 2021; LayerScale below).

    One scale a channel that starts small is LayerScale (Touvron et al. 2021, eq. 4); a single
    scale that starts at 0 is ReZero, whose layers first learn at the second training step.
    """

    class Config(NormConfig):
        """``initial_scale`` is a at the start; ``per_channel``: D scales, or a single one."""

        kind: Literal["scaled"] = "scaled"
        initial_scale: float = Field(default=0.1, ge=0, le=1)
        per_channel: bool = True

    def __init__(self, config: Config, layer: Layer) -> None:
        super().__init__(config, layer)
        scales = layer.width if config.per_channel else 1
        self.scale = nn.Parameter(torch.full((scales,), config.initial_scale))

    def join(self, x: Stream, answer: Stream) -> Stream:
        """The stream and the scaled answer."""
        return x + self.scale * answer


RESIDUALS: dict[str, type[Residual]] = {
    "none": Straight,
    "add": Add,
    "gated": Gated,
    "scaled": Scaled,
}
