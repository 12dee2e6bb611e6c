"""Models that the measure would be deceived by are refused; every shipped one is let through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from benchmarks.reviewer.cheats import (
    CHEATS,
    EVADING,
    LAGS,
    TASK,
    acausal,
    refusal,
    refusal_when_solved,
)
from tests.trainables.training.stand_ins import CPU, trial_config
from trainables.measure.ladder_config import LadderConfig
from trainables.models.cells import LAYERS
from trainables.models.config import ModelConfig
from trainables.models.front_ends import FRONT_ENDS
from trainables.models.model import Model, build
from trainables.models.positions import POSITIONS
from trainables.models.promises import BrokenPromiseError, require_promises
from trainables.models.readouts import READOUTS
from trainables.models.residuals import RESIDUALS
from trainables.trial import TrialSpec, run_trial

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


@pytest.mark.parametrize(
    ("cheat", "said"), CHEATS.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_cheats_are_refused(cheat: Callable[..., Tensor], said: str) -> None:
    found = refusal(cheat)
    assert found is not None
    assert said in found
    assert "\n" not in found
    assert refusal(lambda layer, x, y: y) is None


@pytest.mark.parametrize("cheat", EVADING, ids=lambda x: x.__name__)
def test_cheats_that_behave_while_they_are_tried_solve_nothing(
    cheat: Callable[..., Tensor],
) -> None:
    """They are found where a rung would be solved, as long, as many and as precise as there."""
    assert refusal(cheat) is None
    found = refusal_when_solved(cheat)
    assert found is not None
    assert "change with later inputs, as it is tested at lag 513" in found
    assert refusal_when_solved(lambda layer, x, y: y) is None


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
