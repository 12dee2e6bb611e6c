"""How far a layer's gradient reaches at first weights, from closed forms.

A state of units that keep shares s_1 .. s_D of themselves at every step carries back, over k steps,
a gradient whose norm falls as

    S(k) = sqrt(mean_i s_i^(2k))        (Hochreiter 1991; Pascanu et al. 2013)

The gradient reaches to where S has fallen to `FELT` of S(1). First shares are known from how a
layer starts; where they are drawn, they are taken at as many even quantiles of what they are drawn
from as there are units, since the slowest of them decides. How much a plain recurrent net keeps is
mean-field theory's: with pre-activations of variance q = v + w E[tanh(sqrt(q) z)^2], z normal, a
step keeps sqrt(w E[tanh'(sqrt(q) z)^2]) (Poole et al. 2016; Schoenholz et al. 2017), w the variance
of a recurrent row and v that of what enters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

FELT = 1e-3
"""Of the gradient one step back: below it, noise of a batch of a thousand hides what is left."""

FARTHEST = 2**24
"""Steps; whoever reaches them is limited by something else."""

Shares = Float[np.ndarray, " U"]

GOLDEN = (math.sqrt(5) - 1) / 2

ENTERS = 1 / 3
"""Variance of what enters a plain net, by torch's first weights U(-1, 1) / sqrt(D)."""


def gradient_reach(cell: Mapping[str, Any], width: int) -> float | None:
    """Steps back at which a layer of ``width`` feels `FELT` of one step back.

    Args:
        cell: a layer's configuration, as plain values
        width: units of the stream

    Returns:
        None where its kind has no closed form here; infinity where nothing fades
    """
    known = KEPT.get(cell["kind"])
    if known is None:
        return None
    shares = known(cell, width)
    if felt(shares, FARTHEST) >= FELT:
        return math.inf
    near, far = 1, FARTHEST
    while far - near > 1:
        middle = (near + far) // 2
        near, far = (middle, far) if felt(shares, middle) >= FELT else (near, middle)
    return float(far)


def felt(shares: Shares, back: int) -> float:
    """S(``back``) / S(1)."""
    far, near = (np.mean(shares ** (2.0 * k)) for k in (back, 1))
    return math.sqrt(far / near)


def quantiles(units: int) -> Shares:
    """Where ``units`` draws from [0, 1] lie on average, ascending."""
    even: Shares = np.arange(1, units + 1) / (units + 1)
    return even


def _gate(cell: Mapping[str, Any], width: int) -> Shares:
    """sigmoid(b) for the first biases b (`trainables.models.first_weights`)."""
    bias = cell["forget_bias"]
    if bias["kind"] == "chrono":
        times = 1 + quantiles(width) * max(bias["longest_lag"] - 2, 0)
        return times / (1 + times)
    if bias["kind"] == "uniform":
        least = min(1 / width, 0.5)
        return least + quantiles(width) * (1 - 2 * least)
    return np.array([1 / (1 + math.exp(-bias["value"]))])


def _two_gates(cell: Mapping[str, Any], width: int) -> Shares:
    """f / (f + i), where the input gate i opposes the forget gate or starts half open."""
    kept = _gate(cell, width)
    if cell["forget_bias"]["kind"] == "constant":
        return kept / (kept + 0.5)
    return kept


def _ring(cell: Mapping[str, Any], width: int) -> Shares:
    """Radii even in the area of a ring (Orvieto et al. 2023)."""
    inner, outer = cell["r_min"] ** 2, cell["r_max"] ** 2
    return np.sqrt(inner + quantiles(cell["state_size"]) * (outer - inner))


def _sampled(cell: Mapping[str, Any], width: int) -> Shares:
    """exp(-dt / 2), the logarithm of dt even (Gu et al. 2022)."""
    least, most = math.log(cell["dt_min"]), math.log(cell["dt_max"])
    return np.exp(-0.5 * np.exp(least + quantiles(width) * (most - least)))


def _oscillators(cell: Mapping[str, Any], width: int) -> Shares:
    """(1 + dt^2 a)^(-1/2), a and the logit of dt even in [0, 1] (Rusch & Rus 2024, eq. 5); or 1."""
    if cell["sampling"] == "implicit_explicit":
        return np.ones(1)
    units = cell["state_size"]
    paces = np.arange(1, units + 1) * GOLDEN % 1  # even, whatever the stiffness beside it
    squares = (1 / (1 + np.exp(-paces))) ** 2
    shares: Shares = (1 + squares * quantiles(units)) ** -0.5
    return shares


def _plain(cell: Mapping[str, Any], width: int) -> Shares:
    """Mean-field theory's, as above."""
    rows = 1.0 if cell["recurrent_weights"] == "orthogonal" else 1 / 3
    z, weights = np.polynomial.hermite_e.hermegauss(64)
    weights /= weights.sum()
    q = ENTERS
    for _ in range(200):
        q = ENTERS + rows * float(weights @ np.tanh(math.sqrt(q) * z) ** 2)
    slope = 1 - np.tanh(math.sqrt(q) * z) ** 2
    return np.array([math.sqrt(rows * float(weights @ slope**2))])


KEPT: dict[str, Callable[[Mapping[str, Any], int], Shares]] = {
    "lstm": _gate,
    "gru": _gate,
    "min_gru": _gate,
    "min_lstm": _two_gates,
    "lru": _ring,
    "s4d": _sampled,
    "linoss": _oscillators,
    "rnn": _plain,
}
"""By kind, the shares of its state that a layer keeps at first weights."""
