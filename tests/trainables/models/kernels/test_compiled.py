"""Compiled kernels against torch's operators, in every configuration that they claim."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainables.models.kernels.paths import take
from trainables.models.cells import LAYERS
from trainables.models.kernels.door import suits
from trainables.models.layer import Recurrence, Surroundings
from trainables.models.memory.dnc import DncState
from trainables.models.memory.external import ExternalMemory

SMALL = {"num_slots": 7, "slot_width": 3}
CONTROLLERS = ["feed_forward", "rnn", "gru", "lstm"]

FIXES = [
    {"masked": masked, "erases_freed": erases_freed, "sharpened": sharpened}
    for masked, erases_freed, sharpened in itertools.product((False, True), repeat=3)
][1:]
"""Of Csordas & Schmidhuber 2019, all but none of them."""

CONFIGURATIONS: list[tuple[str, dict[str, Any]]] = [
    *((kind, {}) for kind in ("gru", "rnn", "ind_rnn", "min_gru", "min_lstm", "lru", "s4d")),
    ("ind_rnn", {"longest_lag": 1}),
    ("bilinear_rnn", {}),
    ("bilinear_rnn", {"num_heads": 1}),
    ("lru", {"state_size": 5}),
    ("s4d", {"state_size": 6}),
    ("mamba", {}),
    ("mamba", {"state_size": 3, "expand": 1, "taps": 1}),
    ("mamba", {"state_size": 5, "expand": 3, "taps": 6}),
    ("gated_delta", {}),
    ("gated_delta", {"num_heads": 1, "taps": 2}),
    ("mlstm", {}),
    ("mlstm", {"num_heads": 1}),
    ("ntm", {}),
    ("dnc", {}),
    *(("ntm", {**SMALL, "controller": {"kind": kind}}) for kind in CONTROLLERS),
    *(("dnc", {**SMALL, "controller": {"kind": kind}}) for kind in CONTROLLERS),
    *(("dnc", {**SMALL, "controller": {"kind": kind}, "links": False}) for kind in CONTROLLERS),
    ("ntm", {**SMALL, "num_read_heads": 3, "max_shift": 0}),
    ("ntm", {**SMALL, "num_write_heads": 3, "max_shift": 3}),
    ("ntm", {**SMALL, "num_read_heads": 2, "num_write_heads": 2, "max_shift": 2}),
    ("dnc", {**SMALL, "num_read_heads": 3}),
    ("dnc", {**SMALL, "num_read_heads": 2, "links": False}),
    ("dnc", {"num_slots": 130, "slot_width": 2}),  # sorted by merging, too
    *(("dnc", {**SMALL, **fixes}) for fixes in FIXES),
    *(("dnc", {**SMALL, **fixes, "num_read_heads": 3}) for fixes in FIXES),
    *(("dnc", {**SMALL, **fixes, "num_read_heads": 2, "links": False}) for fixes in FIXES),
    *(("dnc", {**SMALL, **FIXES[-1], "controller": {"kind": kind}}) for kind in CONTROLLERS),
    ("dnc", {**FIXES[-1], "num_slots": 1, "slot_width": 1}),
    ("dnc", {**FIXES[-1], "num_slots": 70, "slot_width": 2, "num_read_heads": 2}),
]
EVERY = pytest.mark.parametrize(
    ("kind", "config"), CONFIGURATIONS, ids=[f"{kind} {config}" for kind, config in CONFIGURATIONS]
)
ONE_OF_EACH: list[tuple[str, dict[str, Any]]] = [
    *((kind, {}) for kind in sorted({kind for kind, _ in CONFIGURATIONS})),
    *(("dnc", {**FIXES[-1], "links": links}) for links in (True, False)),
]
EACH = pytest.mark.parametrize(
    ("kind", "config"), ONE_OF_EACH, ids=[f"{kind} {config}" for kind, config in ONE_OF_EACH]
)


def recurrence(
    kind: str, config: dict[str, Any], dtype: torch.dtype = torch.float64, width: int = 12
) -> Recurrence:
    """A layer off its first weights, so that nothing is zero or alike that need not be."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    layer = LAYERS[kind](
        LAYERS[kind].Config.model_validate({"kind": kind, **config}), Surroundings(width)
    )
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    assert isinstance(layer, Recurrence)
    return layer.to(dtype)


