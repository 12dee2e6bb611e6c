"""How a member is trained: regime, optimiser, and all that goes with the learning rate."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from trainables.learning.optimisers import OPTIMISERS, OptimiserConfig
from trainables.learning.schedules import SCHEDULES, ScheduleConfig
from trainables.parts import Config, OneOf
from trainables.regimes import REGIMES, RegimeConfig


class TrainingConfig(Config):
    """How a member is trained, on the mean loss of the scored answers.

    Attributes:
        batch_size: sequences a step
        clip_norm: gradients are scaled down to this norm (Pascanu et al. 2013); null for never
        schedule: of the learning rate, anew on every rung
        lag_scaling: p, with which a rung k times as long as the first has k^-p of the rate
        gradient_noise: eta; noise of variance eta / (1 + t)^0.55 at step t is added to gradients,
            after they are clipped (Neelakantan et al. 2015); 0 for none
        label_smoothing: of the right class, a share that goes to all classes evenly (Szegedy et
            al. 2016); answers that are numbers have none
        average_decay: of a running average of the weights, which is judged and kept in place of the
            weights themselves (Polyak & Juditsky 1992); 0 for none

    """

    regime: Annotated[RegimeConfig, OneOf(REGIMES)] = REGIMES["incremental"].Config(
        kind="incremental"
    )
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    clip_norm: float | None = Field(default=1.0, gt=0)
    batch_size: int = Field(default=32, ge=1)
    optimiser: Annotated[OptimiserConfig, OneOf(OPTIMISERS)] = OPTIMISERS["adam"].Config(
        kind="adam"
    )
    schedule: Annotated[ScheduleConfig, OneOf(SCHEDULES)] = SCHEDULES["constant"].Config(
        kind="constant"
    )
    lag_scaling: float = Field(default=0.0, ge=0, le=1)
    gradient_noise: float = Field(default=0.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    average_decay: float = Field(default=0.0, ge=0, lt=1)

    later: ClassVar[frozenset[str]] = frozenset(
        {
            "optimiser",
            "schedule",
            "lag_scaling",
            "gradient_noise",
            "label_smoothing",
            "average_decay",
        }
    )
