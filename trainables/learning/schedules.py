"""Schedules: how the learning rate goes while a member trains on a rung."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from pydantic import Field

from trainables.parts import Config


class ScheduleConfig(Config):
    """A schedule's configuration.

    Attributes:
        warm_up_steps: the first steps on a rung, over which the rate rises evenly to its full size

    """

    kind: str
    warm_up_steps: int = Field(default=0, ge=0)


class Schedule(ABC):
    """A factor of the learning rate for each training step on a rung; every rung begins anew."""

    Config: ClassVar[type[ScheduleConfig]]

    def __init__(self, config: Any) -> None:
        self.config = config

    def factor(self, step: int, most: int) -> float:
        """The factor of step 0, 1, ... on a rung whose budget ends after ``most`` steps."""
        warm = self.config.warm_up_steps
        if step < warm:
            return float(step + 1) / warm
        return self.after_warm_up(step - warm, max(1, most - warm))

    @abstractmethod
    def after_warm_up(self, step: int, most: int) -> float:
        """The same, counted from the end of the warm-up."""


class Constant(Schedule):
    """``constant``: the same rate at every step."""

    class Config(ScheduleConfig):
        """Nothing changes."""

        kind: Literal["constant"] = "constant"

    def after_warm_up(self, step: int, most: int) -> float:
        return 1.0


class InverseRoot(Schedule):
    """``inverse_root``: falls as 1 / sqrt(steps), without an end (Vaswani et al. 2017, 5.3)."""

    class Config(ScheduleConfig):
        """After ``decay_steps`` steps the rate is down to 0.71, after three times that to 0.5."""

        kind: Literal["inverse_root"] = "inverse_root"
        decay_steps: int = Field(default=1000, ge=1)

    def after_warm_up(self, step: int, most: int) -> float:
        return (1 + step / self.config.decay_steps) ** -0.5


class Cosine(Schedule):
    """``cosine``: half a wave from the full rate to a part of it (Loshchilov & Hutter 2017)."""

    class Config(ScheduleConfig):
        """``final_share`` of the rate is left at the end of the rung's budget."""

        kind: Literal["cosine"] = "cosine"
        final_share: float = Field(default=0.1, ge=0, le=1)

    def after_warm_up(self, step: int, most: int) -> float:
        left = 0.5 * (1 + math.cos(math.pi * min(1.0, step / most)))
        final: float = self.config.final_share
        return final + (1 - final) * left


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "inverse_root": InverseRoot,
    "cosine": Cosine,
}
