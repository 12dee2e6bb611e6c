"""Hybrids: how blocks of another kind stand between the blocks of the cell."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from trainables.models.cells import LAYERS
from trainables.models.layer import PartConfig
from trainables.parts import OneOf


class HybridConfig(PartConfig):
    """Which layer stands at which depth."""

    @abstractmethod
    def blocks(self, cell: PartConfig, depth: int) -> Sequence[PartConfig]:
        """The configuration of every block, from the input up, for ``depth`` of the cell's."""


class Uniform:
    """``none``: every block is the cell's."""

    class Config(HybridConfig):
        """The cell at every depth."""

        kind: Literal["none"] = "none"

        def blocks(self, cell: PartConfig, depth: int) -> Sequence[PartConfig]:
            """The cell, ``depth`` times."""
            return [cell] * depth


class Interleaved:
    """``interleaved``: a block of another kind after every few of the cell's (De et al. 2024)."""

    class Config(HybridConfig):
        """After every ``every`` blocks of the model's cell, one block of ``cell`` besides."""

        kind: Literal["interleaved"] = "interleaved"
        cell: Annotated[PartConfig, OneOf(LAYERS)] = LAYERS["self_attention"].Config(
            kind="self_attention"
        )
        every: int = Field(default=1, ge=1, le=256)

        def blocks(self, cell: PartConfig, depth: int) -> Sequence[PartConfig]:
            """``every`` of the cell's, one of the other kind, and so on.

            Raises:
                ValueError: if there are too few blocks for one of the other kind.

            """
            if self.every > depth:
                raise ValueError(
                    f"hybrid.every: {self.every} is not allowed; it must be at most the depth "
                    f"({depth})"
                )
            order: list[PartConfig] = []
            for block in range(1, depth + 1):
                order.append(cell)
                if block % self.every == 0:
                    order.append(self.cell)
            return order


HYBRIDS: dict[str, Any] = {"none": Uniform, "interleaved": Interleaved}
