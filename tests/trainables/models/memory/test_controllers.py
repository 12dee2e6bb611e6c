"""Controllers against the cells of `torch.nn` on [x; reads]."""

import pytest
import torch
from torch import Tensor, nn

from trainables.models.memory.controllers import CONTROLLERS, Controller

WIDTH, READS = 5, 3
CELLS = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}


def controller_of(kind: str) -> Controller:
    torch.manual_seed(0)
    part = CONTROLLERS[kind]
    return part(part.Config(kind=kind), WIDTH, READS).double()


def numbers(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def cell_of(controller: Controller, kind: str) -> nn.Module:
    """A cell of torch with the controller's weights."""
    cell = CELLS[kind](READS + WIDTH, WIDTH).double()
    p = dict(controller.named_parameters())
    observe, recur = p["recur.weight"].split([p["recur.weight"].shape[1] - WIDTH, WIDTH], dim=1)
    hidden_bias = torch.zeros_like(p["project.bias"])
    if kind == "gru":
        observe, hidden_bias = p["observe.weight"], p["recur.bias"]
    inward = torch.cat((p["project.weight"], observe), dim=1)
    weights = [inward, recur, p["project.bias"], hidden_bias]
    if kind == "lstm":  # torch's order of gates is in, forget, new, out
        order = torch.arange(4 * WIDTH).view(4, WIDTH)[[0, 1, 3, 2]].flatten()
        weights = [w[order] for w in weights]
    with torch.no_grad():
        for mine, given in zip(cell.parameters(), weights, strict=True):
            mine.copy_(given)
    return cell


@pytest.mark.parametrize("kind", sorted(CELLS))
def test_equals_torch(kind: str) -> None:
    """Answers, states and gradients of three steps."""
    controller = controller_of(kind)
    cell, x = cell_of(controller, kind), numbers(2, 3, WIDTH).requires_grad_()
    reads = numbers(2, 3, READS).requires_grad_()
    hidden, carry = controller.initial_state(2)
    references: tuple[Tensor, ...] | None = None
    for t in range(3):
        output, hidden, carry = controller(controller.project(x[:, t]), reads[:, t], hidden, carry)
        last = references if kind == "lstm" or references is None else references[0]
        answer = cell(torch.cat((x[:, t], reads[:, t]), dim=1), last)
        references = answer if kind == "lstm" else (answer,)
    states = (hidden, carry) if kind == "lstm" else (hidden,)
    assert output is hidden
    assert references is not None
    for state, reference in zip(states, references, strict=True):
        torch.testing.assert_close(state, reference, rtol=0, atol=1e-14)
    by_mine = torch.autograd.grad(states[-1].square().sum(), (x, reads))
    by_torch = torch.autograd.grad(references[-1].square().sum(), (x, reads))
    torch.testing.assert_close(by_mine, by_torch, rtol=0, atol=1e-13)


def test_feed_forward_carries_nothing() -> None:
    """tanh(W [x; r] + b); its state is empty."""
    controller = controller_of("feed_forward")
    x, reads = numbers(2, WIDTH), numbers(2, READS)
    hidden, cell = controller.initial_state(2)
    output, hidden, cell = controller(controller.project(x), reads, hidden, cell)
    p = dict(controller.named_parameters())
    expected = torch.tanh(
        x @ p["project.weight"].T + reads @ p["recur.weight"].T + p["project.bias"]
    )
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-15)
    assert (hidden.shape, cell.shape) == ((2, 0), (2, 0))


@pytest.mark.parametrize(("kind", "gate"), [("lstm", 1), ("gru", 1)])
def test_forget_bias_is_the_gates_whole_bias(kind: str, gate: int) -> None:
    """All biases that are added to the gate sum to it."""
    part = CONTROLLERS[kind]
    controller = part(part.Config.model_validate({"kind": kind, "forget_bias": 3}), WIDTH, READS)
    biases = [p for name, p in controller.named_parameters() if name.endswith("bias")]
    total = sum(bias[gate * WIDTH : (gate + 1) * WIDTH] for bias in biases)
    torch.testing.assert_close(total, torch.full((WIDTH,), 3.0))
