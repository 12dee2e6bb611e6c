"""Which part rows fall to: by group, as a column says, by time; and which are left out."""

from __future__ import annotations

import datetime
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pydantic import ValidationError

from tests.trainables.tasks.labelled import seeded
from tests.trainables.tasks.test_parquet_errors import refused
from trainables.controls.guessers import blinded
from trainables.tasks.parquet import Parquet
from trainables.tasks.split.partition import LEFT_OUT
from trainables.tasks.stream import Stream

ROWS = 600


def task_over(file: Path, columns: dict[str, Any], **keys: Any) -> Parquet:
    """Random rows of four numbers with random labels, and further columns."""
    g = np.random.default_rng(0)
    table = {"x": g.normal(size=(ROWS, 4)).tolist(), "y": g.integers(0, 2, ROWS)} | columns
    pq.write_table(pa.table(table), file)
    return Parquet(Parquet.Config(path=file, sequence="x", target="y", **keys))


@pytest.mark.parametrize("kind", [int, str], ids=["number", "text"])
def test_a_group_falls_to_one_part(tmp_path: Path, kind: Any) -> None:
    who = np.random.default_rng(1).integers(0, 60, ROWS)
    columns = {"who": [kind(each) for each in who]}
    task = task_over(tmp_path / "f", columns, group="who")
    parts = {group: set(task.parts[who == group].tolist()) for group in range(60)}
    assert all(len(found) == 1 for found in parts.values())
    assert {part for found in parts.values() for part in found} == {0, 1, 2}
    without = task_over(tmp_path / "g", columns)
    assert any(len(set(without.parts[who == group].tolist())) > 1 for group in range(60))
    again = pickle.loads(pickle.dumps(task.split("test")))
    assert (again.parts == task.parts).all()


