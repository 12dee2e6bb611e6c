"""Models that the measure would be deceived by are refused; every shipped one is let through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.trainables.training.stand_ins import CPU, trial_config
from trainables.measure.ladder_config import LadderConfig
from trainables.models.cells import LAYERS
from trainables.models.config import ModelConfig
from trainables.models.front_ends import FRONT_ENDS
from trainables.models.layer import Layer
from trainables.models.model import Model, build
from trainables.models.positions import POSITIONS
from trainables.models.promises import BrokenPromiseError, require_promises
from trainables.models.readouts import READOUTS
from trainables.models.residuals import RESIDUALS
from trainables.tasks.recall import Recall
from trainables.trial import TrialSpec, run_trial

TASK = Recall(Recall.Config())
LAGS = [8, 16, 32, 200]

SHIPPED = [
    *({"cell": {"kind": kind}} for kind in LAYERS),
    *({"cell": "transformer", "positions": {"kind": kind}} for kind in POSITIONS),
    *({"cell": "gru", "front_end": {"kind": kind}} for kind in FRONT_ENDS),
    *({"cell": "gru", "residual": {"kind": kind}} for kind in RESIDUALS),
    *({"cell": "gru", "readout": {"kind": kind}} for kind in READOUTS),
]


def tried(model: Model, batch_size: int = 8) -> None:
    require_promises(model, TASK, LAGS, batch_size, CPU)


@pytest.mark.parametrize("parts", SHIPPED, ids=str)
def test_every_shipped_part_keeps_them(parts: dict[str, object]) -> None:
    config = ModelConfig.model_validate({"hidden_size": 16, "depth": 2, **parts})
    model = build(config, TASK, seed=3)
    tried(model)
    assert model.training


class Cheat(torch.nn.Module):
    """An honest layer, and what a cheat makes of its answers."""

    def __init__(self, honest: Layer, cheat: Callable[[Layer, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.honest, self.cheat, self.calls = honest, cheat, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.cheat(self, x, self.honest(x))  # type: ignore[arg-type]  # a cheat is no Layer


def acausal(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + x.flip(1).cumsum(1).flip(1)


def barely_acausal(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + 1e-3 * torch.cat([x[:, 1:], x[:, -1:]], dim=1)


def acausal_if_long(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + x.mean(1, keepdim=True) if x.shape[1] > 100 else y


def acausal_when_tested(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y if layer.training else y + x.mean(1, keepdim=True)


def batch_statistics(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y - y.mean(0, keepdim=True)


def other_half(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    half = len(x) // 2
    return y + torch.cat([x[half : 2 * half], x[:half], x[2 * half :]]) if half else y


def its_place(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + torch.arange(len(x))[:, None, None]


def global_randomness(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + 0.1 * torch.randn_like(y)


def remembers_calls(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + 0.1 * layer.calls  # type: ignore[operator]  # of a Cheat


def not_finite(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y / (x.shape[1] < 100)


def shorter(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y[:, :-1]


CHEATS = {
    acausal: "later inputs",
    barely_acausal: "later inputs",
    acausal_if_long: "later inputs, while it trains, on sequences of 201 steps",
    acausal_when_tested: "later inputs, while it is tested",
    batch_statistics: "than among",
    other_half: "than among",
    its_place: "than among",
    global_randomness: "shown again",
    remembers_calls: "shown again",
    not_finite: "finite",
    shorter: "they must be",
}


@pytest.mark.parametrize(
    ("cheat", "said"), CHEATS.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_cheats_are_refused(cheat: Callable[..., Tensor], said: str) -> None:
    config = {"hidden_size": 8, "cell": "gru", "residual": "none"}
    model = build(ModelConfig.model_validate(config), TASK, seed=3)
    honest = [
        (owner, name)
        for owner in model.modules()
        for name, child in owner.named_children()
        if isinstance(child, LAYERS["gru"])
    ]
    assert honest
    for owner, name in honest:
        setattr(owner, name, Cheat(getattr(owner, name), cheat))
    with pytest.raises(BrokenPromiseError, match=said) as error:
        tried(model)
    assert "\n" not in str(error.value)


def test_a_trial_tries_it_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = LAYERS["gru"].forward
    monkeypatch.setattr(
        LAYERS["gru"], "forward", lambda self, x: acausal(self, x, forward(self, x))
    )
    spec = TrialSpec(
        trial_config("gru", "scratch"), {"recall": TASK.config}, LadderConfig(start=8, stop=16), 0
    )
    reports: list[object] = []
    with pytest.raises(BrokenPromiseError, match="later inputs"):
        run_trial(spec, tmp_path, lambda *told: reports.append(told), CPU)
    assert reports == []
