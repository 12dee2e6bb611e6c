"""Elementary functions of the kernels, in units in the last place of the right answer."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.trainables.models.kernels.paths import take
from trainables.models.kernels.door import call

Exact = Callable[[np.ndarray], np.ndarray]


def log_odds(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


FUNCTIONS: list[tuple[str, int, Exact, float, float, float]] = [
    ("exp", 0, np.exp, -87.2, 87.9, 2),
    ("expm1", 1, np.expm1, -87.2, 0, 3),
    ("log", 2, np.log, 1.2e-38, 3e38, 2),
    ("log1p", 3, np.log1p, 0, 1, 3),
    ("sigmoid", 4, lambda x: 1 / (1 + np.exp(-x)), -87.2, 87.2, 3),
    ("tanh", 5, np.tanh, -20, 20, 4),
    ("softplus", 6, log_odds, -87.2, 20, 4),
]


def points(low: float, high: float) -> np.ndarray:
    """Evenly in the numbers and in their exponents, both ends among them."""
    generator = np.random.default_rng(0)
    even = np.concatenate([np.linspace(low, high, 20_001), generator.uniform(low, high, 50_000)])
    small = np.exp(generator.uniform(np.log(1.2e-38), np.log(max(-low, high)), 50_000))
    inside = np.concatenate([even, small, -small, np.linspace(-2, 2, 20_001)]).astype(np.float32)
    return inside[(inside >= low) & (inside <= high)]


def compiled(code: int, x: np.ndarray) -> np.ndarray:
    given = torch.from_numpy(x)
    answer = torch.empty_like(given)
    call("elementary", [code, len(x)], [given, answer])
    return answer.numpy()


@pytest.mark.parametrize(
    ("name", "code", "exact", "low", "high", "ulp"), FUNCTIONS, ids=[f[0] for f in FUNCTIONS]
)
def test_within_a_few_units_in_the_last_place(
    name: str, code: int, exact: Exact, low: float, high: float, ulp: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """As `source/real.h` says, over the whole range."""
    take("compiled", monkeypatch)
    x = points(low, high)
    right = exact(x.astype(np.float64))
    with np.errstate(under="ignore"):
        unit = np.spacing(np.maximum(np.abs(right).astype(np.float32), np.float32(1.2e-38)))
    far = np.abs(compiled(code, x) - right) / unit
    assert far.max() <= ulp, (name, x[far.argmax()], far.max())


@pytest.mark.parametrize("code", [f[1] for f in FUNCTIONS], ids=[f[0] for f in FUNCTIONS])
@pytest.mark.parametrize("length", [1, 7, 64])
def test_nan_stays_nan(code: int, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In vectors and in what is left over behind them."""
    take("compiled", monkeypatch)
    assert np.isnan(compiled(code, np.full(length, np.nan, np.float32))).all()


def test_beyond_the_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing, infinity, or where a function levels off."""
    take("compiled", monkeypatch)
    far = np.array([-np.inf, -1e30, -200, 200, 1e30, np.inf], np.float32)
    assert compiled(0, far).tolist() == [0, 0, 0, np.inf, np.inf, np.inf]
    assert compiled(4, far).tolist() == [0, 0, 0, 1, 1, 1]
    assert compiled(5, far).tolist() == [-1, -1, -1, 1, 1, 1]
    assert compiled(6, far)[3:].tolist() == far[3:].tolist()
