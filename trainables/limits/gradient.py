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

NO_POSITIONS = {"kind": "none"}

ATTENDING = {"self_attention", "transformer"}

GOLDEN = (math.sqrt(5) - 1) / 2

ENTERS = 1 / 3
"""Variance of what enters a plain net, by torch's first weights U(-1, 1) / sqrt(D)."""


def gradient_reach(
    cell: Mapping[str, Any], width: int, positions: Mapping[str, Any] = NO_POSITIONS
) -> float | None:
    """Steps back at which a layer of ``width`` feels `FELT` of one step back.

    Args:
        cell: a layer's configuration, as plain values
        width: units of the stream
        positions: what numbers its steps

    Returns:
        None where its kind has no closed form here; infinity where nothing fades
    """
    written: Shares | float = 1.0
    if cell["kind"] in ATTENDING:
        shares = _attention(cell, positions)
        if shares.max() < 1:
            written = 1 - shares  # of weights that sum to 1
    elif cell["kind"] in KEPT:
        shares = KEPT[cell["kind"]](cell, width)
    else:
        return None
    last = last_where(lambda back: felt(shares, back, written) >= FELT, 1)
    return last + 1


def last_where(holds: Callable[[int], bool], first: int, last: int = FARTHEST) -> float:
    """The last number of steps from ``first`` on at which ``holds``, which turns false but once.

    Returns:
        0 where it never does, infinity where it still does at ``last``
    """
    if not holds(first):
        return 0.0
    near, far = first, last
    if holds(far):
        return math.inf
    while far - near > 1:
        middle = (near + far) // 2
        near, far = (middle, far) if holds(middle) else (near, middle)
    return float(near)


def felt(shares: Shares, back: int, written: Shares | float = 1.0) -> float:
    """S(``back``) / S(1), where units do not write alike, each times what it writes."""
    far, near = (np.mean(written**2 * shares ** (2.0 * k)) for k in (back, 1))
    return math.sqrt(far / near)


def quantiles(units: int) -> Shares:
    """Where ``units`` draws from [0, 1] lie on average, ascending."""
    even: Shares = np.arange(1, units + 1) / (units + 1)
    return even


def first_gate(bias: Mapping[str, Any], width: int) -> Shares:
    """sigmoid(b) for the first biases b of ``width`` units (`trainables.models.first_weights`)."""
    if bias["kind"] == "chrono":
        times = 1 + quantiles(width) * max(bias["longest_lag"] - 2, 0)
        return times / (1 + times)
    if bias["kind"] == "uniform":
        least = min(1 / width, 0.5)
        return least + quantiles(width) * (1 - 2 * least)
    return np.array([1 / (1 + math.exp(-bias["value"]))])


def _gate(cell: Mapping[str, Any], width: int) -> Shares:
    return first_gate(cell["forget_bias"], width)


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
    z, weights = _normal()
    q = ENTERS
    for _ in range(200):
        q = ENTERS + rows * float(weights @ np.tanh(math.sqrt(q) * z) ** 2)
    slope = 1 - np.tanh(math.sqrt(q) * z) ** 2
    return np.array([math.sqrt(rows * float(weights @ slope**2))])


def _matrix(keep: Callable[[Mapping[str, Any], int], Shares]) -> Callable[..., Shares]:
    """What a delta rule of first strength 1/2 leaves besides, in heads of E numbers a key.

    (1 - k k^T / 2) keeps of a vector, the key k even on the sphere, E|..|^2 = 1 - 3 / (4 E).
    """

    def kept(cell: Mapping[str, Any], width: int) -> Shares:
        strength = cell.get("largest_write", 1.0) / 2
        removed = (2 - strength) * strength * cell["num_heads"] / width
        writes = cell.get("num_writes", 1)
        shares: Shares = keep(cell, width) * (1 - removed) ** (writes / 2)
        return shares

    return kept


def _timescales(cell: Mapping[str, Any], units: int) -> Shares:
    """exp(-dt), the logarithm of dt even (Gu & Dao 2023)."""
    least, most = math.log(cell["dt_min"]), math.log(cell["dt_max"])
    return np.exp(-np.exp(least + quantiles(units) * (most - least)))


def _rated(cell: Mapping[str, Any], width: int) -> Shares:
    """exp(-a dt), a even in [1, 16], one of each a head (Yang et al. 2024)."""
    paces = np.arange(1, cell["num_heads"] + 1) * GOLDEN % 1
    shares: Shares = _timescales(cell, cell["num_heads"]) ** (1 + 15 * paces)
    return shares


