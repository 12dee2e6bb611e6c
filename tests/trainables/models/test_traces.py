"""Forward mode: backpropagation's answers and gradients, from one pass, with nothing gone back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import stirred
from tests.trainables.models.kernels.paths import PATHS, take
from tests.trainables.models.test_model import NUMBERS, SYMBOLS
from trainables.models import traces
from trainables.models.config import ModelConfig
from trainables.models.model import Model, build, outline
from trainables.models.traces import by_traces, can_be_traced
from trainables.tasks.task import Interface

KINDS = ["ind_rnn", "lru", "min_gru", "min_lstm", "s4d"]
PATHS_OF_SYMBOLS = [
    "none",
    "add",
    "gated",
    {"kind": "scaled", "norm": "pre"},
    {"kind": "add", "norm": "post"},
]


@pytest.fixture(params=PATHS, autouse=True)
def _path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled kernels and torch's operators; blocks of seven steps."""
    take(request.param, monkeypatch)
    monkeypatch.setattr(traces, "MOST_STEPS", 7)


def model_of(kind: str, task: Interface = SYMBOLS, **parts: object) -> Model:
    chosen = {"cell": kind, "hidden_size": 6, **parts}
    model = build(ModelConfig.model_validate(chosen), task, seed=0).double()
    stirred(model)
    return model


def drawn(task: Interface, batch: int, length: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    if task is SYMBOLS:
        return torch.randint(5, (batch, length), generator=generator)
    return torch.randn(batch, length, 2, generator=generator, dtype=torch.float64)


def same(model: Model, inputs: Tensor, scored: Tensor) -> None:
    """The answers, and the gradient of a sum of them in every weight, to 1e-9 relatively."""
    found = []
    for y in (model(inputs, scored), by_traces(model, inputs, scored, 1e9)):
        weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(2)).double()
        found.append(
            (y.detach(), *torch.autograd.grad((y * weights).sum(), list(model.parameters())))
        )
    for due, mine in zip(*found, strict=True):
        torch.testing.assert_close(mine, due, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("batch", "length"), [(3, 63), (1, 64), (2, 7), (1, 1)])
def test_the_last_step_is_scored(kind: str, batch: int, length: int) -> None:
    model = model_of(kind)
    assert can_be_traced(model)
    same(model, drawn(SYMBOLS, batch, length), torch.full((batch, 1), length - 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", [SYMBOLS, NUMBERS], ids=["symbols", "numbers"])
def test_several_steps_not_alike_in_all_rows(kind: str, task: Interface) -> None:
    """Within blocks, at their borders, twice the same; and steps behind the last of them."""
    scored = torch.tensor([[0, 5, 6, 40, 61], [2, 3, 9, 9, 23], [9, 20, 27, 40, 50]])
    same(model_of(kind, task), drawn(task, 3, 63), scored)


@pytest.mark.parametrize("residual", PATHS_OF_SYMBOLS, ids=str)
@pytest.mark.parametrize("kind", ["lru", "min_gru"])
def test_residual_paths_and_norms(kind: str, residual: object) -> None:
    same(model_of(kind, residual=residual), drawn(SYMBOLS, 2, 30), torch.tensor([[28, 29]] * 2))


def test_a_path_of_numbers_that_is_affine() -> None:
    model = model_of("min_lstm", NUMBERS, residual={"kind": "gated", "norm": "post"})
    assert can_be_traced(model)
    same(model, drawn(NUMBERS, 2, 30), torch.tensor([[29], [11]]))


@pytest.mark.parametrize(
    ("task", "parts"),
    [
        (SYMBOLS, {"cell": "gru"}),
        (SYMBOLS, {"cell": "lru", "depth": 2}),
        (SYMBOLS, {"cell": "lru", "front_end": "conv"}),
        (SYMBOLS, {"cell": "lru", "positions": "sinusoidal"}),
        (SYMBOLS, {"cell": "lru", "readout": "attention"}),
        (NUMBERS, {"cell": "lru", "residual": "add"}),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_what_is_not_element_by_element_is_not_traced(
    task: Interface, parts: dict[str, object]
) -> None:
    model = outline(ModelConfig.model_validate({"hidden_size": 8, **parts}), task)
    assert not can_be_traced(model)
