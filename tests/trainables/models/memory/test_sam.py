"""Sparse access memory against NumPy loops from Rae et al. 2016, section 3."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tests.trainables.models.memory.papers import (
    Array,
    Cursor,
    Weights,
    answer,
    controller,
    cosine,
    sigmoid,
    softmax,
    softplus,
)
from tests.trainables.models.memory.test_dnc import CONTROLLERS, numbers
from trainables.models.layer import Surroundings
from trainables.models.memory.recency import first_ranks, longest_unused, ranks_after
from trainables.models.memory.sam import ACCESSED, Sam, SamState, sparse_weights

WIDTH, N, W = 5, 6, 4
SHAPES = [{}, {"num_read_heads": 3}, {"slots_a_read": 1}, {"slots_a_read": N}]


def sam(**choices: Any) -> Sam:
    """A layer in float64, its weights large enough that gates and foci move."""
    torch.manual_seed(0)
    sizes = {"num_slots": N, "slot_width": W, "slots_a_read": 2}
    layer = Sam(Sam.Config.model_validate({**sizes, **choices}), Surroundings(width=WIDTH)).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=0.7)
    return layer


def step(config: Any, p: Weights, x: Array, state: list[Any]) -> tuple[Array, list[Any]]:
    """One row's step; ``order`` holds the slots, the longest unused first."""
    memory, read_weights, order, reads, h, c = state
    H, K = config.num_read_heads, config.slots_a_read
    output, h, c = controller(config.controller.kind, p, x, reads, h, c)
    told = Cursor(p["interface.weight"] @ output + p["interface.bias"])
    keys, strengths = told.take(H, W), told.take(H)
    writes, again, written = told.take(H), told.take(H), told.take(H, W)
    write_weights = np.zeros((H, N))
    for head in range(H):
        unused = np.eye(N)[order[head]]
        g = sigmoid(again[head])
        write_weights[head] = sigmoid(writes[head]) * (g * read_weights[head] + (1 - g) * unused)
    memory = memory.copy()
    memory[order[:H]] = 0
    for head in range(H):
        memory += np.outer(write_weights[head], written[head])
    read_weights = np.zeros((H, N))
    for head in range(H):
        alike = np.array([softplus(strengths[head]) * cosine(keys[head], m) for m in memory])
        best = np.argsort(-alike, kind="stable")[:K]
        read_weights[head, best] = softmax(alike[best])
    accessed = ((read_weights > ACCESSED) | (write_weights > ACCESSED)).any(0)
    order = [s for s in order if not accessed[s]] + [s for s in order if accessed[s]]
    return output, [memory, read_weights, order, (read_weights @ memory).reshape(-1), h, c]


def by_loops(layer: Sam, x: Tensor) -> tuple[Tensor, list[Any]]:
    """Answers, and the first row's last state."""
    weights = {name: value.numpy() for name, value in layer.state_dict().items()}
    rows, states = [], []
    for row in x.numpy():
        state: list[Any] = [part[0].numpy() for part in layer.initial_state(1)]
        state[2] = list(range(N))
        answers = []
        for x_t in row:
            output, state = step(layer.config, weights, x_t, state)
            answers.append(answer(weights, output, state[3]))
        rows.append(answers)
        states.append(state)
    return torch.from_numpy(np.array(rows)), states[0]


def last_state(layer: Sam, x: Tensor) -> SamState:
    state: tuple[Tensor, ...] = layer.initial_state(len(x))
    with torch.no_grad():
        _, state = layer.scan(x, state)
    return SamState(*state)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", CONTROLLERS)
