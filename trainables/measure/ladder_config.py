"""The ladder as a spec says it."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from trainables.measure.ladder import Rule, rungs
from trainables.parts import Config

LONGEST = 2**32
"""Steps; past it nothing can be counted, let alone trained."""


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

    start: int = Field(default=8, ge=2, le=LONGEST)
    stop: int = Field(default=4096, ge=2, le=LONGEST)
    ratio: float = Field(default=2.0, ge=1.01)
    members: int = Field(default=3, ge=1, le=1000)
    quorum: int = Field(default=3, ge=1)
    success: float = Field(default=0.9, gt=0, lt=1)
    sequences: int = Field(default=50_000, ge=1, le=10**12)
    gflop: float | None = Field(default=None, gt=0)
    test_sequences: int = Field(default=512, ge=1, le=10**8)
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
