"""Raw rows in, the file's labels out: as the product's own evaluation has it, for every task."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.trainables.training.stand_ins import seeded, trial_config
from trainables.encoding.encoding import Encoding, units
from trainables.exports.predicting import Predictor
from trainables.tasks import TASKS, make_task
from trainables.tasks.parquet import Parquet
from trainables.tasks.stream import Stream
from trainables.tasks.task import Symbols, Task

CONFIG = trial_config("gru").model
GENERATED = sorted(set(TASKS) - {"parquet", "stream"})


def predictor(task: Task, lag: int = 4) -> Predictor:
    """An untrained model: what it says is arbitrary, and sensitive to every input."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        kept = Encoding.model_validate_json(task.encoding.model_dump_json())
        assert kept == task.encoding
        assert kept.digest == task.encoding.digest
        return Predictor(CONFIG, task, kept, lag).eval()


def table(path: Path, columns: dict[str, Any]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def numbers_file(path: Path, rows: int = 60, features: int = 1) -> tuple[Path, list[Any]]:
    """Rows of 3 to 8 steps around 500, with labels that are text."""
    rng = np.random.default_rng(0)
    found = []
    for steps in rng.integers(3, 9, rows):
        values = rng.normal(500, 20, (steps, features))
        found.append(values.tolist() if features > 1 else values[:, 0].tolist())
    names = [["none", "bearing", "shaft"][number % 3] for number in range(rows)]
    return table(path, {"readings": found, "fault": names}), found


def parquet(path: Path, **options: Any) -> Parquet:
    columns = {"sequence": "readings", "target": "fault", "filler": "blank"}
    return Parquet(Parquet.Config(path=path, **{**columns, **options}))


def evaluated(model: Predictor, task: Parquet, rows: int, lag: int) -> np.ndarray:
    """What training and every test see: the task's own batch."""
    batch = task.show(np.arange(rows), lag, seeded())
    with torch.no_grad():
        return model(batch.inputs, batch.scored).numpy()


@pytest.mark.parametrize("kind", GENERATED)
def test_generated_rows_by_name_and_by_number(kind: str) -> None:
    """Cropped behind the last step asked at, they give what the batch gives there."""
    task = make_task(TASKS[kind].Config())
    lag = max(12, task.shortest_lag)
    model = predictor(task, lag)
    batch = task.sample(lag, 6, seeded(3))
    with torch.no_grad():
        expected = model(batch.inputs, batch.scored).numpy()
    ends = (batch.scored[:, -1] + 1).tolist()
    rows = [row[:end].tolist() for row, end in zip(batch.inputs, ends, strict=True)]
    np.testing.assert_allclose(model.outputs_of(rows), expected, rtol=1e-5, atol=1e-6)
    answers = model.predict(rows)
    right = task.answer.right(torch.from_numpy(expected), batch.targets).all(1)
    if isinstance(task.inputs, Symbols):
        names = task.encoding.steps.names
        named = [[names[symbol] for symbol in row] for row in rows]
        np.testing.assert_array_equal(model.predict(named), answers)
        labels = np.array(task.encoding.answer.names, dtype=object)[batch.targets.numpy()]
        hit = np.array(answers).reshape(len(rows), -1) == labels
        assert hit.all(1).tolist() == right.tolist()


def test_every_symbol_and_class_has_a_name_of_its_own() -> None:
    for kind in GENERATED:
        task = make_task(TASKS[kind].Config())
        if isinstance(task.inputs, Symbols):
            names = task.encoding.steps.names
            assert len(set(names)) == len(names) == task.inputs.vocabulary
        assert len(task.encoding.answer.names if hasattr(task.answer, "classes") else "1") == (
            task.answer.outputs
        )


@pytest.mark.parametrize("features", [1, 3])
def test_raw_rows_are_what_training_showed(tmp_path: Path, features: int) -> None:
    path, rows = numbers_file(tmp_path / "f.parquet", features=features)
    task = parquet(path)
    model = predictor(task)
    expected = evaluated(model, task, len(rows), 4)[:, 0]
    np.testing.assert_allclose(model.outputs_of(rows)[:, 0], expected, rtol=1e-5, atol=1e-6)
    names = np.array(["bearing", "none", "shaft"])
    assert model.predict(rows).tolist() == names[expected.argmax(-1)].tolist()
    proba = model.predict_proba(rows)
    assert proba.shape == (len(rows), 3)
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-5)


