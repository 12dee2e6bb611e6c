"""On a CUDA device: every kind answers as on the CPU, and a whole trial runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.training.stand_ins import trial_config
from trainables.measure.ladder_config import LadderConfig
from trainables.models.cells import LAYERS
from trainables.models.config import ModelConfig
from trainables.models.front_ends import FRONT_ENDS
from trainables.models.model import build
from trainables.models.positions import POSITIONS
from trainables.models.readouts import READOUTS
from trainables.models.residuals import RESIDUALS
from trainables.tasks.recall import Recall
from trainables.trial import TrialSpec, run_trial

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]

TASK = Recall(Recall.Config())
PARTS: list[dict[str, Any]] = [
    *({"cell": {"kind": kind}} for kind in LAYERS),
    *({"cell": "transformer", "positions": {"kind": kind}} for kind in POSITIONS),
    *({"cell": "gru", "front_end": {"kind": kind}} for kind in FRONT_ENDS),
    *({"cell": "gru", "residual": {"kind": kind}} for kind in RESIDUALS),
    *({"cell": "gru", "readout": {"kind": kind}} for kind in READOUTS),
]


def answers_and_gradients(config: ModelConfig, device: str) -> tuple[torch.Tensor, ...]:
    """From the same first weights and batch, in float64, on the CPU again."""
    model = build(config, TASK, seed=1).double().to(device)
    batch = TASK.sample(62, 3, torch.Generator().manual_seed(2)).to(torch.device(device))
    answers = model(batch.inputs, batch.scored)
    TASK.answer.loss(answers, batch.targets).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return tuple(t.detach().cpu() for t in (answers, *gradients))


@pytest.mark.parametrize("parts", PARTS, ids=str)
def test_cuda_equals_the_cpu(parts: dict[str, Any]) -> None:
    config = ModelConfig.model_validate({"hidden_size": 16, **parts})
    here, there = (answers_and_gradients(config, device) for device in ("cpu", "cuda"))
    torch.testing.assert_close(there, here, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", LAYERS)
def test_reduced_precision_stays_finite(kind: str) -> None:
    config = ModelConfig.model_validate({"hidden_size": 16, "cell": {"kind": kind}})
    model = build(config, TASK, seed=1).cuda()
    batch = TASK.sample(300, 4, torch.Generator().manual_seed(2)).to(torch.device("cuda"))
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = TASK.answer.loss(model(batch.inputs, batch.scored).float(), batch.targets)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_a_whole_trial(tmp_path: Path) -> None:
    """It learns, says what memory it took on the device, and leaves weights that load anywhere."""
    ladder = LadderConfig(start=4, stop=16, members=2, quorum=2, sequences=8000)
    spec = TrialSpec(trial_config("lstm"), {"recall": TASK.config}, ladder, seed=0)
    end = run_trial(spec, tmp_path, lambda *_: None, torch.device("cuda"))
    assert end.reach == 16
    assert all(row.peak_memory_bytes > 0 for row in end.rows)
    assert end.curve
