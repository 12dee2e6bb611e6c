"""The differentiable neural computer against NumPy loops from the paper, and over long runs."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tests.trainables.models.memory import papers
from trainables.models.layer import Surroundings
from trainables.models.memory.addressing import content_weights, masked_content_weights
from trainables.models.memory.allocation import allocation, usage_after
from trainables.models.memory.dnc import Dnc, DncState
from trainables.models.memory.links import directions, links_after, precedence_after, sharpened

WIDTH = 5
N, W = 6, 4
SHAPES = [{}, {"num_read_heads": 3}, {"num_read_heads": 2, "links": False}]
FIXES = [
    {"masked": True},
    {"erases_freed": True},
    {"sharpened": True},
    {"masked": True, "erases_freed": True, "sharpened": True, "num_read_heads": 2},
    {"masked": True, "erases_freed": True, "sharpened": True, "links": False},
]
"""Of Csordas & Schmidhuber 2019."""
CONTROLLERS = ["lstm", "gru", "rnn", "feed_forward"]


def dnc(seed: int = 0, **choices: Any) -> Dnc:
    """A layer in float64, its weights large enough that gates and foci move."""
    torch.manual_seed(seed)
    config = Dnc.Config.model_validate({"num_slots": N, "slot_width": W, **choices})
    layer = Dnc(config, Surroundings(width=WIDTH)).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=0.7)
    return layer


def numbers(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def by_loops(layer: Dnc, x: Tensor) -> tuple[Tensor, list[np.ndarray]]:
    """The paper's loops over rows and steps: answers, and the first row's last state."""
    weights = {name: value.numpy() for name, value in layer.state_dict().items()}
    rows, states = [], []
    for row in x.numpy():
        state = [part[0].numpy() for part in layer.initial_state(1)]
        answers = []
        for x_t in row:
            output, state = papers.dnc_step(layer.config, weights, x_t, state)
            answers.append(papers.answer(weights, output, state[6]))
        rows.append(answers)
        states.append(state)
    return torch.from_numpy(np.array(rows)), states[0]


def last_state(layer: Dnc, x: Tensor) -> DncState:
    state: tuple[Tensor, ...] = layer.initial_state(len(x))
    with torch.no_grad():
        for x_t in x.unbind(1):
            _, state = layer.step(x_t, state)
    return DncState(*state)


@pytest.mark.parametrize("shape", [*SHAPES, *FIXES], ids=str)
@pytest.mark.parametrize("controller", CONTROLLERS)
def test_equals_the_papers_loops(controller: str, shape: dict[str, int]) -> None:
    """Answers at every step, and every part of the state, in float64, past the memory's size."""
    layer, x = dnc(controller=controller, **shape), numbers(2, 2 * N, WIDTH)
    expected, last = by_loops(layer, x)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-10)
    for part, reference in zip(last_state(layer, x), last, strict=True):
        torch.testing.assert_close(part[0], torch.from_numpy(reference), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("controller", "shape"),
    [*((kind, {}) for kind in CONTROLLERS), *(("lstm", shape) for shape in (*SHAPES[1:], *FIXES))],
)
def test_gradients_are_the_finite_differences(controller: str, shape: dict[str, int]) -> None:
    """In inputs, parameters and a state in the middle, where no two slots are used alike."""
    layer = dnc(controller=controller, **shape)
    state = last_state(layer, numbers(1, 8, WIDTH))
    usage = state.usage.sort().values
    assert float((usage[:, 1:] - usage[:, :-1]).min()) > 1e-4

    def two_steps(x: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        first, carried = layer.step(x[:, 0], inputs[: len(state)])
        second, carried = layer.step(x[:, 1], carried)
        return first, second, *carried

    inputs = [part.requires_grad_() for part in (numbers(1, 2, WIDTH, seed=2), *state)]
    inputs += layer.parameters()  # gradcheck nudges them in place
    assert torch.autograd.gradcheck(two_steps, inputs, fast_mode=True, atol=1e-6)


def by_products(usage: Tensor) -> Tensor:
    """The allocation equation as it is written, one row and slot at a time."""
    rows = []
    for row in usage:
        shares, product = [torch.zeros(())] * len(row), torch.ones((), dtype=usage.dtype)
        for slot in row.argsort(stable=True).tolist():
            shares[slot], product = (1 - row[slot]) * product, product * row[slot]
        rows.append(torch.stack(shares))
    return torch.stack(rows)


USAGES = {
    "spread": [0.9, 0.2, 0.5, 0.7, 0.1],
    "unused": [0.0, 0.0, 0.0, 0.0, 0.0],
    "two free": [1.0, 0.0, 1.0, 0.0, 0.6],
    "full": [1.0, 1.0, 1.0, 1.0, 1.0],
    "tiny": [1e-30, 1e-20, 1e-10, 0.5, 1.0],
}


@pytest.mark.parametrize("name", USAGES)
def test_allocation_and_its_gradient(name: str) -> None:
    """The free list by loops; gradients through the sorted values, exact at zeros and ties too."""
    usage = torch.tensor([USAGES[name]], dtype=torch.float64, requires_grad=True)
    result = allocation(usage)
    expected = torch.from_numpy(papers.allocated(usage.detach().numpy()[0]))[None]
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-15)
    weights = numbers(1, 5)
    (gradient,) = torch.autograd.grad((result * weights).sum(), usage)
    (reference,) = torch.autograd.grad((by_products(usage) * weights).sum(), usage)
    torch.testing.assert_close(gradient, reference, rtol=0, atol=1e-14)


