"""bfloat16: every layer trains under it, and what is kept is float32."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from trainables.config import TrialConfig
from trainables.measure.ladder_config import LadderConfig
from trainables.models.cells import LAYERS
from trainables.precision import Precision
from trainables.tasks import TASKS
from trainables.trial import TrialSpec, run_trial

LADDER = LadderConfig(
    start=4, stop=8, members=1, quorum=1, sequences=96, success=0.01, test_sequences=64
)

pytestmark = pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")


def losses(folder: Path, kind: str, precision: Precision) -> list[float]:
    """What one short trial's training sequences cost; weights lie in the folder."""
    config = TrialConfig.model_validate(
        {"model": {"cell": {"kind": kind}, "hidden_size": 8}, "training": {"batch_size": 32}}
    )
    tasks = {"recall": TASKS["recall"].Config()}
    spec = TrialSpec(config, tasks, LADDER, seed=0, curve=False, precision=precision)
    report = run_trial(spec, folder, lambda *_: None, torch.device("cpu"))
    assert report.ended_by != "error"
    return [point.loss for point in report.trace]


@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer_trains_in_bfloat16(kind: str, tmp_path: Path) -> None:
    """To numbers that are not float32's, and close to them."""
    exact = losses(tmp_path / "float32", kind, "float32")
    rounded = losses(tmp_path / "bf16", kind, "bf16")
    assert rounded != exact
    assert rounded[:1] == pytest.approx(exact[:1], rel=0.02)


def test_it_ends_with_the_trial_and_what_is_kept_is_float32(tmp_path: Path) -> None:
    config = TrialConfig.model_validate(
        {"model": {"cell": "gru", "hidden_size": 16}, "training": {"learning_rate": 0.02}}
    )
    tasks = {"recall": TASKS["recall"].Config(alphabet=2)}
    ladder = LADDER.model_copy(update={"sequences": 6400, "success": 0.7})
    spec = TrialSpec(config, tasks, ladder, seed=0, curve=False, precision="bf16")
    run_trial(spec, tmp_path, lambda *_: None, torch.device("cpu"))
    assert not torch.is_autocast_enabled("cpu")
    kept = [load_file(file) for file in tmp_path.rglob("*.safetensors")]
    assert {tensor.dtype for weights in kept for tensor in weights.values()} == {torch.float32}
