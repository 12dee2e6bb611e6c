"""Numbers that stand for nothing: warned of, filled by a key, refused where they hide the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pydantic import ValidationError

from tests.trainables.tasks.labelled import seeded, task_of, write
from tests.trainables.tasks.test_parquet_errors import refused
from trainables.encoding.encoding import Encoding
from trainables.encoding.rows import read_rows
from trainables.encoding.steps import NumberSteps
from trainables.tasks.accounts.sentinels import suspects
from trainables.tasks.parquet import Parquet

ROWS, STEPS, TELLING = 900, 12, 2


def two_classes() -> tuple[np.ndarray, np.ndarray]:
    """Rows (R, T) whose step `TELLING` tells the class: 3 apart where the noise is 0.3."""
    g = np.random.default_rng(0)
    classes = g.integers(0, 2, ROWS)
    numbers = g.normal(0, 0.3, (ROWS, STEPS))
    numbers[:, TELLING] += 3.0 * classes
    return numbers, classes


def spoiled(value: float, share: float) -> tuple[np.ndarray, np.ndarray]:
    numbers, classes = two_classes()
    numbers[np.random.default_rng(3).random(numbers.shape) < share] = value
    return numbers, classes


def apart(task: Parquet) -> float:
    """How far the classes' medians are from each other, as a model is shown them."""
    rows = np.arange(ROWS)
    batch = task.show(rows, 1, seeded())
    shown, classes = batch.inputs[:, TELLING, 0], batch.targets[:, 0]
    return float(shown[classes == 1].median() - shown[classes == 0].median())


@pytest.mark.parametrize(
    ("value", "share", "said"),
    [
        (-999.0, 0.01, "missing: -999"),
        (-9999.0, 0.01, "missing: -9999"),
        (99.0, 0.02, "missing: 99"),
        (-32768.0, 0.3, "missing: -32768"),
        (50.0, 0.005, "missing: 50"),
    ],
)
def test_a_sentinel_is_warned_of_and_filled(
    tmp_path: Path, value: float, share: float, said: str
) -> None:
    numbers, classes = spoiled(value, share)
    file = write(tmp_path / "f", numbers.tolist(), classes)
    silent = task_of(file)
    (warning, *_) = silent.account.warnings
    assert said in warning
    assert "quartile ranges from the rest" in warning
    assert apart(silent) < 1.5
    mended = task_of(file, missing=value)
    assert apart(mended) > 3.5
    assert not mended.account.warnings
    there = (numbers == value).sum()
    assert mended.account.missing == there
    assert mended.encoding.missing == "filled"


@pytest.mark.parametrize("value", [9.96921e36, 1e30, -3.4e38])
def test_what_float32_cannot_tell_apart_is_refused(tmp_path: Path, value: float) -> None:
    """A few values are enough, of which some is trained on; with the key, all is well again."""
    numbers, classes = two_classes()
    numbers[:9, 0] = value
    file = write(tmp_path / "f", numbers.tolist(), classes)
    refused(lambda: task_of(file), "sequence: 'x'", "float32", "missing:", "scale")
    assert apart(task_of(file, missing=[value])) > 3.5


def test_without_a_scale_times_in_nanoseconds_are_refused(tmp_path: Path) -> None:
    second = 10**9
    rows = [[10**18 + row * second, 10**18 - row * second] for row in range(100)]
    file = write(tmp_path / "f", rows, [0, 1] * 50)
    refused(lambda: task_of(file, scale="none"), "sequence: 'x'", "float32", "than none")
    assert isinstance(task_of(file), Parquet)


def test_the_usual_numbers_are_not_suspicious() -> None:
    g = np.random.default_rng(0)
    usual: dict[str, Any] = {
        "normal": g.normal(0, 1, 10_000),
        "bytes": g.integers(0, 256, 10_000),
        "saturated": np.where(g.random(10_000) < 0.1, 255, g.integers(0, 200, 10_000)),
        "spikes": g.random(10_000) < 0.01,
        "lognormal": np.exp(g.normal(0, 1, 10_000)),
        "times": g.uniform(1.6e9, 1.7e9, 10_000),
        "constant": np.ones(100),
    }
    found = {name: suspects(values) for name, values in usual.items()}
    assert found == {name: [] for name in usual}


def test_several_sentinels_at_once_and_a_long_tail() -> None:
    g = np.random.default_rng(0)
    numbers = g.normal(0, 1, 10_000)
    numbers[:50], numbers[50:80] = -999, 1e30
    assert [each.value for each in suspects(numbers)] == [1e30, -999.0]
    (tail,) = suspects(g.standard_cauchy(10_000))
    assert tail.tail
    assert 0 < tail.share < 0.02


