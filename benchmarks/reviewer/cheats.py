"""Layers that would deceive the measure; every one is to be refused before it trains."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trainables.models.cells import LAYERS
from trainables.models.config import ModelConfig
from trainables.models.layer import Layer
from trainables.models.model import build
from trainables.models.promises import BrokenPromiseError, require_promises
from trainables.tasks.recall import Recall

TASK = Recall(Recall.Config())
LAGS = [8, 16, 32, 200]


class Cheat(torch.nn.Module):
    """An honest layer, and what a cheat makes of its answers."""

    def __init__(self, honest: Layer, cheat: Callable[[Layer, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.honest, self.cheat, self.calls = honest, cheat, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.cheat(self, x, self.honest(x))  # type: ignore[arg-type]  # a cheat is no Layer


def acausal(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + x.flip(1).cumsum(1).flip(1)


def barely_acausal(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + 1e-3 * torch.cat([x[:, 1:], x[:, -1:]], dim=1)


def acausal_if_long(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + x.mean(1, keepdim=True) if x.shape[1] > 100 else y


def acausal_when_tested(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y if layer.training else y + x.mean(1, keepdim=True)


def batch_statistics(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y - y.mean(0, keepdim=True)


def other_half(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    half = len(x) // 2
    return y + torch.cat([x[half : 2 * half], x[:half], x[2 * half :]]) if half else y


def its_place(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + torch.arange(len(x))[:, None, None]


def global_randomness(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + 0.1 * torch.randn_like(y)


def remembers_calls(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + 0.1 * layer.calls  # type: ignore[operator]  # of a Cheat


def not_finite(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y / (x.shape[1] < 100)


def shorter(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y[:, :-1]


CHEATS = {
    acausal: "later inputs",
    barely_acausal: "later inputs",
    acausal_if_long: "later inputs, while it trains, on sequences of 201 steps",
    acausal_when_tested: "later inputs, while it is tested",
    batch_statistics: "than among",
    other_half: "than among",
    its_place: "than among",
    global_randomness: "shown again",
    remembers_calls: "shown again",
    not_finite: "finite",
    shorter: "they must be",
}
"""Each, with what is said of it."""


def refusal(cheat: Callable[[Layer, Tensor, Tensor], Tensor]) -> str | None:
    """What is said of a model whose recurrent layers cheat; None if it is let through."""
    config = {"hidden_size": 8, "cell": "gru", "residual": "none"}
    model = build(ModelConfig.model_validate(config), TASK, seed=3)
    honest = [
        (owner, name)
        for owner in model.modules()
        for name, child in owner.named_children()
        if isinstance(child, LAYERS["gru"])
    ]
    for owner, name in honest:
        setattr(owner, name, Cheat(getattr(owner, name), cheat))
    try:
        require_promises(model, TASK, LAGS, 8, torch.device("cpu"))
    except BrokenPromiseError as error:
        return str(error) if honest else None
    return None
