"""Positions counted by gates, compiled, against torch's operators."""

import pytest
import torch
from torch import Tensor

from tests.trainables.models.kernels.paths import take
from trainables.models.scored_attention import Terms, scored_attention

B, H, E, STEPS = 2, 3, 8, 300
"""Steps of more than two blocks of queries."""


def attended(
    path: str,
    monkeypatch: pytest.MonkeyPatch,
    given: list[Tensor],
    before: int = 0,
    window: int | None = None,
) -> tuple[Tensor, ...]:
    """The answers, and the gradients of a sum of them in queries, keys, values and embeddings."""
    take(path, monkeypatch)
    q, k, v, at = (part.clone().requires_grad_() for part in given)
    terms = Terms(None, None, None, 0, at, None)
    y = scored_attention(q[:, :, before:], k, v, q[:, :, before:], None, window, terms)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y.dtype)
    (y * weights).sum().backward()
    grads = [part.grad for part in (q, k, v, at)]
    assert all(grad is not None for grad in grads)
    return (y.detach(), *(grad for grad in grads if grad is not None))


def drawn(positions: int, dtype: torch.dtype, scale: float = 1.0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(B, H, STEPS, E)] * 3 + [(positions, E)]
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    drawn[0] *= scale
    return [part.to(dtype) for part in drawn]


def assert_as_near(found: tuple[Tensor, ...], wanted: tuple[Tensor, ...], rounding: float) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert (one - other).abs().max() <= rounding * other.abs().max().clamp(min=1)


@pytest.mark.parametrize("positions", [1, 2, 16, 500])
@pytest.mark.parametrize(("before", "window"), [(0, None), (0, 7), (120, None), (33, 150)])
def test_it_is_what_operators_make(
    positions: int, before: int, window: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = drawn(positions, torch.float64)
    compiled, torchs = (
        attended(path, monkeypatch, given, before, window) for path in ("compiled", "torch")
    )
    assert_as_near(compiled, torchs, 1e-11)


def test_in_float32_it_is_as_near_to_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = attended("torch", monkeypatch, drawn(16, torch.float64))
    compiled = attended("compiled", monkeypatch, drawn(16, torch.float32))
    assert_as_near(tuple(part.double() for part in compiled), truth, 2e-5)


def test_gates_that_are_wide_open_count_whole_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of some hundred: counts are whole numbers, between which there is no slope."""
    given = drawn(16, torch.float64, scale=300.0)
    compiled, torchs = (attended(path, monkeypatch, given) for path in ("compiled", "torch"))
    assert_as_near(compiled, torchs, 1e-9)


def test_what_is_no_number_stays_in_its_sequence_and_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = drawn(16, torch.float32)
    given[1][1, 2, 100, 0] = torch.nan
    y = attended("compiled", monkeypatch, given)[0]
    assert y[1, 2, 100:].isnan().all()
    assert not y[1, 2, :100].isnan().any()
    assert not y[0].isnan().any()


def test_nothing_of_it_is_seen_by_an_earlier_query(monkeypatch: pytest.MonkeyPatch) -> None:
    take("compiled", monkeypatch)
    q, k, v, at = drawn(16, torch.float64)
    terms = Terms(None, None, None, 0, at, None)
    before = scored_attention(q, k, v, q, None, None, terms)
    for part in (q, k, v):
        part[:, :, 200:] += 1
    after = scored_attention(q, k, v, q, None, None, terms)
    assert torch.equal(before[:, :, :200], after[:, :, :200])
    assert not torch.equal(before[:, :, 200:], after[:, :, 200:])
