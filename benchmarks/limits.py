"""How far layers reach at first weights: predicted from closed forms, and measured.

python -m benchmarks.limits

One layer of width 32 on inputs of unit variance; both count the steps after which less than a
thousandth is felt of what is felt one step back. Predicted is the smaller of the gradient's reach
and of the window. Then all five limits of every kind, as it comes, on a task of four pairs.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from trainables.limits.distance import limits_of
from trainables.limits.gradient import FELT, gradient_reach
from trainables.limits.window import window_of
from trainables.measure.ladder_config import LadderConfig
from trainables.models.cells import LAYERS
from trainables.models.config import ModelConfig
from trainables.models.positions import POSITIONS

WIDTH, SEQUENCES = 32, 4

CHRONO = {"kind": "chrono", "longest_lag": 32}

WITHIN_AN_OCTAVE: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("rnn", {}, "none"),
    ("rnn", {"recurrent_weights": "orthogonal"}, "none"),
    ("lstm", {}, "none"),
    ("lstm", {"forget_bias": CHRONO}, "none"),
    ("gru", {}, "none"),
    ("min_gru", {}, "none"),
    ("min_gru", {"forget_bias": 3.0}, "none"),
    ("min_lstm", {}, "none"),
    ("min_lstm", {"forget_bias": CHRONO}, "none"),
    ("slstm", {}, "none"),
    ("slstm", {"forget_bias": 1.0}, "none"),
    ("lem", {}, "none"),
    ("lem", {"largest_step": 0.25}, "none"),
    ("co_rnn", {}, "none"),
    ("co_rnn", {"epsilon": 1.0}, "none"),
    ("lru", {"r_min": 0.5, "r_max": 0.95}, "none"),
    ("s4d", {"dt_min": 0.05, "dt_max": 0.5}, "none"),
    ("linoss", {}, "none"),
    ("lmu", {"theta": 64.0}, "none"),
    ("mlstm", {}, "none"),
    ("gated_delta", {}, "none"),
    ("kda", {}, "none"),
    ("kda", {"dt_min": 0.05, "dt_max": 0.5}, "none"),
    ("rwkv7", {}, "none"),
    ("rwkv7", {"dt_min": 0.05, "dt_max": 0.5}, "none"),
    ("hyena", {"longest_lag": 64}, "none"),
    ("self_attention", {"window": 32}, "none"),
    ("self_attention", {"forget_bias": 3.0}, "none"),
    ("transformer", {}, "alibi"),
)
"""By kind, what differs from how it comes, and positions."""

MISSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("lstm", {"forget_bias": 3.0}, "none"),
    ("gated_delta", {"num_heads": 2}, "none"),
    ("lmu", {"theta": 32.0, "order": 8}, "none"),
    ("dilated_lstm", {}, "none"),
)


def predicted(kind: str, config: dict[str, Any], positions: str = "none") -> float:
    """What the closed forms say."""
    part: Any = LAYERS[kind]
    cell = part.Config(kind=kind, **config).model_dump(mode="json")
    found = gradient_reach(cell, WIDTH, {"kind": positions}), window_of(cell)
    return min(steps for steps in found if steps is not None)


def measured(kind: str, config: dict[str, Any], steps: int, positions: str = "none") -> int | None:
    """The first k at which |d y_T / d x_(T-k)| is below `FELT` of that one step back."""
    torch.manual_seed(0)
    part: Any = LAYERS[kind]
    acting: Any = POSITIONS[positions]
    acting = acting(acting.Config(kind=positions), WIDTH)
    around = acting.around_layers
    layer = part(part.Config(kind=kind, **config), around)
    x = torch.randn(SEQUENCES, steps, WIDTH, requires_grad=True)
    signs = 2.0 * torch.randint(2, (SEQUENCES, WIDTH)) - 1
    (gradient,) = torch.autograd.grad((layer(x)[:, -1] * signs).sum(), x)
    norms = gradient.double().square().sum(-1).mean(0).flip(0).sqrt()
    below = (norms < FELT * norms[1]).nonzero()
    return int(below[0]) if len(below) else None


def main() -> None:
    """Print both tables."""
    print("| layer | predicted | measured |\n| --- | ---: | ---: |")
    for kind, config, positions in (*WITHIN_AN_OCTAVE, *MISSED):
        reach = predicted(kind, config, positions)
        steps = math.ceil(2.5 * reach) + 2
        found = measured(kind, config, steps, positions) or f"beyond {steps}"
        given = [f"{key} {value}" for key, value in config.items()] + [positions] * (
            positions != "none"
        )
        print(f"| {', '.join([f'`{kind}`', *given])} | {reach:.0f} | {found} |")
    names = ("gradient", "capacity", "precision", "window", "cost")
    print("\n| kind | " + " | ".join(names) + " |\n| --- |" + " ---: |" * len(names))
    task = {"kind": "associative_recall", "pairs": 4, "vocabulary": 64}
    for kind in LAYERS:
        model = ModelConfig.model_validate({"cell": {"kind": kind}, "hidden_size": WIDTH})
        limits = limits_of(model.model_dump(mode="json"), task, LadderConfig())
        steps = [
            {None: "not known", math.inf: "none"}.get(one, one) for one in vars(limits).values()
        ]
        print(
            f"| `{kind}` | "
            + " | ".join(f"{s:.3g}" if isinstance(s, float) else s for s in steps)
            + " |"
        )


if __name__ == "__main__":
    main()