def test_a_column_says_the_part(tmp_path: Path) -> None:
    said = ["train", "Validation ", "TEST"] * (ROWS // 3)
    task = task_over(tmp_path / "f", {"part": said}, split="part")
    assert task.parts.tolist() == [0, 1, 2] * (ROWS // 3)
    wrong = [*said[:5], "treino", *said[6:]]
    refused(
        lambda: task_over(tmp_path / "g", {"part": wrong}, split="part"),
        "split: 'part'",
        "'treino' in row 5",
        "train, selection",
    )
    refused(
        lambda: task_over(tmp_path / "h", {"part": ["train", "test"] * 300}, split="part"),
        "split: no row",
        "selection",
    )


@pytest.mark.parametrize(
    ("times", "selection", "test"),
    [
        (list(range(ROWS)), 400, 500),
        (
            [datetime.date(2020, 1, 1) + datetime.timedelta(row) for row in range(ROWS)],
            datetime.date(2021, 2, 4),
            "2021-05-15",
        ),
        (
            [datetime.datetime(2020, 1, 1) + datetime.timedelta(row) for row in range(ROWS)],
            "2021-02-04T00:00:00",
            "2021-05-15",
        ),
        (
            [
                datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(row)
                for row in range(ROWS)
            ],
            "2021-02-04",
            "2021-05-15T00:00:00+00:00",
        ),
    ],
    ids=["numbers", "dates", "times", "times of a zone"],
)
def test_before_and_after(tmp_path: Path, times: Any, selection: Any, test: Any) -> None:
    split = {"column": "at", "selection": selection, "test": test}
    task = task_over(tmp_path / "f", {"at": times}, split=split)
    assert task.parts.tolist() == [0] * 400 + [1] * 100 + [2] * 100


def test_moments_that_are_none(tmp_path: Path) -> None:
    def act(selection: Any, test: Any, column: Any) -> None:
        split = {"column": "at", "selection": selection, "test": test}
        task_over(tmp_path / "f", {"at": column}, split=split)

    dates = [datetime.date(2020, 1, 1)] * ROWS
    refused(lambda: act("soon", "2021-01-01", dates), "split: 'at'", "'soon'", "ISO 8601")
    refused(lambda: act("2021-01-01", "2020-01-01", dates), "split", "is not before")
    refused(lambda: act(1, 2, ["a"] * ROWS), "split: 'at'", "string", "timestamps or numbers")


def test_another_seed_is_another_split(tmp_path: Path) -> None:
    columns = {"who": np.arange(ROWS) // 10}
    parts = [
        task_over(tmp_path / "f", columns, split_seed=seed, **keys).parts
        for keys in ({}, {"group": "who"})
        for seed in (0, 1, 2)
    ]
    shares = [np.bincount(each, minlength=3) / ROWS for each in parts]
    assert all(0.5 < share[0] < 0.9 and share[2] > 0.05 for share in shares)
    for first in range(6):
        for other in range(first):
            assert (parts[first] != parts[other]).mean() > 0.2
    assert (parts[1] == task_over(tmp_path / "f", columns, split_seed=1).parts).all()


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"split": "a", "group": "b"}, "group: is for a split by hash"),
        ({"split": "a", "split_seed": 1}, "split_seed: 1 is for a split by hash"),
        ({"split_seed": -1}, "split_seed"),
        ({"longest": 0}, "longest"),
        ({"split": {"column": "a", "test": 1}}, "selection"),
    ],
)
def test_keys_that_do_not_fit(keys: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Parquet.Config(path=Path("f"), sequence="x", target="y", **keys)


def test_a_sequence_on_both_sides_of_a_split_is_said(tmp_path: Path) -> None:
    file = tmp_path / "f"
    rows = [[float(row % 200), 1.0] for row in range(600)]
    said = ["train"] * 200 + ["selection"] * 200 + ["test"] * 200
    pq.write_table(pa.table({"x": rows, "y": [0, 1] * 300, "part": said}), file)
    task = Parquet(Parquet.Config(path=file, sequence="x", target="y", split="part"))
    assert any("200 of 200 held-out rows have the very" in line for line in task.account.warnings)


def test_another_split_is_other_data(tmp_path: Path) -> None:
    """Whoever goes on with a search is told."""
    columns = {"part": ["train", "selection", "test"] * 200}
    one = task_over(tmp_path / "f", columns, split="part").data
    columns = {"part": ["train", "test", "selection"] * 200}
    assert task_over(tmp_path / "f", columns, split="part").data.differences(one) is not None


def long_tailed(file: Path, **keys: Any) -> Parquet:
    """A thousand rows of 10 to 29 steps, and one of 20,000."""
    g = np.random.default_rng(0)
    lengths = g.integers(10, 30, 1000)
    lengths[0] = 20_000
    rows = [g.normal(size=length).tolist() for length in lengths]
    pq.write_table(pa.table({"x": rows, "y": g.integers(0, 2, 1000)}), file)
    return Parquet(Parquet.Config(path=file, sequence="x", target="y", **keys))


def test_a_long_tail_is_said_and_left_out(tmp_path: Path) -> None:
    task = long_tailed(tmp_path / "f")
    (warning,) = (line for line in task.account.warnings if "longest" in line)
    assert "20,000 steps" in warning
    assert "`longest: " in warning
    kept = long_tailed(tmp_path / "f", longest=40)
    assert kept.split("train").sample(8, 16, seeded()).inputs.shape[1] == 29 + 8
    assert kept.parts[0] == LEFT_OUT
    assert kept.account.left_out == (("longer than `longest: 40`", 1),)
    assert kept.account.used == 999
    assert not [line for line in kept.account.warnings if "longest" in line]
    assert kept.encoding.padding.steps == 29
    refused(lambda: long_tailed(tmp_path / "f", longest=9), "longest: 9", "10 steps")


def test_batches_as_long_as_their_own_rows(tmp_path: Path) -> None:
    """The long row costs the batches that it is in; what is shown of a row is the same."""
    task = long_tailed(tmp_path / "f", pad="batch")
    short, long = np.array([1, 2, 3]), np.array([0, 1])
    longest = int(task.rows.lengths[short].max())
    batch = task.show(short, 8, seeded())
    assert batch.inputs.shape[1] == longest + 8
    assert (batch.scored == longest + 7).all()
    assert task.show(long, 8, seeded()).inputs.shape[1] == 20_008 == task.length(8)
    padded = long_tailed(tmp_path / "f").show(short, 8, seeded())
    for row, length in enumerate(task.rows.lengths[short]):
        ends = slice(longest - length, longest), slice(20_000 - length, 20_000)
        assert torch.equal(batch.inputs[row, ends[0]], padded.inputs[row, ends[1]])
    assert not [line for line in task.account.warnings if "longest" in line]
    assert task.encoding.padding is None
    assert task.encoding.length(12, 8, 8) == 20


def test_controls_of_batches_of_several_lengths(tmp_path: Path) -> None:
    """What is blinded takes its old inputs from sequences of another length."""
    task = long_tailed(tmp_path / "f", pad="batch", longest=40)
    batch, donors = (task.show(np.arange(*some), 4, seeded()) for some in ((1, 40), (40, 79)))
    for other in (
        donors,
        task.show(np.arange(40, 79), 9, seeded()),
        task.show(np.full(39, 5), 4, seeded()),
    ):
        hidden = blinded(task, batch, other, 4)
        assert hidden.inputs.shape == batch.inputs.shape
        assert torch.equal(hidden.inputs[:, -4:], batch.inputs[:, -4:])
        assert not torch.equal(hidden.inputs, batch.inputs)


def test_streams_too_short_are_counted(tmp_path: Path) -> None:
    g = np.random.default_rng(0)
    rows = [g.normal(size=5 if row < 995 else 30).tolist() for row in range(1100)]
    file = tmp_path / "f"
    pq.write_table(pa.table({"x": rows, "who": np.arange(1100)}), file)
    task = Stream(Stream.Config(path=file, sequence="x", context=16, group="who"))
    assert task.account.used == 105
    assert task.account.left_out == (("shorter than the 24 steps of a window", 995),)


def test_a_further_part_for_the_certificate_alone(tmp_path: Path) -> None:
    """Half of what was held out is shown by no search, and the other half by no certificate."""
    shared = task_over(tmp_path / "f", {})
    fresh = task_over(tmp_path / "f", {}, test="fresh")
    certificate = task_over(tmp_path / "f", {}, test="certificate")
    for task in (fresh, certificate):
        assert (task.of_part("train") == shared.of_part("train")).all()
        assert (task.of_part("selection") == shared.of_part("selection")).all()
    own, other = fresh.of_part("test"), certificate.of_part("test")
    assert not (own & other).any()
    assert ((own | other) == shared.of_part("test")).all()
    assert 30 < own.sum() < 90 > other.sum() > 30
    assert fresh.encoding.steps == certificate.encoding.steps == shared.encoding.steps
    assert certificate.under(fresh.encoding).encoding.steps == shared.encoding.steps
    assert any("kept for a certificate" in why for why, _ in fresh.account.left_out)
    with pytest.raises(ValidationError, match="test: fresh is for a split by hash"):
        task_over(tmp_path / "g", {"part": ["train"] * ROWS}, split="part", test="fresh")
    assert "test" not in shared.config.model_dump()  # its streams are those of before
