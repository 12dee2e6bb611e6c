"""What a state can hold, from closed forms.

Bits. A state of m numbers of p significant bits tells at most 2^(p m) pasts apart (Shannon 1948),
whatever its layer is. Trained, plain and gated nets hold about one number a unit (Collins et al.
2017), which is well below: capacity is an upper bound.

Pairs. A sum of n outer products of random keys and values in m = d^2 numbers (Kohonen 1972) answers
a key with its own value's score 1 and with every other's that is normal with variance n / m. Of V
values the largest other score is near sqrt(2 n ln V / m), so half of the answers are right at

    m = 2 n ln V        (d^2 = 2 n ln n where the values are the n written ones)

A delta rule takes off what a key recalls already, so that as many pairs as a key has numbers are
exact whatever else is written (Schlag et al. 2021).

Slots. A memory of N slots holds N items, one a slot (Graves et al. 2014).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

SIGNIFICANT = 24
"""Bits of a float32's significand (IEEE 754); states are kept in it, or hold less in bfloat16."""

Cell = Mapping[str, Any]


def bits_held(cell: Cell, width: int) -> float | None:
    """At most; infinite where the past itself is kept, None where the kind is not known here."""
    numbers = numbers_held(cell, width)
    return None if numbers is None else SIGNIFICANT * numbers


def numbers_held(cell: Cell, width: int) -> float | None:
    """Numbers that go from step to step, without a short convolution's last inputs."""
    known = NUMBERS.get(cell["kind"])
    return None if known is None else float(known(cell, width))


def items_held(cell: Cell, width: int, choices: float) -> float | None:
    """Pairs with one of so many ``choices`` for a value that are recalled with even odds.

    Returns:
        infinity where only bits bound them, None where the kind is not known here
    """
    kind = cell["kind"]
    if kind in SLOTTED:
        return float(cell["num_slots"])
    if kind in MATRICES:
        pairs = MATRICES[kind](cell, width) / (2 * math.log(max(choices, 2)))
        return max(pairs, width / cell["num_heads"]) if kind in CORRECTING else pairs
    return math.inf if kind in NUMBERS else None


def _square(cell: Cell, width: int) -> float:
    """H heads of (D / H)^2."""
    return width**2 / cell["num_heads"]


def _expanded(cell: Cell, width: int) -> float:
    return cell["expand"] * width * cell["state_size"]


MATRICES: dict[str, Callable[[Cell, int], float]] = {
    "mlstm": _square,
    "gated_delta": _square,
    "kda": _square,
    "rwkv7": _square,
    "mamba2": _expanded,
    "mamba3": _expanded,
}
"""Numbers of a memory that sums outer products."""

CORRECTING = {"gated_delta", "kda", "rwkv7"}
"""Those that write by a delta rule."""

SLOTTED = {"ntm", "dnc", "sam"}

NUMBERS: dict[str, Callable[[Cell, int], float]] = {
    **MATRICES,
    **dict.fromkeys(("rnn", "gru", "min_gru", "min_lstm"), lambda cell, width: width),
    **dict.fromkeys(("ind_rnn", "orthogonal_rnn", "bilinear_rnn"), lambda cell, width: width),
    **dict.fromkeys(("lstm", "refined_lstm", "lem", "co_rnn"), lambda cell, width: 2 * width),
    **dict.fromkeys(("lru", "linoss"), lambda cell, width: 2 * cell["state_size"]),
    **dict.fromkeys(SLOTTED, lambda cell, width: cell["num_slots"] * cell["slot_width"]),
    **dict.fromkeys(("self_attention", "transformer", "hyena"), lambda cell, width: math.inf),
    "recurrent_memory": lambda cell, width: width * (cell["num_tokens"] + 2 * cell["segment"]),
    "slstm": lambda cell, width: 4 * width,
    "dilated_lstm": lambda cell, width: (
        2 * width * sum(cell["dilation"] ** level for level in range(cell["levels"]))
    ),
    "s4d": lambda cell, width: width * cell["state_size"],
    "mamba": _expanded,
    "lmu": lambda cell, width: cell["num_signals"] * cell["order"],
}
"""By kind; infinite of those that keep the inputs themselves, as many as their window shows."""