def test_allocation_over_a_thousand_slots_in_float32() -> None:
    """Products far below the smallest number leave no NaN, forward or backward."""
    usage = torch.rand(4, 1000, generator=torch.Generator().manual_seed(0))
    usage[1] *= 1e-3
    usage[2, :500] = 0
    usage[3] = usage[3].clamp(max=1e-38)
    exact = by_products(usage.double())
    usage.requires_grad_()
    result = allocation(usage)
    torch.testing.assert_close(result.double(), exact, rtol=0, atol=1e-6)
    result.square().sum().backward()
    assert usage.grad is not None
    assert torch.isfinite(usage.grad).all()


def test_usage_stays_in_range_when_rounding_would_leave_it() -> None:
    """A read weight a hair above one with an open free gate must not make usage negative."""
    above = torch.tensor([[[1 + 1e-6, 0.0]]])
    usage = usage_after(torch.ones(1, 2), torch.ones(1, 2), torch.ones(1, 1), above)
    assert usage.tolist() == [[0, 1]]


def test_links_lead_through_the_slots_in_the_order_of_writing() -> None:
    """Forward from a slot is the one written next, backward the one before, freed or not."""
    order = [3, 0, 4, 1]
    links, precedence = torch.zeros(1, 5, 5), torch.zeros(1, 5)
    for slot in order:
        focus = torch.nn.functional.one_hot(torch.tensor([slot]), 5).float()
        links, precedence = (
            links_after(links, focus, precedence),
            precedence_after(precedence, focus),
        )
    for earlier, later in itertools.pairwise(order):
        at = torch.nn.functional.one_hot(torch.tensor([[earlier, later]]), 5).float()
        backward, forward = directions(links, at)
        assert forward[0, 0].argmax() == later
        assert backward[0, 1].argmax() == earlier
        assert float(forward[0, 0].max()) == float(backward[0, 1].max()) == 1


def test_free_slots_come_first_and_freed_slots_come_back() -> None:
    """Writing by allocation fills every slot once; what a free gate lets go is taken next."""
    usage, written = torch.zeros(1, 4), torch.zeros(1, 4)
    closed, nowhere = torch.zeros(1, 1), torch.zeros(1, 1, 4)
    for slot in range(4):
        usage = usage_after(usage, written, closed, nowhere)
        written = allocation(usage)
        assert written.argmax() == slot
    at = torch.nn.functional.one_hot(torch.tensor([[2]]), 4).float()
    usage = usage_after(usage, written, torch.ones(1, 1), at)
    assert allocation(usage).argmax() == 2


