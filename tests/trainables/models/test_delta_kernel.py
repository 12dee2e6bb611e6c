"""Which form of the gated delta rule runs, and that the package is called by its convention."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import stream
from tests.trainables.models.test_gated_delta import drive
from tests.trainables.models.witnesses.naive_delta import (
    kernel_arguments,
    naive_recurrent_gated_delta_rule,
)
from trainables.models.kernels import delta_kernel
from trainables.models.kernels.chunked_delta import chunked_delta
from trainables.models.kernels.delta_kernel import find_kernel, gated_delta_rule, suits


@pytest.fixture(autouse=True)
def _search_anew() -> Iterator[None]:
    find_kernel.cache_clear()
    yield
    find_kernel.cache_clear()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A stand-in for the package, which answers by its reference and notes what it was given."""
    seen: list[dict[str, Any]] = []

    def chunk_gated_delta_rule(**given: Any) -> tuple[Tensor, None]:
        seen.append(given)
        answers, _ = naive_recurrent_gated_delta_rule(**given)
        return answers, None

    for name in ("fla", "fla.ops", "fla.ops.gated_delta_rule"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    module: Any = sys.modules["fla.ops.gated_delta_rule"]
    module.chunk_gated_delta_rule = chunk_gated_delta_rule
    return seen


def single(length: int, width: int) -> list[Tensor]:
    return [part.detach().float().requires_grad_() for part in drive(length, width)]


@pytest.mark.parametrize(("length", "width"), [(1, 16), (63, 16), (130, 64)])
def test_the_package_is_called_by_its_convention(
    calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, length: int, width: int
) -> None:
    """Names, axes, scale and gates: its own reference then answers as our chunks do."""
    monkeypatch.setattr(delta_kernel, "suits", lambda q: True)
    inputs = single(length, width)
    theirs, ours = gated_delta_rule(*inputs), chunked_delta(*inputs)
    (given,) = calls
    assert set(given) <= set(kernel_arguments())
    assert given["q"].shape == given["k"].shape == given["v"].shape == (2, length, 3, width)
    assert given["g"].shape == given["beta"].shape == (2, length, 3)
    torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=1e-5)
    direction = stream(2 * 3, length, width, seed=6).float().view_as(ours)
    got, due = (torch.autograd.grad((y * direction).sum(), inputs) for y in (theirs, ours))
    torch.testing.assert_close(got, due, rtol=1e-4, atol=1e-4)


def test_on_the_processor_our_own_runs(calls: list[dict[str, Any]]) -> None:
    """Even where the package is there and torch may round."""
    inputs = single(20, 16)
    torch.set_float32_matmul_precision("high")
    try:
        answers = gated_delta_rule(*inputs)
    finally:
        torch.set_float32_matmul_precision("highest")
    assert not calls
    assert torch.equal(answers, chunked_delta(*inputs))


def test_without_the_package_our_own_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta_kernel, "suits", lambda q: True)
    monkeypatch.setitem(sys.modules, "fla.ops.gated_delta_rule", None)
    inputs = single(20, 16)
    assert find_kernel() is None
    assert torch.equal(gated_delta_rule(*inputs), chunked_delta(*inputs))


class OnCuda:
    """Heads that say they lie on a CUDA device."""

    is_cuda = True

    def __init__(self, width: int, dtype: torch.dtype) -> None:
        self.shape, self.dtype = (2, 3, 20, width), dtype


@pytest.mark.parametrize(
    ("width", "dtype", "precision", "kernel"),
    [
        (16, torch.float32, "high", True),
        (256, torch.float32, "medium", True),
        (64, torch.float32, "highest", False),
        (64, torch.float64, "high", False),
        (8, torch.float32, "high", False),
        (512, torch.float32, "high", False),
    ],
)
def test_the_kernel_runs_only_where_its_rounding_is_allowed(
    width: int, dtype: torch.dtype, precision: str, kernel: bool
) -> None:
    heads: Any = OnCuda(width, dtype)
    torch.set_float32_matmul_precision(precision)
    try:
        assert suits(heads) == kernel
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize(("length", "width"), [(63, 16), (1000, 64)])
def test_the_kernel_has_the_same_numbers(length: int, width: int) -> None:
    """Answers and gradients on the device, to the ten bits of its products."""
    if find_kernel() is None:
        pytest.skip("fla-core[cuda] is not installed")
    inputs = [part.detach().cuda().requires_grad_() for part in single(length, width)]
    torch.set_float32_matmul_precision("high")
    try:
        assert suits(inputs[0])
        theirs = gated_delta_rule(*inputs)
        direction = stream(2 * 3, length, width, seed=6).float().view_as(theirs).cuda()
        got = torch.autograd.grad((theirs * direction).sum(), inputs)
    finally:
        torch.set_float32_matmul_precision("highest")
    ours = chunked_delta(*inputs)
    due = torch.autograd.grad((ours * direction).sum(), inputs)
    for mine, other in zip((theirs, *got), (ours, *due), strict=True):
        assert (mine - other).norm() < 5e-3 * other.norm()
