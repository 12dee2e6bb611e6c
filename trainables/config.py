"""A trial's configuration: what a space chooses and a trial is built from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from trainables.ladder import Rule, rungs
from trainables.models.cells import LAYERS
from trainables.models.front_ends import FRONT_ENDS
from trainables.models.hybrids import HYBRIDS, HybridConfig
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


class StallRule(Config):
    """When a member has plainly stalled and gives up a rung before its budget is gone.

    The budget is cut into 50 equal stretches. The member gives up once, over the last ``patience``
    of the whole budget, no stretch's mean loss fell by ``improvement`` below the best before, and
    no stretch's success rate rose above the best before.

    Attributes:
        patience: fraction of the budget without improvement
        improvement: relative fall of the loss that counts as one
    """

    patience: float = Field(default=0.3, gt=0, le=1)
    improvement: float = Field(default=0.01, ge=0, lt=1)


class LadderConfig(Config):
    """The ladder of lags and what it takes to pass a rung.

    Attributes:
        start: shortest lag, in steps
        stop: longest lag, in steps
        ratio: of one rung's lag to the one below
        members: independently initialised and trained copies of the architecture
        quorum: how many of them must solve a rung
        success: success rate that a member must be shown to reach, at 95 % confidence
        sequences: most training sequences a member may use on one rung
        gflop: most training cost of one member on one rung, in 10^9 operations; null for no limit
        test_sequences: held-out sequences of one look
        seconds: most wall time a member may use on one rung; null for no limit
        stall: when a member gives up early; null for never
    """

    start: int = Field(default=8, ge=2)
    stop: int = Field(default=4096, ge=2)
    ratio: float = Field(default=2.0, ge=1.01)
    members: int = Field(default=3, ge=1, le=1000)
    quorum: int = Field(default=3, ge=1)
    success: float = Field(default=0.9, gt=0, lt=1)
    sequences: int = Field(default=50_000, ge=1)
    gflop: float | None = Field(default=None, gt=0)
    test_sequences: int = Field(default=512, ge=1)
    seconds: float | None = Field(default=None, gt=0)
    stall: StallRule | None = StallRule()

    @model_validator(mode="after")
    def _climbable(self) -> Self:
        rungs(self.start, self.stop, self.ratio)
        Rule(self.members, self.quorum)
        return self

    @property
    def rungs(self) -> tuple[int, ...]:
        """The lags, ascending."""
        return rungs(self.start, self.stop, self.ratio)

    @property
    def rule(self) -> Rule:
        """When a rung is passed."""
        return Rule(self.members, self.quorum)
