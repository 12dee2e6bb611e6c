"""A column that says how far back each row's evidence lies: which rows a rung shows, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import stats

from tests.trainables.tasks.labelled import seeded
from tests.trainables.training.stand_ins import CPU, as_model
from trainables.randomness import Streams
from trainables.tasks.held_out import require_held_out
from trainables.tasks.parquet import Parquet
from trainables.tasks.split.splitting import PARTS
from trainables.training.held_out.curve import forgetting_curve

CLASSES = 4
FALSE_ALARM = 1e-6


def cued(folder: Path, lags: np.ndarray, seed: int = 0) -> Path:
    """Rows of noise 0 .. 99 whose class, as 100 + y, stands ``lag`` steps before the last."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(CLASSES, size=len(lags))
    rows = [rng.integers(100, size=lag + 1 + rng.integers(4)) for lag in lags]
    for row, lag, label in zip(rows, lags, classes, strict=True):
        row[len(row) - 1 - lag] = 100 + label
    table = {"x": [row.tolist() for row in rows], "y": classes, "back": lags}
    file = folder / "cued.parquet"
    pq.write_table(pa.table(table), file, row_group_size=100)
    return file


def task_of(file: Path, **options: Any) -> Parquet:
    named = {"sequence": "x", "target": "y", "lag": "back", "values": "tokens", **options}
    return Parquet(Parquet.Config.model_validate({"path": file, **named}))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lags = np.random.default_rng(1).integers(1, 33, size=3000)
    return cued(tmp_path_factory.mktemp("lags"), lags)


@pytest.mark.parametrize("lag", [2, 5, 16])
def test_a_rung_is_tested_near_its_lag_and_trained_up_to_there(file: Path, lag: int) -> None:
    """From the lag to just below twice the lag; no part shows another's rows."""
    task = task_of(file)
    assert task.lags is not None
    shown = {part: task.split(part).drawable(lag).rows for part in PARTS}
    for part in ("selection", "test"):
        own = task.lags[shown[part]]
        assert set(own) <= set(range(lag, 2 * lag))
        assert len(set(own)) > lag / 2
    assert set(task.lags[shown["train"]]) == set(range(1, 2 * lag))
    assert not set(shown["train"]) & set(shown["test"])


def test_nearness_is_the_users(file: Path) -> None:
    """Half as far again, in place of twice."""
    task = task_of(file, nearness=1.5)
    assert task.lags is not None
    assert set(task.lags[task.split("test").drawable(8).rows]) == set(range(8, 12))


@pytest.mark.parametrize("part", PARTS)
def test_rows_end_at_the_answer_with_their_evidence_its_lag_before(file: Path, part: Any) -> None:
    """An oracle that looks back as far as the row says is always right."""
    task, lag = task_of(file).split(part), 8
    batch = task.sample(lag, 500, seeded())
    assert batch.inputs.shape[1] == task.length(lag)
    assert (batch.scored == task.length(lag) - 1).all()
    backs = cue_back(batch.inputs)
    if part != "train":
        assert backs.min() == lag
    assert backs.max() == 2 * lag - 1
    cues = batch.inputs.gather(1, batch.scored - backs)
    assert torch.equal(cues - 100, batch.targets)


def cue_back(inputs: torch.Tensor) -> torch.Tensor:
    """Steps from the last cue (a symbol above 99; filler may be one too) to the end (B, 1)."""
    places = torch.where(inputs >= 100, torch.arange(inputs.shape[1]), -1)
    return inputs.shape[1] - 1 - places.max(1, keepdim=True).values


def test_memory_one_step_short_of_the_lag_is_chance(file: Path) -> None:
    """Nothing younger than the lag is a cue in any held-out row."""
    task, lag = task_of(file).split("test"), 8
    batches = list(task.draw(lag, 10_000, 64, seeded()))
    seen = torch.cat([batch.inputs[:, 1 - lag :] for batch in batches])
    assert (seen < 100).all()
    targets = torch.cat([batch.targets for batch in batches])[:, 0]
    assert len(targets) == task.distinct_sequences(lag) > 50
    assert stats.chisquare(targets.bincount(minlength=CLASSES)).pvalue > FALSE_ALARM


def test_the_longest_row_shown_is_the_length(file: Path) -> None:
    """Rows beyond the rung do not lengthen it, and all parts are as long."""
    task = task_of(file)
    assert task.length(4) < 2 * 4 + 4 <= task.length(8) < task.length(16)
    assert all(task.split(part).length(8) == task.length(8) for part in PARTS)


def test_a_rung_with_too_few_rows_is_refused_with_their_number(tmp_path: Path) -> None:
    """Many rows at lags 1 to 7, some 40 at 8 to 15."""
    lags = np.concatenate([np.arange(1500) % 7 + 1, np.arange(40) % 8 + 8])
    task = task_of(cued(tmp_path, lags))
    require_held_out(task, 0.8, (2, 4))
    held_out = task.split("test").distinct_sequences(8)
    with pytest.raises(ValueError, match="at lag 8") as caught:
        require_held_out(task, 0.8, (2, 4, 8))
    assert f"on the {held_out} different held-out rows of {task}" in str(caught.value)
    assert "it takes at least 17 rows held out" in str(caught.value)
    with pytest.raises(ValueError, match=r"on the 0 different held-out rows of .* at lag 16"):
        require_held_out(task, 0.8, (16,))


def test_the_forgetting_curve_ends_where_there_are_no_rows(file: Path) -> None:
    """Beyond lag 32 nothing can be shown."""

    class Silent(torch.nn.Module):
        def reads(self, length: int) -> bool:
            return True

        def forward(self, inputs: torch.Tensor, scored: torch.Tensor) -> torch.Tensor:
            return torch.zeros(*scored.shape, CLASSES)

        def flops(self, length: int, answers: int) -> float:
            return 0.0

    streams = Streams(0, "0" * 64)
    points = forgetting_curve(as_model(Silent()), "t", task_of(file), (8, 16), streams, 1, CPU)
    assert [point.lag for point in points] == [8, 16, 32]


@pytest.mark.parametrize(
    ("column", "named"),
    [
        ([0.5] * 60, "lag: 'back' of .* holds double, and 0.5 in row 0 is no whole number"),
        ([1] * 59 + [None], "lag: 'back' of .* has a null in row 59"),
        ([1] * 59 + [0], "lag: 'back' of .* is 0 in row 59"),
        ([1] * 59 + [3], "lag: 'back' of .* is 3 in row 59, whose sequence has 3 steps"),
    ],
)
def test_lags_that_are_none(tmp_path: Path, column: list[Any], named: str) -> None:
    file = tmp_path / "f"
    rows = [[row, 0, 0] for row in range(60)]
    pq.write_table(pa.table({"x": rows, "y": [0, 1] * 30, "back": column}), file)
    with pytest.raises(ValueError, match=named) as caught:
        task_of(file)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"lag: 'bakc' is not a column of .*; allowed: x, y, back"):
        task_of(file, lag="bakc")


def test_nearness_without_a_column_is_refused() -> None:
    with pytest.raises(ValueError, match=r"nearness: 3\.0 is of a column of lags"):
        Parquet.Config(path=Path("f"), sequence="x", target="y", nearness=3)