def numbers(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def all_of_it(
    layer: Recurrence, x: Tensor, state: Sequence[Tensor]
) -> tuple[list[Tensor], list[Tensor | None]]:
    """Answers and last state from ``state`` on, and the gradients of both in all there is."""
    x = x.detach().requires_grad_()
    state = tuple(part.detach().requires_grad_(part.requires_grad) for part in state)
    y, last = layer.scan(x, state)
    weighted = torch.zeros((), dtype=torch.float64)
    for i, part in enumerate((y, *last)):
        if part.requires_grad:
            weighted = weighted + (part * numbers(*part.shape, seed=3 + i)).sum()
    sources = [x, *(part for part in state if part.requires_grad), *layer.parameters()]
    gradients = torch.autograd.grad(weighted, sources, allow_unused=True)
    return [part.detach() for part in (y, *last)], list(gradients)


def met_state(layer: Recurrence, batch: int) -> tuple[Tensor, ...]:
    """A state such as some steps lead to; gradients are asked in what has them.

    Stirred, for no two slots are equally used then: which of two equals comes first hangs on
    their last bit.
    """
    dtype = next(layer.parameters()).dtype
    x = numbers(batch, 5, layer.width, seed=2, dtype=dtype)
    met = layer.scan(x, layer.initial_state(batch))[1]
    return tuple(
        part + 1e-3 * numbers(*part.shape, seed=20 + i, dtype=dtype).abs()
        for i, part in enumerate(met)
    )


def largest(parts: Sequence[Tensor | None]) -> float:
    return max(
        float(part.detach().abs().max()) for part in parts if part is not None and part.numel()
    )


def agree(ours: Sequence[Tensor | None], theirs: Sequence[Tensor | None], within: float) -> None:
    """Each number to ``within`` of the largest one in its tensor, or of all if that is far less."""
    whole = largest(theirs)
    for one, other in zip(ours, theirs, strict=True):
        if one is None or other is None:
            there = one if other is None else other
            assert there is None or not there.any()
            continue
        scale = max(float(other.abs().max()), 1e-3 * whole) if other.numel() else 1.0
        torch.testing.assert_close(one, other, rtol=0, atol=within * scale)


@EVERY
@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (3, 37), (9, 16)])
def test_double_precision_agrees_with_torch(
    kind: str, config: dict[str, Any], batch: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To 1e-12, from a state that was met, in inputs, state and weights; any length and batch."""
    layer, x = recurrence(kind, config), numbers(batch, steps, 12)
    take("torch", monkeypatch)
    state = met_state(layer, batch)
    theirs = all_of_it(layer, x, state)
    take("compiled", monkeypatch)
    ours = all_of_it(layer, x, state)
    for one, other in zip(ours, theirs, strict=True):
        agree(one, other, 1e-12)


@EVERY
def test_single_precision_stays_near_the_double_one(
    kind: str, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As near as torch's own operators in single precision do, or 2e-6, times ten."""
    x = numbers(3, 37, 12)

    def run(path: str, dtype: torch.dtype) -> list[Tensor | None]:
        take(path, monkeypatch)
        layer = recurrence(kind, config, dtype)
        outputs, gradients = all_of_it(layer, x.to(dtype), layer.initial_state(3))
        return [None if part is None else part.double() for part in (*outputs, *gradients)]

    right = run("torch", torch.float64)
    for one, rough, exact in zip(
        run("compiled", torch.float32), run("torch", torch.float32), right, strict=True
    ):
        if one is None or rough is None or exact is None or not exact.numel():
            continue
        far = float((rough - exact).abs().max())
        near = 10 * max(far, 2e-6 * float(exact.abs().max()), 1e-7 * largest(right))
        assert float((one - exact).abs().max()) <= near


@EACH
def test_the_kernel_is_what_runs(
    kind: str, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the kernels on, torch's own steps and scans are not met."""
    take("compiled", monkeypatch)
    layer = recurrence(kind, config, torch.float32)

    def met(*_: Any) -> Any:
        raise AssertionError("a step of torch's")

    monkeypatch.setattr(type(layer), "step", met)
    if isinstance(layer, ExternalMemory):
        monkeypatch.setattr(type(layer), "advance", met)
    x = numbers(2, 9, 12).float()
    y, _ = layer.scan(x, layer.initial_state(2))
    assert torch.equal(layer(x), y)


@EACH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_numbers_again_whatever_is_kept(
    kind: str, config: dict[str, Any], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit: a second time, without gradients, through a view."""
    take("compiled", monkeypatch)
    layer, x = recurrence(kind, config, dtype), numbers(3, 35, 12, dtype=dtype)
    state = met_state(layer, 3)
    outputs, gradients = all_of_it(layer, x, state)

    def same(again: Sequence[Tensor | None], first: Sequence[Tensor | None]) -> bool:
        return all(
            (a is None) == (b is None) and (a is None or b is None or torch.equal(a, b))
            for a, b in zip(again, first, strict=True)
        )

    strided = numbers(35, 3, 24, seed=5, dtype=dtype).transpose(0, 1)[..., ::2]
    strided.copy_(x)
    for there in (x, strided):
        again, more = all_of_it(layer, there, state)
        assert same(again, outputs)
        assert same(more, gradients)
        with torch.no_grad():
            y, last = layer.scan(there, tuple(part.detach() for part in state))
        assert same([y, *last], outputs)


@EACH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nan_in_means_nan_out(
    kind: str, config: dict[str, Any], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the row and from the step it came in, and nowhere else; so a trial ends by it."""
    take("compiled", monkeypatch)
    layer, x = recurrence(kind, config, dtype), numbers(3, 21, 12, dtype=dtype)
    x[1, 4] = torch.nan
    y = layer(x)
    assert y[1, 4:].isnan().any(-1).all()
    assert y[[0, 2]].isfinite().all()
    assert y[1, :4].isfinite().all()
    y.sum().backward()
    assert any(p.grad is not None and p.grad.isnan().any() for p in layer.parameters())


@EACH
def test_an_infinite_weight_does_not_come_out_finite(
    kind: str, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training that blew up is seen, whichever weight it was."""
    take("compiled", monkeypatch)
    layer = recurrence(kind, config, torch.float32)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(torch.nan)
    assert layer(numbers(2, 5, 12).float()).isnan().all()


@EACH
def test_gates_far_open_or_shut_stay_finite(
    kind: str, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs of a hundred: elementary functions at their ends, where torch's are finite too."""
    layer, x = recurrence(kind, config, torch.float32), 100 * numbers(2, 9, 12).float()

    def run(path: str) -> list[Tensor]:
        take(path, monkeypatch)
        y = layer(x)
        gradients = torch.autograd.grad(y.sum(), list(layer.parameters()), allow_unused=True)
        return [y, *(part for part in gradients if part is not None)]

    theirs = run("torch")
    for one, other in zip(run("compiled"), theirs, strict=True):
        assert other.isfinite().all()
        assert one.isfinite().all()


@EACH
def test_a_gradient_asked_for_twice(
    kind: str, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going back leaves all it needs in place, and frozen weights take nothing from the inputs."""
    take("compiled", monkeypatch)
    layer, x = recurrence(kind, config), numbers(2, 18, 12).requires_grad_()
    y = layer(x)
    (first,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
    (second,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(first, second)
    layer.requires_grad_(False)
    (frozen,) = torch.autograd.grad(layer(x).sum(), x)
    torch.testing.assert_close(frozen, first, rtol=0, atol=1e-12 * float(first.abs().max()))


@EACH
@pytest.mark.parametrize(("batch", "steps"), [(0, 5), (2, 0), (0, 0)])
def test_without_sequences_or_steps_it_is_torchs_to_say(
    kind: str, config: dict[str, Any], batch: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no kernel expects reaches none."""
    layer, x = recurrence(kind, config), numbers(batch, steps, 12)

    def run(path: str) -> Any:
        take(path, monkeypatch)
        try:
            return layer(x).shape
        except (RuntimeError, IndexError, ArithmeticError) as refused:
            return str(refused)

    assert run("compiled") == run("torch")


@EACH
@pytest.mark.parametrize(("batch", "steps", "width"), [(130, 3, 8), (5, 150, 20), (2, 9, 100)])
def test_blocks_that_are_not_full(
    kind: str,
    config: dict[str, Any],
    batch: int,
    steps: int,
    width: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More rows than a block has, widths that fill no panel; inputs time first, alike, apart."""
    layer = recurrence(kind, config, width=width)
    take("torch", monkeypatch)
    state = met_state(layer, batch)
    for x in (
        numbers(steps, batch, width).transpose(0, 1),
        numbers(1, steps, width).expand(batch, -1, -1),
        numbers(batch, steps, 2 * width)[..., ::2],
    ):
        take("torch", monkeypatch)
        theirs = all_of_it(layer, x, state)
        take("compiled", monkeypatch)
        for one, other in zip(all_of_it(layer, x, state), theirs, strict=True):
            agree(one, other, 1e-12)


def test_links_that_lead_nowhere_or_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to sharpen, less than nothing by rounding, and a power of exactly one."""
    layer = recurrence("dnc", {**SMALL, "sharpened": True})
    with torch.no_grad():
        layer.interface.bias[-2:] = torch.tensor([-50.0, 0.0])  # of backward and forward
    take("torch", monkeypatch)
    state = DncState(*(part.detach() for part in met_state(layer, 3)))
    state.links[:, :, 2] = -1e-17
    state.precedence[:, 2] = 0
    state.links[1], state.precedence[1], state.read_weights[2] = 0, 0, 0
    theirs = all_of_it(layer, numbers(3, 5, 12), state)
    take("compiled", monkeypatch)
    for one, other in zip(all_of_it(layer, numbers(3, 5, 12), state), theirs, strict=True):
        assert all(part is None or part.isfinite().all() for part in other)
        agree(one, other, 1e-12)


def watched_by_a_mode(layer: Recurrence, x: Tensor) -> Tensor:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        y = layer(x)
    assert counter.get_total_flops() > 0
    return y


def exported(layer: Recurrence, x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.export.export(layer, (x,)).module()(x)


def cast(layer: Recurrence, x: Tensor) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return layer(x)


@pytest.mark.parametrize("by", [watched_by_a_mode, exported, cast])
@pytest.mark.parametrize("kind", ["min_gru", "lru", "mlstm", "ntm"])
def test_who_looks_at_operators_meets_torchs(
    kind: str, by: Callable[[Recurrence, Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watched, exported or cast, the numbers are those with the kernels off, to the last bit."""
    layer, x = recurrence(kind, {}, torch.float32), numbers(2, 5, 12).float()
    take("torch", monkeypatch)
    off = by(layer, x)
    take("compiled", monkeypatch)
    assert torch.equal(by(layer, x), off)


def test_what_is_traced_meets_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace would hold numbers where the kernel was."""
    take("compiled", monkeypatch)
    x, seen = numbers(2, 3), []

    def look(x: Tensor) -> Tensor:
        seen.append(suits(x))
        return x + 1

    look(x)
    torch.jit.trace(look, x, check_trace=False)
    assert seen == [True, False]


def test_fake_tensors_go_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors that hold no numbers have none to hand to C."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    take("compiled", monkeypatch)
    with FakeTensorMode() as mode, torch.no_grad():
        layer = LAYERS["mamba"](LAYERS["mamba"].Config(kind="mamba"), Surroundings(12))
        y = layer(mode.from_tensor(numbers(2, 5, 12).float()))
    assert y.shape == (2, 5, 12)
