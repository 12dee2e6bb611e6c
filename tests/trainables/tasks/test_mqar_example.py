"""`examples/mqar.yaml` reads rows of other people's generators: their labels, their split."""

from __future__ import annotations

import runpy
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml

from tests.trainables.tasks.labelled import seeded
from tests.trainables.tasks.papers import associative_recall
from trainables.tasks.answer import NO_CLASS
from trainables.tasks.parquet import Parquet

EXAMPLE = Path("examples/mqar.yaml")
PARTS = {"train": 300, "selection": 40, "test": 60}


def read(file: Path) -> Parquet:
    (task,) = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["tasks"]
    return Parquet(Parquet.Config.model_validate({**task, "path": file}))


def test_rows_of_an_independent_generator_are_asked_as_it_says(tmp_path: Path) -> None:
    """Arora et al. (2023), told in plain Python: every row's answers, in the part it says."""
    chance = Random(0)
    drawn = [
        (part, *associative_recall(chance)) for part, rows in PARTS.items() for _ in range(rows)
    ]
    labels = [
        [int(answers[step]) if step in answers else -100 for step in range(len(row))]
        for _, row, answers in drawn
    ]
    table = {"tokens": [row for _, row, _ in drawn], "labels": labels}
    pq.write_table(
        pa.table({**table, "split": [part for part, *_ in drawn]}), tmp_path / "f.parquet"
    )
    task = read(tmp_path / "f.parquet")
    shown = []
    for part, rows in PARTS.items():
        split = task.split(part)  # type: ignore[arg-type]  # they are its names
        batches = list(split.draw(32, rows, 64, seeded()))
        assert sum(len(batch.inputs) for batch in batches) == rows
        shown += [(part, batch, row) for batch in batches for row in range(len(batch.inputs))]
    said = {(part, tuple(row)): answers for part, row, answers in drawn}
    names: Any = task.labels.counts_by_class()
    vocabulary: Any = task.encoding.steps
    for part, batch, row in shown:
        asked = {
            int(step): names[int(target)][0]
            for step, target in zip(batch.scored[row], batch.targets[row], strict=True)
            if target != NO_CLASS
        }
        symbols = tuple(vocabulary.vocabulary[int(one)] for one in batch.inputs[row])
        assert asked == {step: int(value) for step, value in said[part, symbols].items()}


def test_the_example_makes_what_it_says() -> None:
    """Keys differ, each is asked for once at an even step, and its label is its value."""
    made = runpy.run_path("examples/data/make_mqar.py")
    inputs, labels = made["rows"](500, np.random.default_rng(0))
    assert inputs.shape == labels.shape == (500, 64)
    gaps = np.nonzero(labels != -100)[1].reshape(500, 4)
    assert (gaps % 2 == 0).all()
    assert (gaps >= 8).all()
    for row, label in zip(inputs, labels, strict=True):
        values = dict(zip(row[:8:2], row[1:8:2], strict=True))
        assert len(values) == 4
        there = label != -100
        assert {
            key: int(value) for key, value in zip(row[there], label[there], strict=True)
        } == values
        assert (row[8:][~there[8:]] == 0).all()
    nearest = (gaps[:, 0] == 8).mean()
    law = np.arange(1, 29) ** (0.01 - 1)
    assert abs(nearest - _first_taken(law / law.sum())) < 0.07


def _first_taken(law: np.ndarray) -> float:
    """How often the shortest gap is one of four that are drawn one after the other."""
    source = np.random.default_rng(1)
    drawn = [source.choice(len(law), 4, replace=False, p=law) for _ in range(4000)]
    return float(np.mean([0 in four for four in drawn]))


def test_a_batch_learns_from_what_is_asked_alone(tmp_path: Path) -> None:
    made = runpy.run_path("examples/data/make_mqar.py")
    source = np.random.default_rng(0)
    parts = {part: made["rows"](rows, source) for part, rows in PARTS.items()}
    pq.write_table(made["table"](parts), tmp_path / "f.parquet")
    batch = read(tmp_path / "f.parquet").split("train").sample(64, 32, seeded())
    assert batch.targets.shape == (32, 4)
    assert (batch.targets != NO_CLASS).all()
    assert torch.equal(batch.scored, batch.scored.sort(dim=1).values)