def test_every_holder_of_rows_and_every_number_type_is_the_same(tmp_path: Path) -> None:
    path, _ = numbers_file(tmp_path / "f.parquet")
    model = predictor(parquet(path))
    block = np.random.default_rng(1).integers(470, 530, (5, 6))
    expected = model.predict_proba(block)
    frame = pd.DataFrame({"readings": block.tolist(), "other": 1})
    arrow = pa.array(block.tolist())
    for rows in (
        block.tolist(), block.astype(np.int16), block.astype(np.float64), block[..., None],
        [tuple(row) for row in block.tolist()], list(block), list(torch.from_numpy(block)),
        torch.from_numpy(block), torch.from_numpy(block).to(torch.float16),
        torch.from_numpy(block)[..., None], list(map(pd.Series, block)), list(map(pa.array, block)),
        torch.nested.nested_tensor(list(torch.from_numpy(block)), layout=torch.jagged),
        frame, frame["readings"],
        frame.assign(readings=list(block)), arrow, pa.chunked_array([arrow]),
        pa.table({"readings": arrow}), {"readings": block.tolist()},
        [[Decimal(int(value)) for value in row] for row in block],
    ):  # fmt: skip
        np.testing.assert_allclose(model.predict_proba(rows), expected, rtol=1e-5, atol=1e-6)


def test_a_row_is_answered_alike_whatever_stands_beside_it(tmp_path: Path) -> None:
    """For every filler: alone, among others, and in another order."""
    path, rows = numbers_file(tmp_path / "f.parquet")
    rows = [*rows[:20], rows[0] * 4]
    for filler in ("noise", "blank", "resample"):
        model = predictor(parquet(path, filler=filler))
        together = model.predict_proba(rows)
        alone = np.concatenate([model.predict_proba([row]) for row in rows])
        np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-6)
        backwards = model.predict_proba(rows[::-1])[::-1]
        np.testing.assert_allclose(backwards, together, rtol=1e-4, atol=1e-6)


def test_filler_is_of_the_documented_numbers(tmp_path: Path) -> None:
    """By their definition: raw outputs of PCG64, from the end; within the training range."""
    raw = [int(v) for v in np.random.PCG64(0).random_raw(6)]
    by_hand = [[(raw[2 * k + f] >> 11) / 2**53 for f in range(2)] for k in (2, 1, 0)]
    np.testing.assert_array_equal(units(3, 2), by_hand)
    np.testing.assert_array_equal(units(9, 2)[-3:], units(3, 2))
    path, rows = numbers_file(tmp_path / "f.parquet")
    encoding = parquet(path, filler="noise").encoding
    steps = encoding.steps
    shown = encoding.show(np.array(rows[0])[:, None], 50, 4)
    low, high = (float(steps.encode(np.array(v))) for v in (steps.low, steps.high))
    filler = torch.cat((shown[: 46 - len(rows[0])], shown[46:]))
    assert low <= float(filler.min()) < float(filler.max()) <= high
    expected = steps.low[0] + units(50, 1)[-4:] * (steps.high[0] - steps.low[0])
    np.testing.assert_array_equal(shown[46:], steps.encode(expected))


