"""On an accelerator everything lies there, and a training step waits for nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorDeviceMismatchError

from tests.trainables.training.pretended import ACCELERATOR, Waits, pretended
from tests.trainables.training.stand_ins import attempt, ladder, recall, seeded
from trainables.config import TrialConfig
from trainables.learning.optimisers import OPTIMISERS
from trainables.models.cells import LAYERS
from trainables.models.front_ends import FRONT_ENDS
from trainables.models.positions import POSITIONS, NoPositions
from trainables.models.readouts import READOUTS
from trainables.models.residuals import RESIDUALS
from trainables.randomness import Streams
from trainables.regimes import REGIMES
from trainables.tasks import TASKS
from trainables.tasks.drawing import Drawing
from trainables.tasks.task import ClassAnswer, Task
from trainables.training.held_out.curve import forgetting_curve
from trainables.training.held_out.evaluation import each_shown
from trainables.training.horizon import gradient_horizon
from trainables.training.member import Member

LAG = 4
STREAMS = Streams(0, "0" * 64)
ALL_AT_ONCE = {
    "optimiser": "lion",
    "gradient_noise": 0.1,
    "average_decay": 0.9,
    "label_smoothing": 0.1,
    "clip_norm": 1.0,
}
TRIED: list[dict[str, Any]] = [
    *({"cell": {"kind": kind}} for kind in LAYERS),
    *({"cell": "transformer", "positions": {"kind": kind}} for kind in POSITIONS),
    *({"cell": "min_gru", "front_end": {"kind": kind}} for kind in FRONT_ENDS),
    *({"cell": "min_gru", "residual": {"kind": kind}} for kind in RESIDUALS),
    *({"cell": "min_gru", "readout": {"kind": kind}} for kind in READOUTS),
]


def config(parts: dict[str, Any], **training: Any) -> TrialConfig:
    given = {"model": {"hidden_size": 8, **parts}, "training": {"batch_size": 4, **training}}
    return TrialConfig.model_validate(given)


def whole(task: Task, chosen: TrialConfig, waits: Waits, steps: int = 1) -> None:
    """Training steps that wait for nothing; then all that is measured."""
    lag = max(LAG, task.shortest_lag)
    member = Member(chosen, task, STREAMS, 0, lag, ACCELERATOR)
    member.enter(1.0, 10)
    for _ in range(steps):
        batch = task.sample(lag, 4, seeded()).to(ACCELERATOR)
        assert member.queue(batch).device == ACCELERATOR
    assert waits.waits == 0
    for _, right in each_shown(member.judged, task, lag, 4, seeded(), ACCELERATOR, mixed=True):
        assert right.device.type == "cpu"
    curve = forgetting_curve(member.judged, "task", task, [lag], STREAMS, 0.0, ACCELERATOR)
    assert [point.lag for point in curve] == [lag]
    horizon = gradient_horizon(member.model, "task", task, lag, "end", seeded(), ACCELERATOR)
    assert [point.norm for point in horizon] == [1.0, 1.0]


@pytest.mark.parametrize("parts", TRIED, ids=str)
def test_every_part_trains_and_is_measured(parts: dict[str, Any]) -> None:
    with pretended() as waits:
        whole(recall(), config(parts), waits)


@pytest.mark.parametrize("kind", sorted(TASKS.keys() - {"parquet", "stream"}))
def test_every_task(kind: str) -> None:
    with pretended() as waits:
        whole(TASKS[kind](TASKS[kind].Config()), config({"cell": "min_gru"}), waits)


@pytest.mark.parametrize("training", [*({"optimiser": kind} for kind in OPTIMISERS), ALL_AT_ONCE])
def test_every_way_to_learn(training: dict[str, Any]) -> None:
    with pretended() as waits:
        whole(recall(), config({"cell": "min_gru"}, **training), waits, steps=2)


@pytest.mark.parametrize("kind", REGIMES)
def test_every_regime(kind: str) -> None:
    """Of a batch a step waits for one thing: what `learn` returns."""
    regime = {"kind": kind, "window": 4} if kind == "truncated" else {"kind": kind}
    with pretended() as waits:
        member = Member(config({"cell": "min_gru"}), recall(), STREAMS, 0, LAG, ACCELERATOR)
        steps = ladder(start=2, stop=8)
        under_way = attempt(member, steps, lag=8, regime=regime, device=ACCELERATOR)
        generator = under_way.generators["train"]
        under_way.drawing = Drawing(under_way._draw, generator, ahead=False)
        under_way._learn_a_batch()
    assert under_way.progress.loss == 1.0
    assert waits.waits == 2, "the loss and the successes, of one tensor"


def on_the_host(positions: NoPositions, x: Tensor, start: int = 0) -> Tensor:
    return x + torch.ones(x.shape[-1])


def asked(answer: ClassAnswer, predictions: Tensor, targets: Tensor) -> Tensor:
    right = predictions.argmax(-1) == targets
    return right if right.any() else ~right


def fetched(weights: Iterable[Tensor], most: float) -> None:
    for weight in weights:
        weight.detach().cpu()


@pytest.mark.parametrize(
    ("owner", "name", "fault", "error"),
    [
        (NoPositions, "forward", on_the_host, FakeTensorDeviceMismatchError),
        (ClassAnswer, "right", asked, AssertionError),
        (nn.utils, "clip_grad_norm_", fetched, AssertionError),
    ],
)
def test_what_lies_on_the_host_or_is_waited_for_is_found(
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    fault: Callable[..., Any],
    error: type[Exception],
) -> None:
    monkeypatch.setattr(owner, name, fault)
    with pytest.raises(error), pretended() as waits:
        whole(recall(), config({"cell": "min_gru"}), waits)
