"""The memory of ``dnc`` against the package dnc."""

from typing import Any

import dnc.memory
import dnc.util
import pytest
import torch
from torch import Tensor

from trainables.models.layer import Surroundings
from trainables.models.memory import addressing
from trainables.models.memory.dnc import Dnc, DncState

WIDTH, N, W, R = 5, 6, 4, 2
STEPS = 2 * N


def numbers(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def in_the_middle() -> DncState:
    """A state of two sequences in which no two slots are used alike and none is empty."""
    off_diagonal = 1 - torch.eye(N, dtype=torch.float64)
    return DncState(
        memory=numbers(2, N, W, seed=1),
        usage=numbers(2, N, seed=2).sigmoid(),
        write_weights=numbers(2, N, seed=3).softmax(-1),
        read_weights=numbers(2, R, N, seed=4).softmax(-1),
        precedence=numbers(2, N, seed=5).softmax(-1),
        links=numbers(2, N, N, seed=6).sigmoid() / N * off_diagonal,
        reads=numbers(2, R * W, seed=7),
        hidden=numbers(2, WIDTH, seed=8),
        cell=numbers(2, WIDTH, seed=9),
    )


def package_memory() -> dnc.memory.Memory:
    memory = dnc.memory.Memory(WIDTH, N, W, R)
    memory.I = memory.I.double()
    return memory


def package_step(
    layer: Dnc, memory: dnc.memory.Memory, x: Tensor, state: DncState
) -> tuple[Tensor, DncState]:
    """Our controller and interface, then the package's writing and reading."""
    projected = layer.controller.project(x)
    output, hidden, cell = layer.controller(projected, state.reads, state.hidden, state.cell)
    heads = layer.heads(output)
    kept: dict[str, Any] = {
        "memory": state.memory,
        "usage_vector": state.usage,
        "write_weights": state.write_weights[:, None],
        "read_weights": state.read_weights,
        "precedence": state.precedence[:, None],
        "link_matrix": state.links[:, None],
    }
    kept = memory.write(
        heads.keys[:, -1:],
        heads.write,
        heads.erase,
        heads.free_gates,
        heads.strengths[:, :-1],
        heads.strengths[:, -1:],
        heads.write_gate,
        heads.allocation_gate,
        kept,
    )
    back, here, ahead = heads.read_modes.unbind(-1)
    modes = torch.stack([back, ahead, here], dim=-1)
    reads, kept = memory.read(heads.keys[:, :-1], heads.strengths[:, :-1], modes, kept)
    following = DncState(
        kept["memory"],
        kept["usage_vector"],
        kept["write_weights"][:, 0],
        kept["read_weights"],
        kept["precedence"][:, 0],
        kept["link_matrix"][:, 0],
        reads.flatten(1),
        hidden,
        cell,
    )
    return layer.answer(torch.cat([output, following.reads], dim=-1)), following


@pytest.mark.parametrize("controller", ["lstm", "feed_forward"])
def test_the_memory_agrees_with_the_package(
    controller: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers and states at every step; gradients in the input, the first state, the parameters.

    The package differs from the paper in the interface (tanh of keys and of what is written,
    strengths without the one, another order of the read modes) and does not feed what was read to
    its controller within a call, so interface and controller are ours. Both keep cosines from
    dividing by zero in ways of their own, and the package lifts usage by 1e-6: neither here, where
    nothing is zero.
    """
    monkeypatch.setattr(addressing, "SMALLEST_SQUARE", 0.0)
    monkeypatch.setattr(dnc.memory, "δ", 0.0)
    monkeypatch.setattr(dnc.util, "δ", 0.0)
    torch.manual_seed(0)
    choices = {"controller": controller, "num_slots": N, "slot_width": W, "num_read_heads": R}
    layer = Dnc(Dnc.Config.model_validate(choices), Surroundings(width=WIDTH)).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=0.7)
    memory, x = package_memory(), numbers(2, STEPS, WIDTH, seed=10).requires_grad_()
    first = DncState(*(part.requires_grad_() for part in in_the_middle()))
    ours, theirs = first, first
    answers: list[tuple[Tensor, Tensor]] = []
    for x_t in x.unbind(1):
        mine, carried = layer.step(x_t, ours)
        ours = DncState(*carried)
        due, theirs = package_step(layer, memory, x_t, theirs)
        answers.append((mine, due))
        torch.testing.assert_close((mine, *ours), (due, *theirs), rtol=0, atol=1e-11)
    carried = 2 * (controller == "lstm")  # hidden state and cell stand last
    sources = [x, *layer.parameters(), *first[: 7 + carried]]
    direction = numbers(2, STEPS, WIDTH, seed=11)
    got, expected = (
        torch.autograd.grad((torch.stack(each, 1) * direction).sum(), sources)
        for each in zip(*answers, strict=True)
    )
    torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-9)
