"""Causal attention against a double loop, and what it holds in memory."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from trainables.models import attention
from trainables.models.attention import causal_attention, mean_span

SLOPES = (0.5, 0.03)


def heads(length: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, len(SLOPES), length, 6)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
        for _ in range(3)
    ]


def double_loop(
    q: Tensor, k: Tensor, v: Tensor, slopes: tuple[float, ...] | None, window: int | None
) -> Tensor:
    """Step by step and pair by pair, as the equation is written."""
    m = torch.tensor(slopes or (0.0,) * q.shape[1], dtype=q.dtype)
    answers = []
    for t in range(q.shape[2]):
        first = 0 if window is None else max(0, t - window + 1)
        weights = [
            torch.exp((q[:, :, t] * k[:, :, s]).sum(-1) / math.sqrt(q.shape[3]) - m * (t - s))
            for s in range(first, t + 1)
        ]
        total = sum(weights[1:], weights[0])
        terms = [w.unsqueeze(-1) * v[:, :, first + i] for i, w in enumerate(weights)]
        answers.append(sum(terms[1:], terms[0]) / total.unsqueeze(-1))
    return torch.stack(answers, dim=2)


@pytest.mark.parametrize("slopes", [None, SLOPES])
@pytest.mark.parametrize(
    ("length", "window"),
    [
        *[(1, None), (2, None), (8, None), (9, None), (40, None)],
        *[(1, 1), (5, 1), (20, 3), (20, 4), (20, 5), (20, 20), (20, 99)],
        *[(3, 2), (4, 2), (5, 2), (16, 8), (17, 8), (40, 11)],
    ],
)
def test_equals_the_double_loop(
    monkeypatch: pytest.MonkeyPatch,
    length: int,
    window: int | None,
    slopes: tuple[float, ...] | None,
) -> None:
    """Answers and gradients, at lengths and windows on and off the edges of blocks."""
    monkeypatch.setattr(attention, "_BLOCK", 8)
    monkeypatch.setattr(attention, "_SHORTEST_BLOCK", 4)
    q, k, v = heads(length)
    fast, slow = causal_attention(q, k, v, slopes, window), double_loop(q, k, v, slopes, window)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-12)
    weights = torch.randn(fast.shape, generator=torch.Generator().manual_seed(1)).double()
    by_blocks = torch.autograd.grad((fast * weights).sum(), (q, k, v))
    by_loops = torch.autograd.grad((slow * weights).sum(), (q, k, v))
    torch.testing.assert_close(by_blocks, by_loops, rtol=0, atol=1e-11)


@pytest.mark.parametrize("slopes", [None, SLOPES])
@pytest.mark.parametrize("window", [None, 100])
def test_no_gradient_crosses_time_or_window(
    slopes: tuple[float, ...] | None, window: int | None
) -> None:
    """The answer at t has gradient exactly 0 in later steps and in those before the window."""
    q, k, v = heads(300)
    for t in (0, 99, 100, 255, 256, 298):
        y = causal_attention(q, k, v, slopes, window)[:, :, t].square().sum()
        for gradient in torch.autograd.grad(y, (k, v)):
            first = 0 if window is None else max(0, t - window + 1)
            assert torch.count_nonzero(gradient[:, :, t + 1 :]) == 0
            assert torch.count_nonzero(gradient[:, :, :first]) == 0
        assert torch.count_nonzero(gradient[:, :, first : t + 1].abs().amax(-1) == 0) == 0


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 2e-6), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("slopes", [None, SLOPES])
@pytest.mark.parametrize("window", [None, 64])
def test_far_steps_keep_their_precision(
    window: int | None, slopes: tuple[float, ...] | None, dtype: torch.dtype, atol: float
) -> None:
    """4000 steps from the start, penalties of hundreds cost no digits: a few roundings of 1."""
    length, last = 4000, slice(-8, None)
    precise = heads(length)
    rough = [x.detach().to(dtype) for x in precise]
    with torch.no_grad():
        y = causal_attention(*rough, slopes, window)[:, :, last]
        exact = causal_attention(*precise, slopes, window)[:, :, last]
    torch.testing.assert_close(y.double(), exact, rtol=0, atol=atol)


@pytest.mark.parametrize("slopes", [None, SLOPES])
@pytest.mark.parametrize("window", [None, 64])
def test_long_sequences_fit_in_memory(slopes: tuple[float, ...] | None, window: int | None) -> None:
    """At 16,384 steps a pass and its gradients take less than a bit for each pair of steps."""
    one = [x.detach()[:1, 1:] for x in heads(16_384, dtype=torch.float32)]
    q, k, v = (x.requires_grad_() for x in one)
    slopes = None if slopes is None else slopes[1:]
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = peak_bytes()
    causal_attention(q, k, v, slopes, window).sum().backward()
    assert peak_bytes() - before < 16_384**2 / 8


def peak_bytes() -> int:
    """The peak of this process's resident memory."""
    status = Path("/proc/self/status").read_text()
    (peak,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(peak) * 1024


@pytest.mark.parametrize("slopes", [None, SLOPES])
def test_a_window_costs_linear_work(slopes: tuple[float, ...] | None) -> None:
    """Twice the steps, twice the products."""
    products = []
    for length in (1024, 2048):
        unfused = sdpa_kernel(SDPBackend.MATH)
        with torch.no_grad(), unfused, FlopCounterMode(display=False) as counter:
            causal_attention(*heads(length, dtype=torch.float32), slopes, 32)
        products.append(counter.get_total_flops())
    assert products[1] / products[0] == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize(("length", "window"), [(1, None), (7, None), (7, 3), (7, 20), (9, 1)])
def test_mean_span_is_counted(length: int, window: int | None) -> None:
    """The mean over steps of how many they see."""
    seen = [min(t + 1, window or length) for t in range(length)]
    assert mean_span(length, window) == pytest.approx(sum(seen) / length)
