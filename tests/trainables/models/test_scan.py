"""The scan of a linear recurrence, in both its forms, against the loop."""

from unittest.mock import MagicMock

import pytest
import torch
from torch import Tensor

from trainables.models.kernels import scan
from trainables.models.kernels.scan import linear_scan, precise, scan_by_halves

LENGTHS = [1, 2, 3, 4, 5, 7, 8, 63, 64, 65, 1000]


@pytest.fixture(params=["in place", "by halves"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both forms, on a CPU: which one runs depends only on whether calls are cheap."""
    cheap = request.param == "in place"
    monkeypatch.setattr(scan, "_calls_are_cheap", lambda device: cheap)


def numbers(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype)


def loop(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    states = []
    for a_t, b_t in zip(a.expand(len(b), *a.shape[1:]), b, strict=True):
        h = a_t * h + b_t
        states.append(h)
    return torch.stack(states)


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_equals_the_loop(length: int, dtype: torch.dtype) -> None:
    """States and gradients; the factors turn and shrink, as those of a cell do."""
    a = numbers(length, 2, 3, dtype=dtype)
    a = (a / (a.abs() + 0.1)).requires_grad_()
    b = numbers(length, 2, 3, dtype=dtype, seed=1).requires_grad_()
    initial = numbers(2, 3, dtype=dtype, seed=2).requires_grad_()
    direction = numbers(length, 2, 3, dtype=dtype, seed=3)
    fast, slow = linear_scan(a, b, initial), loop(a, b, initial)
    torch.testing.assert_close(fast, slow, rtol=1e-11, atol=1e-12)
    got, due = (torch.autograd.grad(h, (a, b, initial), direction) for h in (fast, slow))
    torch.testing.assert_close(got, due, rtol=1e-10, atol=1e-11)


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("length", [1, 5])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("shape", [(None, 2, 3), (1, 2, 3), (None, 1, 3), (1, 1, 3), (1, 1, 1)])
def test_gradients_are_those_of_differences(
    length: int, dtype: torch.dtype, shape: tuple[int | None, ...]
) -> None:
    """With factors of their own for each element, or shared along any axis."""
    a = numbers(*(length if axis is None else axis for axis in shape), dtype=dtype)
    b, initial = numbers(length, 2, 3, dtype=dtype, seed=1), numbers(2, 3, dtype=dtype, seed=2)
    inputs = tuple(part.requires_grad_() for part in (a, b, initial))
    assert torch.autograd.gradcheck(linear_scan, inputs)


@pytest.mark.usefixtures("form")
def test_real_factors_on_complex_states() -> None:
    """The real factors' gradient is the real one."""
    a = numbers(4, 1, 3).requires_grad_()
    b = numbers(4, 2, 3, dtype=torch.complex128, seed=1).requires_grad_()
    initial = numbers(2, 3, dtype=torch.complex128, seed=2)
    assert torch.autograd.gradcheck(lambda a, b: linear_scan(a, b, initial), (a, b))


@pytest.mark.usefixtures("form")
def test_reads_tensors_of_any_layout() -> None:
    """Transposed inputs and gradients, as a batch-first caller hands them in."""
    a, b = numbers(2, 5, 3).sigmoid().transpose(0, 1), numbers(2, 5, 3, seed=1).transpose(0, 1)
    b.requires_grad_()
    zero = torch.zeros(2, 3, dtype=torch.float64)
    fast, slow = linear_scan(a, b, zero), loop(a, b, zero)
    torch.testing.assert_close(fast, slow)
    direction = numbers(3, 2, 5, seed=2).permute(2, 1, 0)
    got, due = (torch.autograd.grad(h, b, direction) for h in (fast, slow))
    torch.testing.assert_close(got, due)


@pytest.mark.usefixtures("form")
def test_keeps_everything_for_ten_thousand_steps() -> None:
    """With factor 1, whole numbers are summed without any loss, in half precision's inputs too."""
    b = torch.randint(-3, 4, (10_000, 4), generator=torch.Generator().manual_seed(0))
    h = linear_scan(torch.ones(1, 1), b.bfloat16(), torch.zeros(4))
    assert h.dtype == torch.float32
    assert torch.equal(h, b.cumsum(0).float())


@pytest.mark.usefixtures("form")
def test_is_as_stable_as_the_recurrence() -> None:
    """Factors far below 1 leave nothing of the past, and no gradient turns into NaN."""
    a = torch.full((10_000, 3), 1e-30, requires_grad=True)
    b = numbers(10_000, 3).float().requires_grad_()
    h = linear_scan(a, b, torch.zeros(3))
    assert torch.equal(h, b)
    gradients = torch.autograd.grad(h.sum(), (a, b))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("length", LENGTHS)
def test_halving_needs_logarithmic_depth(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """About 2 log2 T dependent rounds, not T: two joins a level."""
    counted = MagicMock(wraps=torch.addcmul)
    monkeypatch.setattr(torch, "addcmul", counted)
    scan_by_halves(numbers(length, 2), numbers(length, 2, seed=1))
    assert counted.call_count <= 2 * (length - 1).bit_length()


def test_accumulates_in_float32_at_least() -> None:
    """Half precision is widened, double precision and complex numbers are kept."""
    assert precise(torch.bfloat16) == torch.float32
    assert precise(torch.float64) == torch.float64
    assert precise(torch.complex128) == torch.complex128


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("length", LENGTHS)
def test_a_gpu_answers_the_same(length: int) -> None:
    """States and gradients, in float64."""
    a, b, zero = numbers(length, 2, 3).sigmoid(), numbers(length, 2, 3, seed=1), numbers(2, 3)
    direction = numbers(length, 2, 3, seed=2)
    results = []
    for device in ("cpu", "cuda"):
        inputs = [part.detach().to(device).requires_grad_() for part in (a, b, zero)]
        h = linear_scan(*inputs)
        gradients = torch.autograd.grad(h, inputs, direction.to(device))
        results.append([part.cpu() for part in (h, *gradients)])
    torch.testing.assert_close(results[0], results[1], rtol=1e-11, atol=1e-12)