def test_equals_the_papers_loops(kind: str, shape: dict[str, int]) -> None:
    """Answers at every step, and every part of the state, in float64, past the memory's size."""
    layer, x = sam(controller=kind, **shape), numbers(2, 3 * N, WIDTH)
    expected, last = by_loops(layer, x)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-10)
    found = last_state(layer, x)
    assert longest_unused(found.ranks, N)[0].tolist() == last[2]
    for place in (0, 1, 3, 4, 5):
        due = torch.from_numpy(np.asarray(last[place]))
        torch.testing.assert_close(found[place][0], due, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradients_are_the_finite_differences(shape: dict[str, int]) -> None:
    """In inputs, parameters and a state in the middle; which slots are the best stays."""
    layer = sam(controller="lstm", **shape)
    state = last_state(layer, numbers(1, 8, WIDTH))
    ranks = state.ranks

    def two_steps(x: Tensor, memory: Tensor, weights: Tensor, *others: Tensor) -> Any:
        carried: tuple[Tensor, ...] = (memory, weights, ranks, *others[:3])
        first, carried = layer.step(x[:, 0], carried)
        second, carried = layer.step(x[:, 1], carried)
        return first, second, *(part for part in carried if part.is_floating_point())

    floating = [part for part in state if part.is_floating_point()]
    inputs = [part.requires_grad_() for part in (numbers(1, 2, WIDTH, seed=2), *floating)]
    inputs += layer.parameters()
    assert torch.autograd.gradcheck(two_steps, inputs, fast_mode=True, atol=1e-6)


def test_what_no_head_looked_at_is_left_alone() -> None:
    """To the last bit; two heads change at most the slots they read before, and two unused ones."""
    layer = sam(num_slots=40, num_read_heads=2)
    state = last_state(layer, numbers(1, 60, WIDTH))
    _, after = layer.step(numbers(1, WIDTH, seed=4), state)
    touched = (state.weights > 0).any(1)[0]
    touched[longest_unused(state.ranks, 2)[0]] = True
    assert int(touched.sum()) <= 2 * (2 + 1)
    assert torch.equal(after[0][0, ~touched], state.memory[0, ~touched])
    assert (after[0][0, touched] != state.memory[0, touched]).any(1).all()


def test_ranks_are_the_order_of_last_accesses() -> None:
    ranks = first_ranks(2, 5, torch.device("cpu"))
    assert longest_unused(ranks, 2).tolist() == [[0, 1], [0, 1]]
    order = list(range(5))
    random = torch.Generator().manual_seed(0)
    for _ in range(50):
        accessed = torch.rand(2, 5, generator=random) < 0.4
        ranks = ranks_after(ranks, accessed)
        hit = accessed[0].tolist()
        order = [s for s in order if not hit[s]] + [s for s in order if hit[s]]
        assert longest_unused(ranks, 5)[0].tolist() == order
    assert ranks.sort().values.tolist() == [list(range(5))] * 2


def test_of_equal_slots_the_first_are_read() -> None:
    """As in a memory in which nothing is written yet."""
    weights = sparse_weights(torch.ones(1, 1, 3), torch.ones(1, 1), torch.zeros(1, 5, 3), 2)
    assert weights.tolist() == [[[0.5, 0.5, 0, 0, 0]]]


def test_ten_thousand_steps_in_float32() -> None:
    """Finite; weights sum to one; ranks stay an order."""
    torch.manual_seed(0)
    config = Sam.Config.model_validate({"num_slots": 8, "slot_width": 4, "controller": "rnn"})
    layer = Sam(config, Surroundings(width=WIDTH))
    with torch.no_grad():
        _, last = layer.scan(torch.randn(2, 10_000, WIDTH), layer.initial_state(2))
    state = SamState(*last)
    assert all(torch.isfinite(part).all() for part in state)
    torch.testing.assert_close(state.weights.sum(-1), torch.ones(2, 1))
    assert state.ranks.sort().values.tolist() == [list(range(8))] * 2


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_costs_are_counted(shape: dict[str, int]) -> None:
    """The operations of the matrix products that torch sees, and the state's numbers."""
    layer = sam(**shape).float()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        layer(numbers(1, 7, WIDTH).float())
    assert counter.get_total_flops() == 7 * layer.flops_per_step(7)
    H = layer.config.num_read_heads
    assert layer.state_bytes(7) == 4 * (N * W + H * N + N + H * W + 2 * WIDTH)


@pytest.mark.parametrize("key", ["slots_a_read", "num_read_heads"])
def test_more_than_all_slots_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match=f"{key}: 9 is not allowed; .* at most 8"):
        Sam.Config.model_validate({"num_slots": 8, "slots_a_read": 2, key: 9})
