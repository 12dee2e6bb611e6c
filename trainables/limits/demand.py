"""What a task asks to be held over a lag, in a state of any kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ADDEND = 1 / 0.04
"""Values of a sum in [0, 2] that `adding` tells apart: it is right if off by less than 0.04."""


@dataclass(frozen=True)
class Demand:
    """``items``, each one of ``choices`` that are equally likely, all of them before an answer."""

    items: int
    choices: float

    @property
    def bits(self) -> float:
        """Their entropy (Shannon 1948); what is not independent of the rest is not counted."""
        return self.items * math.log2(self.choices)


def demand_of(task: Mapping[str, Any], choices: int | None = None) -> Demand | None:
    """What a task of a kind that ships asks for.

    A pair of key and value counts as its value, so it is the least that must be held.

    Args:
        task: its configuration, as plain values
        choices: of an answer, where the task's own data says how many there are: one answer is then
            the least that is asked for

    Returns:
        None where neither says
    """
    known = ITEMS.get(task["kind"])
    if known is not None:
        return known(task)
    return Demand(1, choices) if choices is not None and choices > 1 else None


ITEMS: dict[str, Callable[[Mapping[str, Any]], Demand]] = {
    "recall": lambda task: Demand(1, task["alphabet"]),
    "copying": lambda task: Demand(task["symbols"], task["alphabet"]),
    "selective_copying": lambda task: Demand(task["symbols"], task["vocabulary"] - 2),
    "associative_recall": lambda task: Demand(task["pairs"], task["vocabulary"] // 2),
    "induction": lambda task: Demand(1, task["vocabulary"] - 1),
    "temporal_order": lambda task: Demand(task["marks"], 2),
    "permutation_tracking": lambda task: Demand(1, math.factorial(task["items"])),
    "delayed_pattern": lambda task: Demand(1, task["classes"]),
    "adding": lambda task: Demand(1, ADDEND),
    "parity": lambda task: Demand(1, 2),
    "flip_flop": lambda task: Demand(1, 2),
}
"""By kind; every answer's items, but that of `adding` is the sum so far."""