@pytest.mark.parametrize(
    ("controller", "scale"),
    [pytest.param("lstm", 1.0, marks=pytest.mark.slow), ("feed_forward", 30.0)],
)
def test_ten_thousand_steps_in_float32(controller: str, scale: float) -> None:
    """Finite; usage in [0, 1]; weights, precedence, rows and columns of links sum to at most one.

    At scale 30 gates and strengths saturate.
    """
    torch.manual_seed(0)
    config = Dnc.Config.model_validate({"controller": controller, "num_slots": 8, "slot_width": 4})
    layer = Dnc(config, Surroundings(width=WIDTH))
    with torch.no_grad():
        layer.interface.weight.mul_(scale)
        state, x = layer.initial_state(2), torch.randn(10_000, 2, WIDTH)
        for projected in layer.controller.project(x).unbind(0):
            _, _, state = layer.advance(projected, state)
        extent = layer.interface.weight.abs().sum(1) + layer.interface.bias.abs()
    _, _, gates, add, _ = extent.split(layer.interface_sizes)
    assert all(torch.isfinite(part).all() for part in state)
    assert all(float(part.min()) >= -1e-5 for part in state[1:6])
    assert float(state.usage.max()) <= 1
    sums = [state.write_weights.sum(-1), state.read_weights.sum(-1), state.precedence.sum(-1)]
    sums += [state.links.sum(1), state.links.sum(2)]
    assert all(float(total.max()) < 1 + 1e-5 for total in sums)
    assert float(state.memory.abs().max()) <= float(add.max() / torch.sigmoid(-gates[:4].max()))


def test_gradients_are_finite_after_two_thousand_steps() -> None:
    """In float32, with foci as sharp as one slot."""
    torch.manual_seed(0)
    layer = Dnc(Dnc.Config(num_slots=8, slot_width=4), Surroundings(width=WIDTH))
    x = torch.randn(1, 2000, WIDTH, requires_grad=True)
    with torch.no_grad():
        layer.interface.bias[8:10] += 50  # strengths
    layer(x).square().mean().backward()
    for gradient in [x.grad, *(parameter.grad for parameter in layer.parameters())]:
        assert gradient is not None
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("controller", CONTROLLERS)
def test_costs_are_counted(controller: str, shape: dict[str, int]) -> None:
    """Exactly the operations of the matrix products that torch sees, and the state's bytes."""
    layer = dnc(controller=controller, **shape).float()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        layer(numbers(1, 7, WIDTH).float())
    assert counter.get_total_flops() == 7 * layer.flops_per_step(7)
    R, linked = layer.config.num_read_heads, layer.config.links * (N + N * N)
    carried = sum(layer.controller.carries) * WIDTH
    assert layer.state_bytes(7) == 4 * (N * W + 2 * N + R * N + linked + R * W + carried)


def test_links_cost_what_they_say() -> None:
    """Without them nothing of a state grows with the square of the slots."""
    with_links, without = (
        Dnc(Dnc.Config(num_slots=64, links=links), Surroundings(width=WIDTH))
        for links in (True, False)
    )
    assert with_links.state_bytes(1) - without.state_bytes(1) == 4 * (64 * 64 + 64)


def test_a_part_of_a_slot_is_enough_to_find_it() -> None:
    """With a mask the slot of which a half is known comes first; without it another does."""
    memory = torch.tensor([[[1.0, 0.0, 3.0, -3.0], [0.8, 0.6, 0.0, 0.0]]], dtype=torch.float64)
    key = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]], dtype=torch.float64)
    strength = torch.full((1, 1), 10.0, dtype=torch.float64)
    known = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]], dtype=torch.float64)
    assert content_weights(key, strength, memory).argmax() == 1
    assert masked_content_weights(key, strength, known, memory).argmax() == 0
    everything = torch.ones_like(known)
    torch.testing.assert_close(
        masked_content_weights(key, strength, everything, memory),
        content_weights(key, strength, memory),
    )


def test_sharpening_leaves_out_what_rounding_left_below_zero() -> None:
    weights = numbers(1, 2, 3).abs()
    weights[0, 1, 2] = -1e-17
    weights.requires_grad_()
    powers = sharpened(weights, torch.tensor([[1.5, 2.0]], dtype=torch.float64))
    torch.testing.assert_close(powers.sum(-1), torch.ones(1, 2, dtype=torch.float64))
    assert powers[0, 1, 2] == 0
    (gradient,) = torch.autograd.grad(powers.square().sum(), weights)
    assert gradient.isfinite().all()


def test_an_empty_memory_has_finite_gradients() -> None:
    """From the first step on, where no slot was written and no link leads anywhere."""
    layer = dnc(**FIXES[3]).float()
    layer(numbers(2, 5, WIDTH).float()).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters() if p.grad is not None)


def test_an_older_configuration_keeps_its_digest() -> None:
    assert not {"masked", "erases_freed", "sharpened"} & set(Dnc.Config().model_dump())


def test_a_kernel_knows_every_configuration() -> None:
    for controller, shape, fix in itertools.product(CONTROLLERS, SHAPES, [{}, *FIXES]):
        assert dnc(**{"controller": controller, **shape, **fix}).is_compiled
