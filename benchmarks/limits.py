"""How far gradients reach at first weights: predicted from closed forms, and measured.

python -m benchmarks.limits

One layer of width 32 on inputs of unit variance; both count the steps after which less than a
thousandth is felt of what is felt one step back.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from trainables.limits.gradient import FELT, gradient_reach
from trainables.models.cells import LAYERS
from trainables.models.layer import Surroundings

WIDTH, SEQUENCES = 32, 4

CHRONO = {"kind": "chrono", "longest_lag": 32}

WITHIN_AN_OCTAVE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("rnn", {}),
    ("rnn", {"recurrent_weights": "orthogonal"}),
    ("lstm", {}),
    ("lstm", {"forget_bias": CHRONO}),
    ("gru", {}),
    ("min_gru", {}),
    ("min_gru", {"forget_bias": 3.0}),
    ("min_lstm", {}),
    ("min_lstm", {"forget_bias": CHRONO}),
    ("lru", {"r_min": 0.5, "r_max": 0.95}),
    ("s4d", {"dt_min": 0.05, "dt_max": 0.5}),
    ("linoss", {}),
)

MISSED: tuple[tuple[str, dict[str, Any]], ...] = (("lstm", {"forget_bias": 3.0}),)


def predicted(kind: str, config: dict[str, Any]) -> float:
    """What the closed form says."""
    part: Any = LAYERS[kind]
    reach = gradient_reach(part.Config(**config).model_dump(mode="json"), WIDTH)
    assert reach is not None, kind
    return reach


def measured(kind: str, config: dict[str, Any], steps: int) -> int | None:
    """The first k at which |d y_T / d x_(T-k)| is below `FELT` of that one step back."""
    torch.manual_seed(0)
    part: Any = LAYERS[kind]
    layer = part(part.Config(**config), Surroundings(WIDTH))
    x = torch.randn(SEQUENCES, steps, WIDTH, requires_grad=True)
    signs = 2.0 * torch.randint(2, (SEQUENCES, WIDTH)) - 1
    (gradient,) = torch.autograd.grad((layer(x)[:, -1] * signs).sum(), x)
    norms = gradient.double().square().sum(-1).mean(0).flip(0).sqrt()
    below = (norms < FELT * norms[1]).nonzero()
    return int(below[0]) if len(below) else None


def main() -> None:
    """A line for each."""
    for kind, config in (*WITHIN_AN_OCTAVE, *MISSED):
        reach = predicted(kind, config)
        steps = math.ceil(4 * reach) + 2
        found = measured(kind, config, steps)
        print(f"{kind} {config}: predicted {reach:.0f}, measured {found or f'beyond {steps}'}")


if __name__ == "__main__":
    main()
