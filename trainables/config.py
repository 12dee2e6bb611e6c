"""A trial's configuration: what a space chooses and a trial is built from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from trainables.models.cells import LAYERS
from trainables.models.front_ends import FRONT_ENDS
from trainables.models.layer import PartConfig
from trainables.models.positions import POSITIONS
from trainables.models.readouts import READOUTS
from trainables.models.residuals import RESIDUALS
from trainables.parts import Config, OneOf
from trainables.randomness import digest
from trainables.training.regimes import REGIMES, RegimeConfig


class ModelConfig(Config):
    """An architecture.

    Attributes:
        hidden_size: D, the width of the stream between layers
        depth: how many blocks of the cell are stacked
    """

    front_end: Annotated[PartConfig, OneOf(FRONT_ENDS)] = FRONT_ENDS["none"].Config(kind="none")
    positions: Annotated[PartConfig, OneOf(POSITIONS)] = POSITIONS["none"].Config(kind="none")
    cell: Annotated[PartConfig, OneOf(LAYERS)]
    residual: Annotated[PartConfig, OneOf(RESIDUALS)] = RESIDUALS["none"].Config(kind="none")
    readout: Annotated[PartConfig, OneOf(READOUTS)] = READOUTS["last"].Config(kind="last")
    hidden_size: int = Field(default=64, ge=1, le=16_384)
    depth: int = Field(default=1, ge=1, le=256)


class TrainingConfig(Config):
    """How a member is trained: Adam (Kingma & Ba 2015) on the mean loss of the scored answers.

    Attributes:
        batch_size: sequences a step
        clip_norm: gradients are scaled down to this norm (Pascanu et al. 2013); null for never
    """

    regime: Annotated[RegimeConfig, OneOf(REGIMES)] = REGIMES["incremental"].Config(
        kind="incremental"
    )
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    clip_norm: float | None = Field(default=1.0, gt=0)
    batch_size: int = Field(default=32, ge=1)


class TrialConfig(Config):
    """One architecture and how it is trained."""

    model: ModelConfig
    training: TrainingConfig = TrainingConfig()

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration: equal configurations, equal digests."""
        return digest(self.model_dump(mode="json"))
