"""How far back a layer looks at all, by its structure.

A layer that sees w steps, itself among them, reaches w - 1 back, and a stack of such layers the sum
(Beltagy et al. 2020); a causal convolution of k taps at dilation d reaches (k - 1) d (van den Oord
et al. 2016). A delay line of theta steps holds those and no others (Voelker et al. 2019). Learned
positions end with their table (Gehring et al. 2017). Recurrences and full attention have no window.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

ENDLESS = {
    *("rnn", "lstm", "gru", "min_gru", "min_lstm", "ind_rnn", "dilated_lstm", "lru", "s4d"),
    *("mamba", "mlstm", "gated_delta", "mamba2", "mamba3", "kda", "rwkv7", "slstm"),
    *("refined_lstm", "lem", "co_rnn", "orthogonal_rnn", "bilinear_rnn", "hyena", "linoss"),
    *("recurrent_memory", "ntm", "dnc", "sam"),
}


def window_of(cell: Mapping[str, Any]) -> float | None:
    """Steps back; infinite where there is no end, None where the kind is not known here."""
    if cell["kind"] in {"self_attention", "transformer"}:
        window = cell.get("window")
        return math.inf if window is None else window - 1.0
    if cell["kind"] == "lmu":
        return float(cell["theta"])
    return math.inf if cell["kind"] in ENDLESS else None


def convolution_reach(front_end: Mapping[str, Any]) -> float:
    """Steps back that a front end sees by itself; one of a plugin is not counted."""
    if front_end["kind"] in {"conv", "strided"}:
        return front_end["kernel_width"] - 1.0
    if front_end["kind"] == "dilated":
        return (front_end["kernel_width"] - 1.0) * (2 ** front_end["num_layers"] - 1)
    return 0.0


def stride_of(front_end: Mapping[str, Any]) -> int:
    """Steps a frame."""
    stride: int = front_end["stride"] if front_end["kind"] == "strided" else 1
    return stride
