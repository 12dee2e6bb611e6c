"""Optimisers: what a gradient does to the weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from trainables.learning.lion import Lion
from trainables.learning.uncompiled import uncompiled
from trainables.parts import Config

ADAM, ADAM_W = uncompiled(torch.optim.Adam), uncompiled(torch.optim.AdamW)
RMS_PROP, MUON, LION = (
    uncompiled(torch.optim.RMSprop),
    uncompiled(torch.optim.Muon),
    uncompiled(Lion),
)


class OptimiserConfig(Config):
    """An optimiser's configuration; the learning rate is the training's."""

    kind: str


class Optimiser(ABC):
    """Makes torch's optimisers for a model's weights."""

    Config: ClassVar[type[OptimiserConfig]]

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def make(self, model: nn.Module, rate: float) -> Sequence[torch.optim.Optimizer]:
        """The optimisers that share the weights of ``model``, each weight in one of them."""


class Adam(Optimiser):
    """``adam``: steps scaled by running means of the gradient and its square (Kingma & Ba 2015)."""

    class Config(OptimiserConfig):
        """As published."""

        kind: Literal["adam"] = "adam"

    def make(self, model: nn.Module, rate: float) -> Sequence[torch.optim.Optimizer]:
        return [ADAM(model.parameters(), lr=rate, fused=True)]


class AdamW(Optimiser):
    """``adamw``: Adam that also pulls weights towards zero (Loshchilov & Hutter 2019)."""

    class Config(OptimiserConfig):
        """``weight_decay``: a share of the learning rate that a weight loses at a step."""

        kind: Literal["adamw"] = "adamw"
        weight_decay: float = Field(default=0.01, ge=0)

    def make(self, model: nn.Module, rate: float) -> Sequence[torch.optim.Optimizer]:
        decay = self.config.weight_decay
        return [ADAM_W(model.parameters(), lr=rate, weight_decay=decay, fused=True)]


class RmsProp(Optimiser):
    """``rmsprop``: steps scaled by a running mean of the gradient's square (Hinton 2012)."""

    class Config(OptimiserConfig):
        """The running mean, and momentum as the papers of NTM and DNC train with.

        Attributes:
            smoothing: of the running mean
            momentum: of the steps

        """

        kind: Literal["rmsprop"] = "rmsprop"
        smoothing: float = Field(default=0.95, ge=0, lt=1)
        momentum: float = Field(default=0.9, ge=0, lt=1)

    def make(self, model: nn.Module, rate: float) -> Sequence[torch.optim.Optimizer]:
        alpha, momentum = self.config.smoothing, self.config.momentum
        parameters = model.parameters()
        return [RMS_PROP(parameters, lr=rate, alpha=alpha, momentum=momentum)]


class LionSteps(Optimiser):
    """``lion``: the signs of a momentum (Chen et al. 2023); wants a rate a tenth of Adam's."""

    class Config(OptimiserConfig):
        """How long the momentum remembers, and how far weights are pulled towards zero.

        Attributes:
            betas: of the step's mean of momentum and gradient, and of the momentum
            weight_decay: a share of the learning rate that a weight loses at a step

        """

        kind: Literal["lion"] = "lion"
        betas: tuple[float, float] = (0.9, 0.99)
        weight_decay: float = Field(default=0.0, ge=0)

    def make(self, model: nn.Module, rate: float) -> Sequence[torch.optim.Optimizer]:
        return [LION(model.parameters(), rate, self.config.betas, self.config.weight_decay)]


class Muon(Optimiser):
    """``muon``: matrices move along their momentum made orthogonal (Jordan et al. 2024).

    Steps are scaled to the size of Adam's, so that one rate serves both (Liu et al. 2025): tables
    of symbols, read-outs and whatever is no matrix learn by Adam.
    """

    class Config(OptimiserConfig):
        """``momentum`` of matrices; ``weight_decay`` of all weights."""

        kind: Literal["muon"] = "muon"
        momentum: float = Field(default=0.95, ge=0, lt=1)
        weight_decay: float = Field(default=0.0, ge=0)

    def make(self, model: nn.Module, rate: float) -> Sequence[torch.optim.Optimizer]:
        ends = ("embedding.", "readout.")
        inside = [w for n, w in model.named_parameters() if w.dim() == 2 and not n.startswith(ends)]
        there = {id(weight) for weight in inside}
        rest = [weight for weight in model.parameters() if id(weight) not in there]
        decay = self.config.weight_decay
        optimisers: list[torch.optim.Optimizer] = []
        if inside:
            optimisers.append(
                MUON(
                    inside,
                    lr=rate,
                    momentum=self.config.momentum,
                    weight_decay=decay,
                    adjust_lr_fn="match_rms_adamw",
                )
            )
        if rest:
            optimisers.append(ADAM_W(rest, lr=rate, weight_decay=decay, fused=True))
        return optimisers


OPTIMISERS: dict[str, type[Optimiser]] = {
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RmsProp,
    "lion": LionSteps,
    "muon": Muon,
}