@pytest.mark.parametrize("named", [["null", "nan"], [None, float("nan")], "NaN"])
def test_nulls_and_nan(tmp_path: Path, named: Any) -> None:
    """Refused with their row, or filled with the training values' mean."""
    rows: list[list[float | None]] = [[float(row), 1.0, 2.0 * row] for row in range(90)]
    rows[41][1] = float("nan")
    if named != "NaN":
        rows[42][1] = None
    file = write(tmp_path / "f", rows, [0, 1] * 45)
    refused(lambda: task_of(file), "sequence: 'x'", "in row 4")
    task = task_of(file, missing=named, missing_indicator=True)
    batch = task.show(np.array([41, 42, 43]), 1, seeded())
    assert batch.inputs[0, :3, 1].tolist() == [0, 1, 0]
    assert batch.inputs[1, :3, 1].tolist() == [0, float(named != "NaN"), 0]
    assert float(batch.inputs[0, 1, 0]) == 0
    assert batch.inputs[:, 3:, 1].eq(0).all()
    assert torch.isfinite(batch.inputs).all()


def test_a_sentinel_is_met_as_far_as_float32_tells(tmp_path: Path) -> None:
    """-999.9 in a column of float32 is not the double of that name."""
    numbers, classes = spoiled(-999.9, 0.01)
    rows = pa.array(numbers.astype(np.float32).tolist(), pa.list_(pa.float32()))
    task = task_of(write(tmp_path / "f", rows, classes), missing=-999.9)
    assert task.account.missing == (numbers == -999.9).sum()
    assert not task.account.warnings


def test_nulls_among_integers(tmp_path: Path) -> None:
    rows = [[row, None if row % 9 == 0 else 5, 7] for row in range(90)]
    file = write(tmp_path / "f", pa.array(rows, pa.list_(pa.int32())), [0, 1] * 45)
    refused(lambda: task_of(file, missing="nan"), "a null in row 0")
    task = task_of(file, missing=["null"])
    assert task.account.missing == 10
    assert task.data.features == 1


@pytest.mark.parametrize("filler", ["noise", "blank", "resample"])
def test_filler_is_never_missing(tmp_path: Path, filler: str) -> None:
    numbers, classes = spoiled(-999, 0.2)
    file = write(tmp_path / "f", numbers.tolist(), classes)
    task = task_of(file, missing=-999, missing_indicator=True, filler=filler)
    shown = task.show(np.arange(64), 50, seeded()).inputs[:, STEPS:]
    assert shown.shape[-1] == 2
    assert shown[..., 1].eq(0).all()
    assert shown[..., 0].abs().max() < 20
    assert task.encoding.fixed_filler(9).shape == (9, 2)


def test_scales(tmp_path: Path) -> None:
    numbers, classes = spoiled(1000.0, 0.01)
    file = write(tmp_path / "f", numbers.tolist(), classes)
    robust, plain = (task_of(file, scale=scale).fitted.steps for scale in ("robust", "none"))
    assert isinstance(robust, NumberSteps)
    assert isinstance(plain, NumberSteps)
    assert abs(robust.mean[0]) < 0.1
    assert 0.2 < robust.deviation[0] < 0.5
    assert (plain.mean, plain.deviation) == ((0.0,), (1.0,))


def test_the_encoding_takes_the_same_values_as_the_file(tmp_path: Path) -> None:
    """By its JSON, where a model answers."""
    numbers, classes = spoiled(-999, 0.01)
    file = write(tmp_path / "f", numbers.tolist(), classes)
    task = task_of(file, missing=[-999, "nan"], missing_indicator=True)
    encoding = Encoding.of(task.encoding.model_dump(mode="json"))
    assert encoding == task.encoding
    assert encoding.digest == task.encoding.digest
    given = [[0.5, None, float("nan"), -999, 1.0]]
    (row,) = read_rows(given, encoding)
    shown = encoding.show(row, 5, 0)
    assert shown[:, 1].tolist() == [0, 1, 1, 1, 0]
    assert shown[1:4, 0].eq(0).all()
    with pytest.raises(ValueError, match="has a null in row 0"):
        read_rows(given, task_of(file, missing=-999).encoding)


def test_keys_that_are_not_given_are_not_written(tmp_path: Path) -> None:
    """So digests, and the random streams of a task, are those of earlier versions."""
    numbers, classes = two_classes()
    task = task_of(write(tmp_path / "f", numbers.tolist(), classes))
    steps = task.encoding.model_dump(mode="json")["steps"]
    assert set(steps) == {"kind", "whole", "mean", "deviation", "low", "high"}
    assert not {"scale", "missing", "group", "split", "longest"} & set(task.config.identity)


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"missing": "none"}, "'none' is not allowed; numbers such as -999, null, nan"),
        ({"missing": [True]}, "True is not allowed"),
        ({"missing_indicator": True}, "missing_indicator"),
        ({"missing": -1, "values": "tokens"}, "missing: is of numbers"),
        ({"scale": "robust", "values": "tokens"}, "scale: robust is of numbers"),
        ({"scale": "log"}, "scale"),
    ],
)
def test_keys_that_do_not_fit(keys: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Parquet.Config(path=Path("f"), sequence="x", target="y", **keys)


def test_a_feature_without_a_value(tmp_path: Path) -> None:
    rows = [[[row, -999.0]] for row in range(90)]
    file = write(tmp_path / "f", rows, [0, 1] * 45)
    refused(lambda: task_of(file, missing=-999), "missing: every value of feature 1", "'x'")