def _even_biases(cell: Mapping[str, Any], width: int) -> Shares:
    """sigmoid(b), b even from 3 to 6 over the heads (Beck et al. 2024, of mLSTM)."""
    biases = np.linspace(3, 6, cell["num_heads"])
    shares: Shares = 1 / (1 + np.exp(-biases))
    return shares


def _timed(cell: Mapping[str, Any], width: int) -> Shares:
    """sqrt(E[(1 - g)^2] + c): two equal states of first gates g = dt sigmoid(sqrt(q) z), z normal.

    Each hears the other through a recurrent row of variance 1/3, c = E[g^2] E[tanh'(sqrt(q) z)^2]
    / 3 of its square (Rusch et al. 2022, eq. 3; mean field as of a plain net, q that of what
    enters).
    """
    z, weights = _normal()
    gate = cell["largest_step"] / (1 + np.exp(-math.sqrt(ENTERS) * z))
    slope = 1 - np.tanh(math.sqrt(ENTERS) * z) ** 2
    heard = float(weights @ gate**2) * float(weights @ slope**2) / 3
    return np.array([math.sqrt(float(weights @ (1 - gate) ** 2) + heard)])


def _springs(cell: Mapping[str, Any], width: int) -> Shares:
    """The larger eigenvalue of a spring's step (Rusch & Mishra 2021), its neighbours heard.

    They take the radius r of a random matrix of row variance 1/3 times tanh's slope (Girko 1984)
    off its stiffness and off its friction.
    """
    z, weights = _normal()
    slope = 1 - np.tanh(math.sqrt(ENTERS) * z) ** 2
    radius = math.sqrt(float(weights @ slope**2) / 3)
    dt, stiffness, friction = (cell[key] for key in ("time_step", "gamma", "epsilon"))
    kept = 1 - dt * (friction - radius)
    pull = dt * (stiffness - radius)
    step = np.array([[kept, -pull], [dt * kept, 1 - dt * pull]])
    return np.minimum(np.abs(np.linalg.eigvals(step)).max(keepdims=True), 1.0)


def _attention(cell: Mapping[str, Any], positions: Mapping[str, Any]) -> Shares:
    """By distance: nothing where scores start near 0, exp(-m) of slopes m, a gate's sigmoid(b).

    Press et al. 2022; Lin et al. 2025. Both together multiply.
    """
    heads = cell["num_heads"]
    shares: Shares = np.ones(heads)
    if positions["kind"] == "alibi":
        shares = np.exp2(-8 * np.arange(1, heads + 1) / heads)
        shares = np.exp(-shares)
    if cell.get("forget_bias") is not None:
        shares = shares * first_gate(cell["forget_bias"], heads)
    return shares


def _levels(cell: Mapping[str, Any], width: int) -> Shares:
    """Of the slowest level, which ticks once in so many steps (Chang et al. 2017)."""
    slowest = cell["dilation"] ** (cell["levels"] - 1)
    shares: Shares = _gate(cell, width) ** (1 / slowest)
    return shares


def _filters(cell: Mapping[str, Any], width: int) -> Shares:
    """exp(-a / T), the rates a even between those that fall to 1/100 in 0.3 T and in 1.5 T steps.

    Poli et al. 2023; what the net draws beside them is taken as even over the distances.
    """
    slowest, fastest = (math.log(100) / part for part in (1.5, 0.3))
    return np.exp(-np.linspace(slowest, fastest, width) / cell["longest_lag"])


def _normal() -> tuple[Shares, Shares]:
    """Points and weights of a mean over a standard normal."""
    z, weights = np.polynomial.hermite_e.hermegauss(64)
    return z, weights / weights.sum()


KEPT: dict[str, Callable[[Mapping[str, Any], int], Shares]] = {
    "lstm": _gate,
    "gru": _gate,
    "min_gru": _gate,
    "min_lstm": _two_gates,
    "lru": _ring,
    "s4d": _sampled,
    "linoss": _oscillators,
    "rnn": _plain,
    "slstm": _gate,
    "dilated_lstm": _levels,
    "lem": _timed,
    "co_rnn": _springs,
    "mlstm": _even_biases,
    "gated_delta": _matrix(_rated),
    "kda": _matrix(_timescales),
    "rwkv7": _matrix(_timescales),
    "hyena": _filters,
    "orthogonal_rnn": lambda cell, width: np.ones(1),  # its rectifier starts near the identity
}
"""By kind, the shares of its state that a layer keeps at first weights; attention's above."""