def test_tokens_keep_the_files_vocabulary_and_classes_its_type(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = rng.choice([-7, 5, 900], (80, 4)).tolist()
    rows = [[*row, 5][: 3 + number % 3] for number, row in enumerate(rows)]
    for targets, kind in (([3, 40] * 40, int), ([False, True] * 40, bool), (["a", "b"] * 40, str)):
        path = table(tmp_path / "f.parquet", {"readings": rows, "fault": targets})
        task = parquet(path, values="tokens")
        model = predictor(task)
        expected = evaluated(model, task, 80, 4)[:, 0].argmax(-1)
        answers = model.predict(rows)
        assert answers.tolist() == [sorted(set(targets))[pick] for pick in expected]
        assert {type(answer) for answer in answers.tolist()} == {kind}
        np.testing.assert_array_equal(model.predict([[5.0, -7.0]]), model.predict([[5, -7]]))
        with pytest.raises(ValueError, match=r"'readings' has the symbol 6, .* in row 1"):
            model.predict([[5], [5, 6]])


def test_numbers_come_in_the_files_unit(tmp_path: Path) -> None:
    path, rows = numbers_file(tmp_path / "f.parquet")
    depth = (1e3 + 7.0 * np.arange(len(rows))).tolist()
    table(path, {"readings": rows, "fault": depth})
    task = parquet(path, tolerance=5.0)
    model = predictor(task)
    outputs = torch.from_numpy(evaluated(model, task, len(rows), 4))
    expected = task.answer.value(outputs)[:, 0].numpy()
    np.testing.assert_allclose(model.predict(rows), expected, rtol=1e-6)
    assert model.predict(rows).mean() == pytest.approx(np.mean(depth), abs=500)
    with pytest.raises(ValueError, match="answers with numbers"):
        model.predict_proba(rows)


def test_a_column_of_lags_is_answered_at_the_rows_own_end(tmp_path: Path) -> None:
    """Padded to the longest row that the rung showed, and without a gap."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 20, 200)
    rows = [rng.normal(5, 2, n).tolist() for n in lengths]
    lags = [max(1, int(n) - 2) for n in lengths]
    columns = {"readings": rows, "fault": [0, 1] * 100, "far": lags}
    task = parquet(table(tmp_path / "f.parquet", columns), lag="far")
    for lag in (4, 9):
        model = predictor(task, lag)
        near = np.flatnonzero(np.array(lags) < 2 * lag)
        batch = task.show(near, lag, seeded())
        with torch.no_grad():
            expected = model(batch.inputs, batch.scored).numpy()
        got = model.outputs_of([rows[row] for row in near])
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"gap: 3 is not allowed; .* at a row's own last step"):
        model.predict(rows[:1], gap=3)


@pytest.mark.parametrize("values", ["numbers", "tokens"])
def test_a_stream_answers_with_its_next_step(tmp_path: Path, values: str) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(100, 104, (60, 12))
    path = table(tmp_path / "f.parquet", {"x": rows.tolist()})
    task = Stream(Stream.Config(path=path, sequence="x", context=6, answers=3, values=values))
    model = predictor(task)
    shown = torch.stack([task.encoding.show(row[:, None], 8, 0) for row in rows[:, :8]])
    scored = torch.full((60, 1), 7)
    with torch.no_grad():
        expected = model(shown, scored)[:, 0]
    answers = model.predict(rows[:, :8])
    if values == "tokens":
        assert answers.tolist() == (100 + expected.argmax(-1)).tolist()
        assert model.predict_proba(rows[:, :8]).shape == (60, 4)
    else:
        assert answers == pytest.approx(task.answer.value(expected).numpy(), rel=1e-5)
        assert 95 < answers.mean() < 108


@dataclass(frozen=True)
class Wrong:
    rows: Any
    said: str


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong(pd.DataFrame({"other": [[1.0]]}), "'readings' is not a column .*: 'other'"),
        Wrong([[1.0, None]], "'readings' has a null in row 0"),
        Wrong([[1.0], None], "'readings' has a null in row 1"),
        Wrong(pd.Series([[1.0], None]), "'readings' has a null in row 1"),
        Wrong([[1.0], []], "'readings' has an empty list in row 1"),
        Wrong([[float("nan")]], "'readings' has NaN or infinity in row 0"),
        Wrong(np.array([[1.0], [np.inf]]), "'readings' has NaN or infinity in row 1"),
        Wrong([[1e39]], "'readings' has a number beyond float32 in row 0"),
        Wrong([["warm"]], "'readings' holds text; allowed: numbers; in row 0"),
        Wrong([[1.0, "warm"]], "'readings' mixes text and numbers in row 0"),
        Wrong([[[1.0, 2.0]]], "'readings' has 2 values a step; this model takes 1: in row 0"),
        Wrong([[[1.0], [1.0, 2.0]]], "'readings' has steps of different length in row 0"),
        Wrong([[[1.0], 2.0]], "'readings' is ragged in row 0"),
        Wrong([1.0, 2.0], r"'readings': 1.0 is no row; give a list of rows"),
        Wrong(np.ones(3), r"'readings': an array of shape \(3,\) holds no rows"),
        Wrong("warm", "str is not allowed; a list of rows"),
        Wrong(7, "int is not allowed; a list of rows"),
        Wrong([[np.datetime64("2024-01-01")]], "'readings' holds datetime64.*; allowed: numbers"),
        Wrong(torch.eye(3).to_sparse(), "a tensor of torch.sparse_coo, .* is not allowed; a dense"),
        Wrong([torch.ones(3).to_sparse()], "a tensor of torch.sparse_coo, .* is not allowed"),
        Wrong(torch.ones(2, 3, device="meta"), "a tensor of .* on meta is not allowed"),
        Wrong(pd.DataFrame(), "'readings' is not a column of the table; its columns: none"),
        Wrong(
            pd.DataFrame([[[1.0], [2.0]]], columns=["readings"] * 2),
            "'readings' names 2 columns of the table; allowed: one",
        ),
        Wrong(
            pa.table([pa.array([[1.0]])] * 2, names=["readings"] * 2),
            "'readings' names 2 columns of the table; allowed: one",
        ),
        Wrong(pd.Series([1.0, 2.0]), "holds no rows; .*; one row alone is given as \\[row\\]"),
        Wrong([[1.0, pd.NA]], "'readings' has a null in row 0"),
        Wrong(pd.Series([[1.0], pd.NA]), "'readings' has a null in row 1"),
        Wrong([pd.Series([1, None], dtype="Int64")], "'readings' has NaN or infinity in row 0"),
        Wrong(np.ma.masked_values([[1.0, -9.0]], -9.0), "'readings' has a null in row 0"),
        Wrong([np.array(1.0)], "'readings' holds one number, which is no list of steps, in row 0"),
        Wrong([[[[1.0]]]], "'readings' has 3 levels of lists or more"),
        Wrong([[1.0, [2.0, [3.0]]]], "'readings' is ragged in row 0"),
        Wrong([[10**400]], "'readings' has a number beyond float32 in row 0"),
        Wrong([[Decimal("sNaN")]], "'readings' has NaN or infinity in row 0"),
        Wrong([[object()]], "'readings' holds object; allowed: numbers"),
    ],
    ids=lambda wrong: wrong.said[:60],
)
def test_what_no_file_could_have_held_is_one_line(tmp_path: Path, wrong: Wrong) -> None:
    path, _ = numbers_file(tmp_path / "f.parquet")
    with pytest.raises(ValueError, match=wrong.said) as caught:
        predictor(parquet(path)).predict(wrong.rows)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("gap", [-1, 1.5, True, "4", 10**7, 10**18, 2**63])
def test_a_gap_is_a_number_of_steps(tmp_path: Path, gap: Any) -> None:
    path, rows = numbers_file(tmp_path / "f.parquet")
    with pytest.raises(
        ValueError, match=r"gap: .* is not allowed; (a number of|at most)"
    ) as caught:
        predictor(parquet(path)).predict(rows, gap=gap)
    assert len(str(caught.value).splitlines()) == 1


def test_a_gap_may_be_as_long_as_the_lag_that_is_claimed(tmp_path: Path) -> None:
    path, _ = numbers_file(tmp_path / "f.parquet")
    encoding = parquet(path).encoding
    assert encoding.require_gap(None, 2**23) == 2**23
    with pytest.raises(ValueError, match="at most 8388608 steps of filler"):
        encoding.require_gap(2**23 + 1, 2**23)


def test_rows_that_memory_does_not_hold_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, rows = numbers_file(tmp_path / "f.parquet")
    model = predictor(parquet(path))

    def full(*given: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory\nmore of it")

    monkeypatch.setattr(model, "forward", full)
    with pytest.raises(ValueError, match="memory does not hold rows of 12 steps") as caught:
        model.predict(rows, gap=4)
    assert len(str(caught.value).splitlines()) == 1


def test_the_gap_is_the_claimed_lag_unless_another_is_said(tmp_path: Path) -> None:
    path, rows = numbers_file(tmp_path / "f.parquet")
    task = parquet(path)
    model = predictor(task, lag=7)
    for gap, lag in ((None, 7), (3, 3)):
        expected = evaluated(model, task, len(rows), lag)
        got = model.outputs_of(rows, gap)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    assert model.predict([], gap=0).shape == (0,)


def test_without_an_encoding_it_says_what_is_lacking(tmp_path: Path) -> None:
    task = make_task(TASKS["recall"].Config())
    model = Predictor(CONFIG, task, None, 4)
    with pytest.raises(ValueError, match="kept no encoding"):
        model.predict([[1, 2]])
