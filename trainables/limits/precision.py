"""How many steps float arithmetic can tell apart, from closed forms.

A share that is kept at every step is a number below 1, and the largest such number of a format is
its slowest decay, of time constant tau = 1 / (1 - share). Rounding to p significant bits (IEEE 754;
Goldberg 1991) leaves

    2^(p-1)  of a sigmoid 1 / (1 + e): the sum is a multiple of 2^(1-p)     (float32: 8.4e6)
    2^p      of an exponential, the largest number below 1                  (float32: 1.7e7)

A gate that is 1 exactly holds for ever, but passes no gradient that could open it. A map that turns
and keeps lengths rounds by 2^-p a step, which after 2^p steps may be all there is (Higham 2002, 3).
An angle t w, rounded, may be the next step's from t = 2^(p-1) on, where its ulp exceeds w.
Decays that multiply up underflow below 1.2e-38, tau ln(8.5e37) = 87 tau steps: gradients end long
before, at 7 tau, and the kernels multiply within chunks. A forgetting attention adds log f up over
the whole past, and no longer knows a step from the next where the sum has that step's ulp.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from trainables.limits.gradient import first_gate

FLOAT32, BFLOAT16 = 24, 8
"""Significant bits p."""

SIGMOID, EXPONENTIAL = 2.0 ** (FLOAT32 - 1), 2.0**FLOAT32

FUSED = {"lstm", "gru", "dilated_lstm"}
"""Kinds whose gates torch computes in the precision that is asked for; all others in float32."""

SLOWEST: dict[str, float] = {
    **dict.fromkeys(FUSED, SIGMOID),
    **dict.fromkeys(("min_gru", "min_lstm", "refined_lstm", "slstm", "mlstm", "lem"), SIGMOID),
    **dict.fromkeys(("lru", "s4d", "mamba", "mamba2", "mamba3"), EXPONENTIAL),
    **dict.fromkeys(("gated_delta", "kda", "rwkv7", "ind_rnn"), EXPONENTIAL),
    **dict.fromkeys(("orthogonal_rnn", "bilinear_rnn", "linoss"), EXPONENTIAL),  # lengths stay
    "hyena": EXPONENTIAL,  # a filter's argument is the distance, a float
}
"""By kind; plain nets, springs, delay lines and external memories have no closed form here."""

ANGLES = {"sinusoidal", "rope", "xpos"}


def precision_limit(
    cell: Mapping[str, Any], width: int, positions: Mapping[str, Any], precision: str
) -> float | None:
    """Steps; infinite where nothing is rounded, None where the kind has no closed form here."""
    kind = cell["kind"]
    if kind in {"self_attention", "transformer"}:
        gate = cell.get("forget_bias")
        if gate is not None:
            return EXPONENTIAL / -math.log(float(first_gate(gate, cell["num_heads"]).max()))
        if positions["kind"] in ANGLES:
            return SIGMOID
        return EXPONENTIAL if positions["kind"] == "alibi" else math.inf
    if kind in FUSED and precision == "bf16":
        return 2.0**BFLOAT16
    return SLOWEST.get(kind)
