"""Layers that cheat are refused before they train, each by what it does; honest ones are not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from tests.trainables.tasks.test_stream import stream, symbols
from tests.trainables.training.stand_ins import CPU, ladder, recall, seeded, trial_config
from trainables.measure.report import Report
from trainables.models.cells import LAYERS
from trainables.models.layer import Layer, PartConfig
from trainables.models.model import build
from trainables.tasks.copying import Copying
from trainables.tasks.recall import Recall
from trainables.tasks.task import Batch, Task
from trainables.training.evaluation import evaluate
from trainables.training.probing import UnsoundModelError, require_sound
from trainables.trial import TrialSpec, run_trial

LAG = 12
Cheat = Callable[["Cheating", Tensor], Tensor]


class Cheating(Layer):
    """A layer that does to its input what the test says."""

    class Config(PartConfig):
        kind: Literal["cheating"] = "cheating"

    cheat: Cheat

    def __init__(self, config: Config, around: Any) -> None:
        super().__init__(config, around)
        self.map = torch.nn.Linear(around.width, around.width)
        self.kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.map(x)) + type(self).cheat(self, x)

    def flops_per_step(self, length: int) -> float:
        return 2.0 * self.width**2

    def state_bytes(self, length: int) -> int:
        return 0


@pytest.fixture(autouse=True)
def _table() -> Iterator[None]:
    LAYERS["cheating"] = Cheating
    yield
    del LAYERS["cheating"]


def is_place(self: Cheating, x: Tensor) -> Tensor:
    return torch.arange(len(x)).to(x)[:, None, None].expand(x.shape) / 10


def half_batch(self: Cheating, x: Tensor) -> Tensor:
    """The later half of the rows sees the earlier."""
    half = len(x) // 2
    seen = torch.zeros_like(x)
    seen[len(x) - half :] = x[:half]
    return seen


def keeps(self: Cheating, x: Tensor) -> Tensor:
    before, self.kept = self.kept, x.detach().mean()
    return torch.zeros_like(x) if before is None else before.expand(x.shape)


def reads_labels_of_a_caller(self: Cheating, x: Tensor) -> Tensor:
    frame: Any = sys._getframe()
    while frame is not None:
        for value in frame.f_locals.values():
            if isinstance(value, Batch):
                return value.targets[:1, :1, None].to(x) + torch.zeros_like(x)
        frame = frame.f_back
    return torch.zeros_like(x)


class Remembering(Recall):
    """A task that leaves its last labels where a layer finds them."""

    last = torch.zeros(0)

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        batch = super().sample(lag, batch_size, generator)
        Remembering.last = batch.targets
        return batch


def reads_labels_of_the_task(self: Cheating, x: Tensor) -> Tensor:
    return Remembering.last[:1, :1, None].to(x) + torch.zeros_like(x)


CHEATS: dict[str, tuple[Cheat, str]] = {
    "acausal": (lambda self, x: x.flip(1).cumsum(1).flip(1), "later steps"),
    "one step ahead": (lambda self, x: x.roll(-1, 1), "later steps"),
    "ahead without a gradient": (lambda self, x: x.detach().roll(-1, 1), "later steps"),
    "ahead beyond a length": (
        lambda self, x: x.roll(-1, 1) if x.shape[1] > 10 else 0 * x,
        "later steps",
    ),
    "ahead in evaluation alone": (
        lambda self, x: 0 * x if self.training else x.roll(-1, 1),
        "later steps",
    ),
    "ahead in training alone": (
        lambda self, x: x.roll(-1, 1) if self.training else 0 * x,
        "later steps",
    ),
    "statistics of the batch": (lambda self, x: x - x.mean(0, keepdim=True), "among other"),
    "those in training alone": (
        lambda self, x: x - x.mean(0, keepdim=True) if self.training else 0 * x,
        "among other",
    ),
    "half of the batch": (half_batch, "among other"),
    "its place in the batch": (is_place, "among other"),
    "global randomness": (lambda self, x: torch.randn_like(x), "the second time"),
    "kept from call to call": (keeps, "the second time"),
    "labels of a caller": (reads_labels_of_a_caller, "something else than the inputs"),
    "labels of the task": (reads_labels_of_the_task, "something else than the inputs"),
}


def probe(task: Task, cell: str = "cheating", lag: int = LAG) -> None:
    model = build(trial_config(cell).model, task, seed=0)
    require_sound(model, task, lag, seeded(), CPU)


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_is_refused(cheat: str, monkeypatch: pytest.MonkeyPatch) -> None:
    does, said = CHEATS[cheat]
    monkeypatch.setattr(Cheating, "cheat", does, raising=False)
    with pytest.raises(UnsoundModelError, match=said) as refused:
        probe(Remembering(Recall.Config(alphabet=4)))
    assert str(refused.value).startswith("layer: cheating: ")
    assert str(refused.value).endswith(f"(at lag {LAG})")


def test_a_shape_that_is_not_kept_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cheating, "forward", lambda self, x: x[:, 1:])
    with pytest.raises(UnsoundModelError, match="the steps are to be kept"):
        probe(recall())


@pytest.mark.parametrize("task", [recall(), Copying(Copying.Config())])
def test_an_honest_layer_passes(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cheating, "cheat", lambda self, x: x.cumsum(1), raising=False)
    probe(task)


@pytest.mark.parametrize("kind", [kind for kind in sorted(LAYERS) if kind != "cheating"])
def test_every_layer_of_the_table_passes(kind: str) -> None:
    probe(recall(), kind)


def test_numbers_that_overflow_are_left_to_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cheating, "cheat", lambda self, x: x.exp() * 1e300, raising=False)
    probe(recall())


def test_a_trial_of_a_cheat_trains_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Cheating, "cheat", lambda self, x: x.roll(-1, 1), raising=False)
    reports: list[Report] = []
    spec = TrialSpec(
        config=trial_config("cheating"),
        tasks={"recall": Recall.Config()},
        ladder=ladder(start=4, stop=8),
        seed=0,
    )
    with pytest.raises(UnsoundModelError, match="later steps"):
        run_trial(spec, tmp_path, lambda report, _: reports.append(report), CPU)
    assert not reports


def test_the_halves_of_a_pair_are_shown_apart_and_shuffled(tmp_path: Path) -> None:
    """A layer that takes rows in pairs by their place gains nothing on a stream."""

    class Coupled(torch.nn.Module):
        shown: list[Tensor] = []

        def forward(self, inputs: Tensor, scored: Tensor) -> Tensor:
            self.shown.append(inputs)
            return torch.zeros(*scored.shape, task.answer.outputs)

    task = stream(tmp_path, symbols(5))
    model: Any = Coupled()
    evaluate(model, task.split("test"), 4, 20, seeded(), CPU)
    drawn = next(iter(task.split("test").draw(4, 20, 256, seeded()))).inputs
    first, second = Coupled.shown
    halves = drawn.chunk(2)
    for found, half in zip((first, second), halves, strict=True):
        assert not torch.equal(found, half)
        assert sorted(found.tolist()) == sorted(half.tolist())
