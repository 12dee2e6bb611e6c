"""Exports of small models that were not trained, for every kind of task, and raw rows to ask them.

What they say is arbitrary, and sensitive to every input.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml
from safetensors.torch import save_file

from tests.trainables.test_exported import outcome
from tests.trainables.training.stand_ins import seeded, trial_config
from trainables.exports import exported
from trainables.files import sums
from trainables.models.model import build
from trainables.tasks import TASKS, make_task
from trainables.tasks.parquet import Parquet
from trainables.tasks.stream import Stream
from trainables.tasks.task import Batch, Symbols, Task


@dataclass(frozen=True)
class Asked:
    """Raw rows, and the task's own batch of the same rows."""

    task: Task
    lag: int
    rows: list[Any]
    batch: Batch


def generated(kind: str) -> Asked:
    """Sequences up to the last step that is asked at, symbols by their names."""
    task = make_task(TASKS[kind].Config())
    lag = max(6, task.shortest_lag)
    batch = task.sample(lag, 4, seeded(3))
    ends = (batch.scored[:, -1] + 1).tolist()
    rows = [row[:end].tolist() for row, end in zip(batch.inputs, ends, strict=True)]
    if isinstance(task.inputs, Symbols):
        names = task.encoding.steps.names  # type: ignore[union-attr]  # symbols have them
        rows = [[names[symbol] for symbol in row] for row in rows]
    return Asked(task, lag, rows, batch)


def of_file(folder: Path, name: str) -> Asked:
    """Rows of different lengths, as they lie in a file; filler is blank, so nothing is drawn."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 9, 60)
    rows: list[Any] = [rng.normal(500, 20, (n, 2)).tolist() for n in lengths]
    target: list[Any] = [["none", "bearing", "shaft"][k % 3] for k in range(60)]
    options: dict[str, Any] = {"filler": "blank"}
    if name == "tokens":
        rows = [[int(v) for v in rng.choice([7, -3, 100], n)] for n in lengths]
        target, options["values"] = [k % 2 == 0 for k in range(60)], "tokens"
    elif name == "text":
        rows = [rng.choice(["go", "stop", "ä"], n).tolist() for n in lengths]
        target, options["values"] = [k % 3 for k in range(60)], "tokens"
    elif name == "missing":
        rows = [[-999.0, None, *rng.normal(500, 20, n)] for n in lengths]
        options |= {"missing": [-999, "null"], "missing_indicator": True, "scale": "robust"}
    elif name == "characters":
        rows = ["".join(rng.choice(["a", "b", "ä"], n)) for n in lengths]
        options["values"] = "characters"
    elif name == "numbers as answers":
        target, options["tolerance"] = (1e3 + 7.0 * np.arange(60)).tolist(), 5.0
    elif name == "a label a step":
        target = [[["up", "down"][int(v[0] > 500)] for v in row] for row in rows]
        options |= {"mask": "asks", "lag": "back"}
    elif name == "labels after the gap":
        target = [[k % 2, k % 3, k % 2 if k % 4 else -100] for k in range(60)]
        options |= {"asked": "after", "ignore": -100}
    columns = {"x": rows, "y": target}
    sequence: str | list[str] = "x"
    if name == "columns of labels":
        columns["hot"], options["target"] = [k % 2 == 0 for k in range(60)], ["y", "hot"]
    if name == "a label a step":
        columns["asks"] = [[t % 2 == 1 for t in range(n)] for n in lengths]
        columns["back"] = [[max(1, t) for t in range(n)] for n in lengths]
    if name == "columns":
        sequence = ["u", "v"]
        columns |= {c: [[step[f] for step in row] for row in rows] for f, c in enumerate("uv")}
    if name == "columns that are steps":
        rows = rng.normal(500, 20, (60, 3)).tolist()
        sequence = ["u", "v", "w"]
        columns |= {c: [row[f] for row in rows] for f, c in enumerate(sequence)}
    if name == "lags":
        columns["far"], options["lag"] = [int(n) - 1 for n in lengths], "far"
    path = folder / "rows.parquet"
    pq.write_table(pa.table(columns), path)
    config = {"path": path, "sequence": sequence, "target": "y", **options}
    task = Parquet(Parquet.Config.model_validate(config))
    batch = task.show(np.arange(12), 8, seeded())
    return Asked(task, 8, rows[:12], batch)


def of_stream(folder: Path, values: str) -> Asked:
    """Rows that the next step is asked of, at their own ends."""
    rows = np.random.default_rng(0).integers(100, 104, (60, 12))
    pq.write_table(pa.table({"x": rows.tolist()}), folder / "rows.parquet")
    config = {"path": folder / "rows.parquet", "sequence": "x", "values": values}
    task = Stream(Stream.Config(context=6, answers=3, **config))
    shown = torch.stack([task.encoding.show(row[:, None], 9, 0) for row in rows[:5, :9]])
    scored, targets = torch.full((5, 1), 8), torch.zeros(5, 1)
    return Asked(
        task, 6, rows[:5, :9].tolist(), Batch(inputs=shown, targets=targets, scored=scored)
    )


def write(folder: Path, asked: Asked, kind: str, gain: float = 1.0) -> Path:
    """An export of an untrained model, as ``longspan export`` leaves it; ``gain`` on its weights.

    With a high one the answers to a row differ from place to place.
    """
    folder.mkdir()
    config, task = trial_config(kind, hidden_size=8), asked.task
    model = build(config.model, task, seed=5)
    tensors = {name: tensor * gain for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / exported.WEIGHTS)
    content = {
        "configuration": config.model_dump(mode="json"),
        "task": task.config.portable.model_dump(mode="json"),
        "inputs": asdict(task.inputs),
        "answer": asdict(task.answer),
    }
    claim = outcome(lag=asked.lag, task=task.config.kind, encoding_sha256=task.encoding.digest)
    (folder / exported.CONFIG).write_text(yaml.safe_dump(content))
    (folder / exported.OUTCOME).write_text(json.dumps(claim))
    (folder / exported.ENCODING).write_text(task.encoding.model_dump_json())
    names = (exported.CONFIG, exported.WEIGHTS, exported.OUTCOME, exported.ENCODING)
    sums.write(folder, names)
    return folder
