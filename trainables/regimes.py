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
    """How a member goes from rung to rung."""

    Config: ClassVar[type[RegimeConfig]]

    def __init__(self, config: Any) -> None:
        self.config = config

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


class Incremental(Regime):
    """``incremental``: weights are carried up (Elman 1993; Bengio et al. 2009).

    In a ``rehearsal_fraction`` of the batches, a shorter lag is rehearsed, drawn evenly from the
    rungs below.
    """

    class Config(RegimeConfig):
        """``rehearsal_fraction`` of the batches go back to shorter lags."""

        kind: Literal["incremental"] = "incremental"
        rehearsal_fraction: float = Field(default=0.0, ge=0, lt=1)

    carries_weights = True

    def lag(self, rung: int, below: Sequence[int], generator: torch.Generator) -> int:
        """The rung's, or with the probability of a rehearsal one below."""
        if not below or self.config.rehearsal_fraction == 0:
            return rung
        if torch.rand((), generator=generator).item() >= self.config.rehearsal_fraction:
            return rung
        return below[int(torch.randint(len(below), (), generator=generator))]


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
}
