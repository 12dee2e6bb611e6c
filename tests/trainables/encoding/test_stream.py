"""Rows that come a step at a time are answered as whole rows are, by every kind of model."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.encoding.test_predict import numbers_file, parquet, table
from trainables.encoding.encoding import Encoding
from trainables.exports.predicting import Predictor
from trainables.models.cells import LAYERS
from trainables.models.config import ModelConfig
from trainables.models.front_ends import FRONT_ENDS
from trainables.models.layer import Recurrence
from trainables.models.positions import POSITIONS
from trainables.models.readouts import READOUTS
from trainables.models.residuals import RESIDUALS
from trainables.tasks import TASKS, make_task
from trainables.tasks.stream import Stream
from trainables.tasks.task import Task

RECURRENT = {kind for kind, layer in LAYERS.items() if issubclass(layer, Recurrence)}
SMALL: dict[str, Any] = {"hidden_size": 8, "depth": 2}


def model_of(task: Task, lag: int, **choices: Any) -> Predictor:
    """Untrained; ``choices`` are kinds, or configurations with one, by part."""
    parts = {
        name: {"kind": choice} if isinstance(choice, str) else choice
        for name, choice in {"cell": "gru", **choices}.items()
    }
    config = ModelConfig.model_validate({**SMALL, **parts})
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        kept = Encoding.model_validate_json(task.encoding.model_dump_json())
        return Predictor(config, task, kept, lag).eval()


def require_same(model: Predictor, rows: np.ndarray, every: int = 1, **gap: int) -> None:
    """After each step, or every few, the rows so far are answered as they are on their own."""
    stream = model.stream(len(rows))
    for step in range(rows.shape[1]):
        stream.step(rows[:, step])
        if step % every == 0 or step == rows.shape[1] - 1:
            if step + 1 < model.encoding.answers:
                continue
            expected = model.outputs_of(rows[:, : step + 1], **gap)
            np.testing.assert_allclose(stream.outputs(**gap), expected, rtol=2e-4, atol=2e-5)


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, _ = numbers_file(tmp_path_factory.mktemp("stream") / "f.parquet", features=2)
    return path


ROWS = np.random.default_rng(3).normal(500, 20, (3, 12, 2))


@pytest.mark.parametrize("kind", sorted(LAYERS))
def test_every_kind_of_layer(readings: Path, kind: str) -> None:
    """Shorter than the training rows, as long, and longer; with the gap and without."""
    model = model_of(parquet(readings), 4, cell=kind)
    require_same(model, ROWS, every=3)
    require_same(model, ROWS, every=5, gap=0)


@pytest.mark.parametrize("kind", sorted(FRONT_ENDS))
@pytest.mark.parametrize("cell", ["gru", "transformer"])
def test_every_front_end(readings: Path, kind: str, cell: str) -> None:
    require_same(model_of(parquet(readings), 7, cell=cell, front_end=kind), ROWS)


@pytest.mark.parametrize("kind", sorted(POSITIONS))
@pytest.mark.parametrize("window", [None, 1, 5])
def test_every_position_encoding(readings: Path, kind: str, window: int | None) -> None:
    cell = {"kind": "self_attention", "window": window, "num_heads": 2}
    require_same(model_of(parquet(readings), 4, cell=cell, positions=kind), ROWS)


@pytest.mark.parametrize("kind", sorted(RESIDUALS))
@pytest.mark.parametrize("readout", sorted(READOUTS))
def test_every_residual_path_and_readout(readings: Path, kind: str, readout: str) -> None:
    require_same(model_of(parquet(readings), 4, residual=kind, readout=readout), ROWS)


@pytest.mark.parametrize("filler", ["noise", "blank", "resample"])
def test_every_filler(readings: Path, filler: str) -> None:
    require_same(model_of(parquet(readings, filler=filler), 9), ROWS)


@pytest.mark.parametrize("kind", sorted(set(TASKS) - {"parquet", "stream"}))
@pytest.mark.parametrize("readout", sorted(READOUTS))
def test_every_generated_task(kind: str, readout: str) -> None:
    """Rows with several answers are answered at their last steps."""
    task = make_task(TASKS[kind].Config())
    lag = max(6, task.shortest_lag)
    batch = task.sample(lag, 2, torch.Generator().manual_seed(0))
    end = int(batch.scored[0, -1]) + 1
    require_same(model_of(task, lag, readout=readout), batch.inputs[:, :end].numpy(), every=4)


@pytest.mark.parametrize("values", ["numbers", "tokens"])
def test_a_stream_of_rows(tmp_path: Path, values: str) -> None:
    """A task of streams: each answer is of the step that follows; symbols as the file has them."""
    rows = np.random.default_rng(0).integers(100, 104, (60, 12))
    path = table(tmp_path / "f.parquet", {"x": rows.tolist()})
    task = Stream(Stream.Config(path=path, sequence="x", context=6, answers=3, values=values))
    model = model_of(task, 4)
    require_same(model, rows[:4])
    stream = model.stream(2)
    for step in ([100, 103], np.array([101, 102]), torch.tensor([103, 100]), (102.0, 101.0)):
        stream.step(step)
    whole = [[100, 101, 103, 102], [103, 102, 100, 101]]
    assert stream.predict().tolist() == pytest.approx(model.predict(whole).tolist(), rel=1e-4)


def test_a_column_of_lags(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 20, 200)
    columns = {
        "readings": [rng.normal(5, 2, n).tolist() for n in lengths],
        "fault": [0, 1] * 100,
        "far": [max(1, int(n) - 2) for n in lengths],
    }
    task = parquet(table(tmp_path / "f.parquet", columns), lag="far")
    require_same(model_of(task, 4), rng.normal(5, 2, (3, 12)))


def carried_after_each(stream: Any, steps: int) -> list[int]:
    """Bytes that a stream carries after each of so many steps."""
    carried = []
    for step in range(steps):
        stream.step(ROWS[:, step % 12])
        carried.append(stream.state_bytes)
    return carried


@pytest.mark.parametrize("kind", sorted(set(LAYERS) - {"recurrent_memory"}))
def test_what_is_carried(readings: Path, kind: str) -> None:
    """Of a recurrence it stays as it is; attention says by how much its cache grows."""
    stream = model_of(parquet(readings), 4, cell=kind).stream(3)
    carried = carried_after_each(stream, 40)
    grown = {after - before for before, after in pairwise(carried[8:])}
    assert grown == {3 * stream.bytes_a_step}
    assert (stream.bytes_a_step == 0) == (kind in RECURRENT)


def test_a_window_bounds_what_is_carried(readings: Path) -> None:
    cell = {"kind": "transformer", "window": 4}
    stream = model_of(parquet(readings), 4, cell=cell).stream(3)
    carried = carried_after_each(stream, 20)
    assert len(set(carried[8:])) == 1
    assert stream.bytes_a_step == 0


def test_segments_bound_what_is_carried(readings: Path) -> None:
    """It grows within a segment, and is the same after each."""
    cell = {"kind": "recurrent_memory", "segment": 4}
    stream = model_of(parquet(readings), 4, cell=cell).stream(3)
    carried = carried_after_each(stream, 20)
    assert carried[8:12] == carried[12:16] == carried[16:]
    assert carried[8] < carried[9] < carried[10]
    assert stream.bytes_a_step == 0


def test_labels_and_probabilities_are_those_of_predict(readings: Path) -> None:
    model = model_of(parquet(readings), 4)
    stream = model.stream(3)
    for step in range(12):
        stream.step(ROWS[:, step].tolist())
        assert stream.predict().tolist() == model.predict(ROWS[:, : step + 1]).tolist()
        again = stream.predict_proba()  # asking changes nothing
        np.testing.assert_array_equal(stream.predict_proba(), again)
    assert stream.steps == 12
    assert set(stream.predict()) <= {"none", "bearing", "shaft"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([[1.0, 2.0]], "step: 1 values are not allowed; this stream has 2 rows"),
        ([1.0, 2.0], "'readings' has 1 values a step; this model takes 2: in row 0"),
        ([[1.0, 2.0], [1.0, None]], "'readings' has a null in row 1"),
        (np.full((2, 2), np.nan), "'readings' has NaN or infinity in row 0"),
        (np.float64(3), r"step: 3\.0 is not allowed|step: np.float64"),
        (5, "step: 5 is not allowed; a list with one step of each of the stream's 2 rows"),
        ("ab", "step: 'ab' is not allowed"),
        ({"readings": [1.0, 2.0]}, "step: dict is not allowed"),
        (torch.eye(2).to_sparse(), "a tensor of torch.sparse_coo, .* is not allowed; a dense one"),
        (torch.tensor(3.0), "step: ndarray is not allowed"),
    ],
)
def test_what_is_no_step_is_one_line(readings: Path, values: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        model_of(parquet(readings), 4).stream(2).step(values)
    assert len(str(caught.value).splitlines()) == 1


def test_what_cannot_be_answered_is_one_line(readings: Path) -> None:
    model = model_of(parquet(readings), 4, positions={"kind": "learned", "max_length": 10})
    for batch_size in (0, 10**18):
        with pytest.raises(ValueError, match=rf"batch_size: {batch_size} is not allowed"):
            model.stream(batch_size)
    assert model.stream(np.int64(2)).step(ROWS[:2, 0]) is None
    stream = model.stream(3)
    with pytest.raises(ValueError, match="predict: 0 steps have come; it takes at least 1"):
        stream.predict()
    for step in range(10):
        stream.step(ROWS[:, step])
    with pytest.raises(ValueError, match=r"10 steps with their filler are 14; .* at most 10"):
        stream.predict()
    assert stream.predict(gap=0).shape == (3,)
    with pytest.raises(ValueError, match="step: 11 steps; this model reads at most 10"):
        stream.step(ROWS[:, 10])
