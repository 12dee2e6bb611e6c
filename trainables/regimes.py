"""Regimes: how weights travel between rungs, and which lags a batch on a rung is drawn at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field

from trainables.parts import Config


class RegimeConfig(Config):
    """A regime's configuration."""

    kind: str


class Regime(ABC):
    """How a member goes from rung to rung, where its gradients end and its sequences begin."""

    Config: ClassVar[type[RegimeConfig]]

    def __init__(self, config: Any) -> None:
        self.config = config

    @property
    def window(self) -> int | None:
        """Steps within which a gradient goes back in time; None for the whole sequence."""
        return None

    @property
    def passed_fraction(self) -> float:
        """The share of a batch's sequences that begin with the state another one left."""
        return 0.0

    @property
    def passes(self) -> float:
        """What a sequence costs in training, in those of one that begins with the first state.

        One that is only read, to leave its final state to another, costs a third.
        """
        return 1 + self.passed_fraction / 3

    @property
    @abstractmethod
    def carries_weights(self) -> bool:
        """Whether a member starts a rung with what it learned below."""

    @abstractmethod
    def lag(self, rung: int, below: Sequence[int], generator: torch.Generator) -> int:
        """The lag of the next training batch on ``rung``, given the rungs ``below`` it."""


class Scratch(Regime):
    """``scratch``: fresh weights on every rung."""

    class Config(RegimeConfig):
        """Nothing is carried."""

        kind: Literal["scratch"] = "scratch"

    carries_weights = False

    def lag(self, rung: int, below: Sequence[int], generator: torch.Generator) -> int:
        """The rung's."""
        return rung


class RehearsingConfig(RegimeConfig):
    """``rehearsal_fraction`` of the batches go back to shorter lags."""

    rehearsal_fraction: float = Field(default=0.0, ge=0, lt=1)


class Rehearsing(Regime):
    """Weights are carried up.

    In a ``rehearsal_fraction`` of the batches, a shorter lag is rehearsed, drawn evenly from the
    rungs below.
    """

    carries_weights = True

    def lag(self, rung: int, below: Sequence[int], generator: torch.Generator) -> int:
        """The rung's, or with the probability of a rehearsal one below."""
        if not below or self.config.rehearsal_fraction == 0:
            return rung
        if torch.rand((), generator=generator).item() >= self.config.rehearsal_fraction:
            return rung
        return below[int(torch.randint(len(below), (), generator=generator))]


class Incremental(Rehearsing):
    """``incremental``: weights are carried up (Elman 1993; Bengio et al. 2009)."""

    class Config(RehearsingConfig):
        """All of a sequence teaches."""

        kind: Literal["incremental"] = "incremental"


class Truncated(Rehearsing):
    """``truncated``: as ``incremental``, with gradients that end at the borders of windows.

    States are carried over the borders (Williams & Peng 1990). A window as long as the sequence
    is backpropagation through all of it.
    """

    class Config(RehearsingConfig):
        """``window``: steps of one, counted from the sequence's end; its first may be shorter."""

        kind: Literal["truncated"] = "truncated"
        window: int = Field(ge=1)

    @property
    def window(self) -> int:
        """As the configuration says."""
        window: int = self.config.window
        return window


class StatePassing(Rehearsing):
    """``state_passing``: as ``incremental``, with sequences that begin where others ended.

    A model so learns from the states that it comes to, and not from its first one alone (Buitrago
    & Gu 2025, arXiv 2507.02782). What is judged still begins with the first state.
    """

    class Config(RehearsingConfig):
        """``passed_fraction`` of a batch begin with the final state of another of its sequences."""

        kind: Literal["state_passing"] = "state_passing"
        passed_fraction: float = Field(default=0.5, gt=0, le=1)

    @property
    def passed_fraction(self) -> float:
        """As the configuration says."""
        fraction: float = self.config.passed_fraction
        return fraction


class Auxiliary(Rehearsing):
    """``auxiliary``: as ``incremental``, and at random anchors inputs have to be said besides.

    What a state is to hold is so asked for at any lag, by gradients over ``steps`` steps alone
    (Trinh et al. 2018, arXiv 1803.00144). What is judged is the answers, as ever.
    """

    class Config(RehearsingConfig):
        """What is said, where, and how much it counts.

        Attributes:
            said: ``what_was_read``, the inputs of a segment that ends at an anchor, or
                ``what_follows`` it
            steps: of a segment, over which its gradient goes back
            anchors: in each batch, the same for all of its sequences
            weight: of the mean loss of what is said, beside that of the answers
            window: steps within which the answers' gradients go back, as of ``truncated``; null for
                all

        """

        kind: Literal["auxiliary"] = "auxiliary"
        said: Literal["what_was_read", "what_follows"] = "what_was_read"
        steps: int = Field(default=32, ge=1)
        anchors: int = Field(default=1, ge=1, le=64)
        weight: float = Field(default=1.0, ge=0)
        window: int | None = Field(default=None, ge=1)

    @property
    def window(self) -> int | None:
        """As the configuration says."""
        window: int | None = self.config.window
        return window


class Mixed(Regime):
    """``mixed``: weights are carried up, and every batch draws its lag from all rungs so far.

    The rungs are geometric, so their lags are drawn evenly in the logarithm, the present one no
    more often than the others (Zaremba & Sutskever 2014).
    """

    class Config(RegimeConfig):
        """Lags up to the rung's, evenly."""

        kind: Literal["mixed"] = "mixed"

    carries_weights = True

    def lag(self, rung: int, below: Sequence[int], generator: torch.Generator) -> int:
        """The rung's or one below, each as likely."""
        return (*below, rung)[int(torch.randint(len(below) + 1, (), generator=generator))]


REGIMES: dict[str, type[Regime]] = {
    "incremental": Incremental,
    "scratch": Scratch,
    "mixed": Mixed,
    "truncated": Truncated,
    "state_passing": StatePassing,
    "auxiliary": Auxiliary,
}
