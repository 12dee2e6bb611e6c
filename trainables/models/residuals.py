"""Residual paths: how a layer's answer joins the stream it read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from torch import nn

from trainables.models.layer import Layer, PartConfig
from trainables.shapes import Stream


class Residual(nn.Module, ABC):
    """Wraps a layer: (B, T, D) -> (B, T, D)."""

    Config: ClassVar[type[PartConfig]]
    normalised = False
    """Whether the stream grows along the path, so that a norm is due before the read-out."""

    def __init__(self, config: Any, layer: Layer) -> None:
        super().__init__()
        self.config, self.layer = config, layer

    @abstractmethod
    def forward(self, x: Stream) -> Stream:
        """The stream after the layer."""


class Straight(Residual):
    """``none``: y = f(x)."""

    class Config(PartConfig):
        """No residual path."""

        kind: Literal["none"] = "none"

    def forward(self, x: Stream) -> Stream:
        """y = f(x)."""
        return self.layer(x)


class Add(Residual):
    """``add``: y = x + f(norm(x)) (He et al. 2016, with the norm before the layer)."""

    class Config(PartConfig):
        """The layer's answer is added to the stream."""

        kind: Literal["add"] = "add"

    normalised = True

    def __init__(self, config: Config, layer: Layer) -> None:
        super().__init__(config, layer)
        self.norm = nn.LayerNorm(layer.width)

    def forward(self, x: Stream) -> Stream:
        """y = x + f(norm(x))."""
        return x + self.layer(self.norm(x))


RESIDUALS: dict[str, type[Residual]] = {"none": Straight, "add": Add}
