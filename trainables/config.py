"""A trial's configuration: what a space chooses and a trial is built from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from trainables.models.cells import LAYERS
from trainables.models.front_ends import FRONT_ENDS
from trainables.models.hybrids import HYBRIDS, HybridConfig
from trainables.models.layer import PartConfig
from trainables.models.positions import POSITIONS
from trainables.models.readouts import READOUTS
from trainables.models.residuals import RESIDUALS
from trainables.parts import Config, OneOf
from trainables.randomness import digest
from trainables.regimes import REGIMES, RegimeConfig


class ModelConfig(Config):
    """An architecture.

    Attributes:
        hybrid: the blocks of another kind that stand between the cell's
        hidden_size: D, the width of the stream between layers
        depth: how many blocks of the cell are stacked, those of a hybrid not counted

    """

    front_end: Annotated[PartConfig, OneOf(FRONT_ENDS)] = FRONT_ENDS["none"].Config(kind="none")
    positions: Annotated[PartConfig, OneOf(POSITIONS)] = POSITIONS["none"].Config(kind="none")
    cell: Annotated[PartConfig, OneOf(LAYERS)]
    hybrid: Annotated[HybridConfig, OneOf(HYBRIDS)] = HYBRIDS["none"].Config(kind="none")
    residual: Annotated[PartConfig, OneOf(RESIDUALS)] = RESIDUALS["none"].Config(kind="none")
    readout: Annotated[PartConfig, OneOf(READOUTS)] = READOUTS["last"].Config(kind="last")
    hidden_size: int = Field(default=64, ge=1, le=16_384)
    depth: int = Field(default=1, ge=1, le=256)

    @model_validator(mode="after")
    def _positions_act(self) -> Self:
        attends = any(LAYERS[block.kind].attends for block in self.blocks)
        if POSITIONS[self.positions.kind].in_attention and not attends:
            allowed = ", ".join(kind for kind, part in POSITIONS.items() if not part.in_attention)
            raise ValueError(
                f"positions.kind: {self.positions.kind} is not allowed; it acts inside "
                f"self-attention, and {self.cell.kind} has none; allowed: {allowed}"
            )
        return self

    @property
    def blocks(self) -> Sequence[PartConfig]:
        """The layer at every depth, from the input up."""
        return self.hybrid.blocks(self.cell, self.depth)


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


def describe(configuration: Mapping[str, Any]) -> str:
    """A configuration in a few words."""
    model = configuration["model"]
    layers = f"{model['depth']} x " if model["depth"] > 1 else ""
    words = [f"{layers}{model['cell']['kind']} {model['hidden_size']}"]
    front_end = model["front_end"]
    if front_end["kind"] != "none":
        width = front_end.get("kernel_width")
        words.append(front_end["kind"] + (f" {width}" if width else ""))
    if model["positions"]["kind"] != "none":
        words.append(model["positions"]["kind"])
    if model["residual"]["kind"] != "none":
        words.append(f"residual {model['residual']['kind']}")
    words.append(f"read-out {model['readout']['kind']}")
    words.append(f"lr {configuration['training']['learning_rate']:.1e}")
    return " · ".join(words)
