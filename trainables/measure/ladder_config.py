"""The ladder as a spec says it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from trainables.measure.ladder import Rule, rungs
from trainables.measure.looks.sizes import sizes
from trainables.parts import Config

LEAST_SKILL = 0.6
"""The least success asked for at the shortest rung, where that of the others is relative to it."""

AHEAD = 0.2
"""Of a rung's budget, the part that a member may spend ahead."""

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


class RelativeSuccess(Config):
    """A success that is a part of what a member can do at the shortest rung."""

    relative: float = Field(gt=0, lt=1)
    at_least: float = Field(default=LEAST_SKILL, gt=0, lt=1)


class LadderConfig(Config):
    """The ladder of lags and what it takes to pass a rung.

    Attributes:
        start: shortest lag, in steps
        stop: longest lag, in steps
        ratio: of one rung's lag to the one below
        members: independently initialised and trained copies of the architecture
        quorum: how many of them must solve a rung
        success: success rate that a member must be shown to reach, at 95 % confidence; or
            ``relative: R``, for R times what the member is able to do at the shortest rung, and at
            least ``at_least``
        relative: R; null for a ``success`` that is the same for all
        sequences: most training sequences a member may use on one rung
        gflop: most training cost of one member on one rung, in 10^9 operations; null for no limit
        test_sequences: held-out sequences of one look
        seconds: most wall time a member may use on one rung; null for no limit
        stall: when a member gives up early; null for never
        looks: ``whole``, every look shows ``test_sequences``; or ``sequential``, it ends as soon as
            it is decided; null, as recorded by earlier versions, is whole
        ahead: a rung at which a member is trained before its first; from then on it looks at each
            rung before it trains there (`docs/measure.md`, "Going ahead"). The first rung: it
            begins there, and looks before it trains on the others. Null for neither
        skip: where every member that tried a rung solved it within this part of ``sequences``, the
            next rung is skipped; null to skip none
        train_to: the longest lag that is trained on; rungs above it are judged with the weights
            as they come, by one look; null to train on all
        train_out: whether a member is looked at on the longest of the trained rungs only when it is
            done, stalled or out of budget or time, for all above is judged with what it is then
    """

    start: int = Field(default=8, ge=2, le=LONGEST)
    stop: int = Field(default=4096, ge=2, le=LONGEST)
    ratio: float = Field(default=2.0, ge=1.01)
    members: int = Field(default=3, ge=1, le=1000)
    quorum: int = Field(default=3, ge=1)
    success: float = Field(default=0.9, gt=0, lt=1)
    relative: float | None = Field(default=None, gt=0, lt=1)
    sequences: int = Field(default=50_000, ge=1, le=10**12)
    gflop: float | None = Field(default=None, gt=0)
    test_sequences: int = Field(default=512, ge=1, le=10**8)
    seconds: float | None = Field(default=None, gt=0)
    stall: StallRule | None = StallRule()
    skip: float | None = Field(default=None, gt=0, le=1)
    looks: Literal["whole", "sequential"] | None = None
    ahead: int | None = Field(default=None, ge=2, le=LONGEST)
    train_to: int | None = Field(default=None, ge=2, le=LONGEST)
    train_out: bool = False

    later: ClassVar[frozenset[str]] = frozenset(
        {"relative", "skip", "looks", "ahead", "train_to", "train_out"}
    )

    @model_validator(mode="before")
    @classmethod
    def _relative(cls, given: Any) -> Any:
        """``success: {relative: R}`` is R of the skill, and at least ``at_least``."""
        if not isinstance(given, Mapping) or not isinstance(given.get("success"), Mapping):
            return given
        found = RelativeSuccess.model_validate(given["success"])
        return {**given, "success": found.at_least, "relative": found.relative}

    @model_validator(mode="after")
    def _climbable(self) -> Self:
        rungs(self.start, self.stop, self.ratio)
        Rule(self.members, self.quorum)
        if self.train_to is not None and self.train_to < self.start:
            raise ValueError(
                f"train_to: {self.train_to} is not allowed; it must be at least start "
                f"({self.start})"
            )
        if self.train_out and self.train_to is None:
            raise ValueError(
                "train_out: true is not allowed without train_to, the longest lag trained on"
            )
        if self.train_out and self.skip is not None:
            raise ValueError(
                f"skip: {self.skip:g} is not allowed with train_out, whose rung it might skip"
            )
        if self.ahead is not None and self.relative is not None:
            raise ValueError(
                "ahead: not with a success that is relative to the skill, which is measured when"
                " learning is done"
            )
        if self.ahead is not None and not self.trains_at(self.ahead):
            raise ValueError(
                f"ahead: {self.ahead} is not allowed; nothing longer than train_to "
                f"({self.train_to}) is trained on"
            )
        return self

    def trains_at(self, lag: int) -> bool:
        """Whether members train on the rung at ``lag``, or are only judged there."""
        return self.train_to is None or lag <= self.train_to

    def trains_out(self, lag: int) -> bool:
        """Whether a member is looked at on the rung at ``lag`` only when it is done.

        The same rung wherever the ladder stops: who climbs a part of it climbs it alike.
        """
        if not self.train_out or self.train_to is None:
            return False
        beyond = math.ceil(self.train_to * self.ratio) + 1
        return lag == max(filter(self.trains_at, rungs(self.start, beyond, self.ratio)))

    @property
    def trained_rungs(self) -> tuple[int, ...]:
        """Those of the rungs that are trained on, ascending; at least the first."""
        return tuple(lag for lag in self.rungs if self.trains_at(lag))

    @property
    def asked(self) -> str:
        """The success asked for, in words."""
        if self.relative is None:
            return f"{self.success:g}"
        return f"{self.relative:g} of the skill, at least {self.success:g}"

    @property
    def rungs(self) -> tuple[int, ...]:
        """The lags, ascending."""
        return rungs(self.start, self.stop, self.ratio)

    @property
    def ends_of_a_look(self) -> int:
        """At how many numbers of sequences a look may end; where each is whole, at one."""
        return len(sizes(self.test_sequences)) if self.looks == "sequential" else 1

    @property
    def rule(self) -> Rule:
        """When a rung is passed, and when the one after it is skipped."""
        at_once = 0 if self.skip is None else math.floor(self.skip * self.sequences)
        return Rule(self.members, self.quorum, at_once)

    @property
    def before_the_first(self) -> Self | None:
        """What a member that goes ahead trains by, at the top of it; None where none goes."""
        if self.ahead is None or self.ahead <= self.start:
            return None
        gflop = None if self.gflop is None else AHEAD * self.gflop
        sequences = max(1, math.floor(AHEAD * self.sequences))
        there = {"stop": self.ahead, "ahead": None, "train_out": False}
        return self.model_copy(update={**there, "sequences": sequences, "gflop": gflop})

    @property
    def of_every_rung(self) -> Self:
        """The same, with none skipped: what a certificate claims, it claims of every rung."""
        return self.model_copy(update={"skip": None})
