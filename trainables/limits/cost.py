"""Up to which lag a rung's budget pays for the training sequences that the ladder allows.

A step of training costs three forward passes: one forward, two back (Kaplan et al. 2020, 2.1). The
forward pass is counted by each layer (`trainables.models.layer.Layer.flops_per_step`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from trainables.limits.gradient import last_where
from trainables.measure.ladder_config import LadderConfig

TRAINING = 3
"""Forward passes that a training step is worth."""


def cost_limit(ladder: LadderConfig, flops: Callable[[int], float] | None) -> float | None:
    """The longest lag, in steps, at which all ``sequences`` of a rung fit into its ``gflop``.

    Args:
        ladder: its budget
        flops: of one forward pass over one sequence, by lag; it does not fall

    Returns:
        infinity without a limit in GFLOP and where the ladder's top is paid for, 0 where not even
        its start is, None where a sequence's cost is not known
    """
    if ladder.gflop is None:
        return math.inf
    if flops is None:
        return None
    most = 1e9 * ladder.gflop / (TRAINING * ladder.sequences)
    return last_where(lambda lag: flops(lag) <= most, ladder.start, ladder.stop)
