"""A task under an encoding that was fitted to other rows: nothing is fitted again, anywhere."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.encoding.test_predict import numbers_file, parquet, table
from tests.trainables.training.stand_ins import seeded
from trainables.encoding.encoding import Encoding
from trainables.tasks.parquet import Parquet
from trainables.tasks.stream import Stream
from trainables.tasks.task import Task


def everywhere(task: Task) -> list[Task]:
    """The task, its parts, and what a worker would be sent of them."""
    parts = [task, task.split("train"), task.split("test")]
    return [*parts, *(pickle.loads(pickle.dumps(part)) for part in parts)]


@pytest.mark.parametrize("filler", ["blank", "resample"])
def test_every_part_and_copy_keeps_the_encoding(tmp_path: Path, filler: str) -> None:
    """Rows in another unit are not scaled anew, nor are their classes numbered anew."""
    path, rows = numbers_file(tmp_path / "f.parquet")
    encoding = parquet(path, filler=filler).encoding
    scaled = [[1.8 * value + 32 for value in row] for row in rows]
    names = [["none", "bearing", "shaft"][number % 3] for number in range(len(rows))]
    other = parquet(table(tmp_path / "o.parquet", {"readings": scaled, "fault": names}))
    assert other.encoding.steps != encoding.steps
    for part in everywhere(other.under(encoding)):
        assert part.fitted.steps == encoding.steps
        batch = part.show(np.arange(4), 2, seeded())
        length = batch.inputs.shape[1]
        for row in range(4):
            shown = batch.inputs[row, length - 2 - len(scaled[row]) : length - 2]
            expected = encoding.steps.encode(np.array(scaled[row])[:, None])
            assert torch.equal(shown, expected)


def test_every_part_of_a_stream_keeps_it_too(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(5, 2, (60, 12))

    def stream(path: Path) -> Stream:
        return Stream(Stream.Config(path=path, sequence="x", context=6, answers=3))

    encoding = stream(table(tmp_path / "f.parquet", {"x": rows.tolist()})).encoding
    other = stream(table(tmp_path / "o.parquet", {"x": (3 * rows).tolist()}))
    for part in everywhere(other.under(encoding)):
        assert part.fitted.steps == encoding.steps
        assert part.answer.scale == encoding.steps.deviation[0]
        assert part.data.mean == other.data.mean, "which data it is stays the file's"


def test_the_same_rows_are_the_same_data_in_any_order(tmp_path: Path) -> None:
    path, rows = numbers_file(tmp_path / "f.parquet")
    names = [["none", "bearing", "shaft"][number % 3] for number in range(len(rows))]
    turned = {"readings": rows[::-1], "fault": names[::-1]}
    data = parquet(path).data
    assert data.differences(parquet(table(tmp_path / "t.parquet", turned)).data) is None
    fewer = {"readings": rows[:50], "fault": names[:50]}
    said = data.differences(parquet(table(tmp_path / "g.parquet", fewer)).data)
    assert said is not None
    assert "10 rows gone (50, not 60)" in said


@pytest.mark.parametrize(
    ("kept", "given", "said"),
    [
        ([1, 0, 1], [1, 0], "asks for 2 answers a row; the model gives 3 answers a row"),
        ([1, 0], [1, 0, 1], "asks for 3 answers a row; the model gives 2 answers a row"),
        ([1, 0], 1, "asks for one answer a row; the model gives 2 answers a row"),
        ("steps", 1, "asks for one answer a row; the model gives an answer at each step"),
    ],
)
def test_as_many_answers_as_the_model_gives(
    tmp_path: Path, kept: Any, given: Any, said: str
) -> None:
    """Fewer are no claim about it, and more it cannot give."""

    def task(labels: Any, name: str) -> Parquet:
        _, rows = numbers_file(tmp_path / f"{name}.parquet")
        if labels == "steps":
            target: list[Any] = [[(n + t) % 2 for t in range(len(r))] for n, r in enumerate(rows)]
        elif isinstance(labels, int):
            target = [n % 2 for n in range(len(rows))]
        else:
            target = [[(n + label) % 2 for label in labels] for n in range(len(rows))]
        asked = {"asked": "after"} if isinstance(labels, list) else {}
        file = table(tmp_path / f"{name}.parquet", {"readings": rows, "fault": target})
        return parquet(file, **asked)

    with pytest.raises(ValueError, match=said) as told:
        task(given, "given").under(task(kept, "kept").encoding)
    assert "\n" not in str(told.value)


def test_encodings_that_were_used_are_compared_by_what_they_say(tmp_path: Path) -> None:
    """Of several features: what each keeps of its arithmetic is arrays, which have no one truth."""
    path, rows = numbers_file(tmp_path / "f.parquet", features=2)
    kept, own = (parquet(path, filler="resample", scale=s).encoding for s in ("robust", "standard"))
    again = Encoding.of(kept.model_dump(mode="json"))
    for encoding in (kept, own, again):
        encoding.show(np.array(rows[0]), 40, 4)
    assert kept == again
    assert hash(kept.steps) == hash(again.steps)
    assert kept != own
    assert kept.steps != own.steps
    assert parquet(path, filler="resample", scale="robust").under(again).encoding == kept
