"""Optimisers against their papers' updates, written out, and what each is given of a model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.trainables.training.stand_ins import recall, trial_config
from trainables.learning.optimisers import OPTIMISERS
from trainables.models.model import build

RATE, STEPS = 0.01, 5
Update = Callable[[Tensor, list[Tensor]], Tensor]


def adamw(w: Tensor, gradients: list[Tensor]) -> Tensor:
    m = v = torch.zeros_like(w)
    for t, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        step = (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
        w = w - RATE * (step + 0.02 * w)
    return w


def rmsprop(w: Tensor, gradients: list[Tensor]) -> Tensor:
    v = moved = torch.zeros_like(w)
    for g in gradients:
        v = 0.95 * v + 0.05 * g**2
        moved = 0.9 * moved + g / (v.sqrt() + 1e-8)
        w = w - RATE * moved
    return w


def lion(w: Tensor, gradients: list[Tensor]) -> Tensor:
    m = torch.zeros_like(w)
    for g in gradients:
        direction = torch.sign(0.9 * m + 0.1 * g)
        w = w - RATE * (direction + 0.02 * w)
        m = 0.99 * m + 0.01 * g
    return w


@pytest.mark.parametrize(
    ("kind", "choices", "update"),
    [
        ("adamw", {"weight_decay": 0.02}, adamw),
        ("rmsprop", {}, rmsprop),
        ("lion", {"weight_decay": 0.02}, lion),
    ],
)
def test_updates_are_those_of_the_paper(
    kind: str, choices: dict[str, float], update: Update
) -> None:
    generator = torch.Generator().manual_seed(0)
    net = nn.Linear(4, 3, bias=False).double()
    first = net.weight.detach().clone()
    gradients = [torch.randn(3, 4, generator=generator).double() for _ in range(STEPS)]
    part = OPTIMISERS[kind]
    (optimiser,) = part(part.Config.model_validate({"kind": kind, **choices})).make(net, RATE)
    for gradient in gradients:
        net.weight.grad = gradient.clone()
        optimiser.step()
    torch.testing.assert_close(net.weight.detach(), update(first, gradients))


@pytest.mark.parametrize("kind", OPTIMISERS)
def test_every_weight_is_moved_by_one_optimiser(kind: str) -> None:
    model = build(trial_config().model, recall(), seed=0)
    part = OPTIMISERS[kind]
    optimisers = part(part.Config(kind=kind)).make(model, RATE)
    held = [w for o in optimisers for group in o.param_groups for w in group["params"]]
    assert sorted(map(id, held)) == sorted(map(id, model.parameters()))


def test_muon_moves_the_matrices_inside_and_adam_the_rest() -> None:
    """A change of a matrix has singular values all alike; tables and read-outs do not move so."""
    model = build(trial_config().model, recall(), seed=0)
    part = OPTIMISERS["muon"]
    muon, rest = part(part.Config(kind="muon")).make(model, RATE)
    names = {id(w): name for name, w in model.named_parameters()}
    inside = [names[id(w)] for group in muon.param_groups for w in group["params"]]
    assert inside
    assert not [name for name in inside if name.startswith(("embedding.", "readout."))]
    assert {names[id(w)].split(".")[0] for g in rest.param_groups for w in g["params"]} >= {
        "embedding",
        "readout",
    }
    weight = next(w for group in muon.param_groups for w in group["params"])
    before = weight.detach().clone()
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    muon.step()
    changes = torch.linalg.svdvals(weight.detach() - before)
    assert changes.min() > 0.5 * changes.max()
    assert changes.max() < RATE * 5


def test_a_model_of_vectors_alone_is_adams() -> None:
    part = OPTIMISERS["muon"]
    (only,) = part(part.Config(kind="muon")).make(nn.LayerNorm(4), RATE)
    assert isinstance(only, torch.optim.AdamW)
