"""The Neural Turing Machine against NumPy loops from the paper, and over ten thousand steps."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tests.trainables.models.memory import papers
from trainables.messages import one_line
from trainables.models.layer import Surroundings
from trainables.models.memory.ntm import Ntm

WIDTH = 5
SIZES = {"num_slots": 6, "slot_width": 4}
SHAPES = [
    {},
    {"num_read_heads": 2, "num_write_heads": 3, "max_shift": 2},
    {"num_read_heads": 3, "num_write_heads": 1, "max_shift": 0},
]
CONTROLLERS = ["lstm", "gru", "rnn", "feed_forward"]


def ntm(seed: int = 0, **choices: Any) -> Ntm:
    """A layer in float64, its weights large enough that gates and foci move."""
    torch.manual_seed(seed)
    layer = Ntm(Ntm.Config.model_validate({**SIZES, **choices}), Surroundings(width=WIDTH)).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=0.7)
    return layer


def stream(batch: int, length: int) -> Tensor:
    return torch.randn(batch, length, WIDTH, generator=torch.Generator().manual_seed(1)).double()


def by_loops(layer: Ntm, x: Tensor) -> tuple[Tensor, list[np.ndarray]]:
    """The paper's loops over rows and steps: answers, and the first row's last state."""
    weights = {name: value.numpy() for name, value in layer.state_dict().items()}
    rows, states = [], []
    for row in x.numpy():
        state = [
            np.array([weights["initial_slot"]] * layer.config.num_slots),
            np.array([papers.softmax(logits) for logits in weights["initial_logits"]]),
            weights["initial_reads"],
            *(part[0].numpy() for part in layer.controller.initial_state(1)),
        ]
        answers = []
        for x_t in row:
            output, state = papers.ntm_step(layer.config, weights, x_t, state)
            answers.append(papers.answer(weights, output, state[2]))
        rows.append(answers)
        states.append(state)
    return torch.from_numpy(np.array(rows)), states[0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("controller", CONTROLLERS)
def test_equals_the_papers_loops(controller: str, shape: dict[str, int]) -> None:
    """Answers at every step, and every part of the state, in float64."""
    layer, x = ntm(controller=controller, **shape), stream(2, 9)
    expected, last = by_loops(layer, x)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-10)
        state: tuple[Tensor, ...] = layer.initial_state(2)
        for x_t in x.unbind(1):
            _, state = layer.step(x_t, state)
    for part, reference in zip(state, last, strict=True):
        torch.testing.assert_close(part[0], torch.from_numpy(reference), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("controller", "shape"), [*((kind, {}) for kind in CONTROLLERS), ("lstm", SHAPES[1])]
)
def test_gradients_are_the_finite_differences(controller: str, shape: dict[str, int]) -> None:
    """In inputs and in every parameter, the learned first state too."""
    layer, x = ntm(controller=controller, **shape), stream(1, 3).requires_grad_()
    inputs = (x, *layer.parameters())  # gradcheck nudges them in place
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), inputs, fast_mode=True, atol=1e-6)


@pytest.mark.parametrize(("controller", "scale"), [("lstm", 1.0), ("feed_forward", 30.0)])
def test_ten_thousand_steps_in_float32(controller: str, scale: float) -> None:
    """Finite; weights are weightings; memory within max(|M_0|, |a| / min e), as proven in `write`.

    At scale 30 gates, shifts and strengths saturate.
    """
    torch.manual_seed(0)
    config = Ntm.Config.model_validate({"controller": controller, "num_slots": 8, "slot_width": 4})
    layer = Ntm(config, Surroundings(width=WIDTH))
    with torch.no_grad():
        layer.interface.weight.mul_(scale)
        state, x = layer.initial_state(2), torch.randn(10_000, 2, WIDTH)
        ceiling = float(state.memory.abs().max())
        for projected in layer.controller.project(x).unbind(0):
            _, _, state = layer.advance(projected, state)
            assert float(state.weights.sum(-1).sub(1).abs().max()) < 1e-5
        extent = layer.interface.weight.abs().sum(1) + layer.interface.bias.abs()
    add = float(extent[-4:].max())
    smallest_erase = float(torch.sigmoid(-extent[sum(layer.interface_sizes[:2]) + 2 :][:4].max()))
    assert all(torch.isfinite(part).all() for part in state)
    assert float(state.memory.abs().max()) <= max(ceiling, add / smallest_erase)


def test_gradients_are_finite_after_two_thousand_steps() -> None:
    """In float32, with foci as sharp as one slot."""
    torch.manual_seed(0)
    config = Ntm.Config.model_validate({"num_slots": 8, "slot_width": 4})
    layer, x = (
        Ntm(config, Surroundings(width=WIDTH)),
        torch.randn(1, 2000, WIDTH, requires_grad=True),
    )
    with torch.no_grad():
        layer.interface.bias[8:12] += 50  # strengths and exponents
    layer(x).square().mean().backward()
    for gradient in [x.grad, *(parameter.grad for parameter in layer.parameters())]:
        assert gradient is not None
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("controller", CONTROLLERS)
def test_costs_are_counted(controller: str, shape: dict[str, int]) -> None:
    """Exactly the operations of the matrix products that torch sees, and the state's bytes."""
    layer = ntm(controller=controller, **shape).float()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        layer(stream(1, 7).float())
    assert counter.get_total_flops() == 7 * layer.flops_per_step(7)
    R, H = layer.config.num_read_heads, layer.num_heads
    carried = sum(layer.controller.carries) * WIDTH
    assert layer.state_bytes(7) == 4 * (6 * 4 + H * 6 + R * 4 + carried)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (
            {"num_slots": 4, "max_shift": 2},
            "max_shift: 2 is not allowed; with num_slots 4 it is at most 1",
        ),
        (
            {"controller": "cnn"},
            "controller: kind: 'cnn' is not known; allowed: lstm, gru, rnn, feed_forward",
        ),
    ],
)
def test_refusals_are_one_line(choices: dict[str, Any], message: str) -> None:
    """They name the key, the value and what is allowed."""
    with pytest.raises(ValidationError) as error:
        Ntm.Config.model_validate(choices)
    assert one_line(error.value) == message


def test_configuration_with_a_controller_round_trips() -> None:
    """A controller may be named or configured; plain data and back."""
    named = Ntm.Config.model_validate({"controller": "gru"})
    written = named.model_dump(mode="json")
    assert written["controller"] == {"kind": "gru", "forget_bias": 1.0}
    assert Ntm.Config.model_validate(written) == named
