"""First weights of a whole model: each part's own, or one distribution for all of it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import nn

from trainables.models.layer import Layer, PartConfig
from trainables.models.positions import Learned


class Start(ABC):
    """Fills in the first weights of a model whose parts have drawn their own."""

    Config: ClassVar[type[PartConfig]]

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def fill(self, model: nn.Module, layers: Sequence[Layer]) -> None:
        """Draw from torch's generator what does not stay as it is.

        Args:
            model: all of it, in place
            layers: those of it on residual paths, from the input up

        Raises:
            ValueError: if a part of the model cannot start so.
        """


class Own(Start):
    """``own``: as each part has drawn them."""

    class Config(PartConfig):
        """Nothing is to be chosen."""

        kind: Literal["own"] = "own"

    def fill(self, model: nn.Module, layers: Sequence[Layer]) -> None:
        """Nothing is drawn."""


class Normal(Start):
    """``normal``: N(0, std^2) for all matrices, as GPT-2 starts (Radford et al. 2019, 2.3).

    So tables of symbols and positions, read-outs and the maps of attention and feed-forward nets;
    maps that add to the stream have std / sqrt(N), N the number of layers that do, and biases are
    0. A symbol is then no louder than its place, nor than what a layer says of it.
    """

    class Config(PartConfig):
        """``std``: GPT-2's is 0.02; torch's own table of symbols has 1."""

        kind: Literal["normal"] = "normal"
        std: float = Field(default=0.02, gt=0, le=1)

    def fill(self, model: nn.Module, layers: Sequence[Layer]) -> None:
        """Only where every layer is made of such maps."""
        other = [layer.config.kind for layer in layers if not layer.plain_maps]
        if other:
            raise ValueError(
                f"first_weights.kind: normal is not allowed; {other[0]} has first weights of its"
                " own; allowed: own"
            )
        for table in model.modules():
            if isinstance(table, nn.Embedding):
                nn.init.normal_(table.weight, std=self.config.std)
            if isinstance(table, Learned):
                nn.init.normal_(table.table, std=self.config.std)
        for name, linear in model.named_modules():
            if isinstance(linear, nn.Linear) and name.startswith("readout."):
                self._fill(linear, self.config.std)
        for layer in layers:
            *within, last = layer.plain_maps
            for linear in within:
                self._fill(linear, self.config.std)
            self._fill(last, self.config.std / math.sqrt(len(layers)))

    @staticmethod
    def _fill(linear: nn.Linear, std: float) -> None:
        nn.init.normal_(linear.weight, std=std)
        if linear.bias is not None:
            nn.init.zeros_(linear.bias)


STARTS: dict[str, type[Start]] = {"own": Own, "normal": Normal}
