"""An architecture, as a space chooses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from trainables.models.cells import LAYERS
from trainables.models.front_ends import FRONT_ENDS
from trainables.models.hybrids import HYBRIDS, HybridConfig
from trainables.models.layer import PartConfig
from trainables.models.positions import POSITIONS
from trainables.models.readouts import READOUTS
from trainables.models.residuals import RESIDUALS
from trainables.models.starts import STARTS
from trainables.parts import Config, OneOf


class ModelConfig(Config):
    """An architecture.

    Attributes:
        hybrid: the blocks of another kind that stand between the cell's
        hidden_size: D, the width of the stream between layers
        depth: how many blocks of the cell are stacked, those of a hybrid not counted
        first_weights: each part's own, or one distribution for all

    """

    later: ClassVar[frozenset[str]] = frozenset({"first_weights"})

    front_end: Annotated[PartConfig, OneOf(FRONT_ENDS)] = FRONT_ENDS["none"].Config(kind="none")
    positions: Annotated[PartConfig, OneOf(POSITIONS)] = POSITIONS["none"].Config(kind="none")
    cell: Annotated[PartConfig, OneOf(LAYERS)]
    hybrid: Annotated[HybridConfig, OneOf(HYBRIDS)] = HYBRIDS["none"].Config(kind="none")
    residual: Annotated[PartConfig, OneOf(RESIDUALS)] = RESIDUALS["none"].Config(kind="none")
    readout: Annotated[PartConfig, OneOf(READOUTS)] = READOUTS["last"].Config(kind="last")
    hidden_size: int = Field(default=64, ge=1, le=16_384)
    depth: int = Field(default=1, ge=1, le=256)
    first_weights: Annotated[PartConfig, OneOf(STARTS)] = STARTS["own"].Config(kind="own")

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
