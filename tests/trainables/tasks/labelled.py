"""Small Parquet files and the tasks over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from trainables.encoding.steps import NumberSteps
from trainables.tasks.parquet import Parquet

DIGITS = Path(__file__).parents[3] / "examples" / "data" / "digits.parquet"


def write(file: Path, sequence: Any, target: Any, rows_a_group: int = 7) -> Path:
    """A file of two columns, ``x`` and ``y``, in several row groups."""
    pq.write_table(pa.table({"x": sequence, "y": target}), file, row_group_size=rows_a_group)
    return file


def task_of(file: Path, **options: Any) -> Parquet:
    return Parquet(Parquet.Config(path=file, sequence="x", target="y", **options))


def digits(**options: Any) -> Parquet:
    config = Parquet.Config(path=DIGITS, sequence="pixels", target="label", **options)
    return Parquet(config)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def unscaled(task: Parquet, inputs: Tensor) -> np.ndarray:
    """Numbers in the file's units (B, T, F)."""
    standard = task.fitted.steps
    assert isinstance(standard, NumberSteps)
    return inputs.numpy().astype(np.float64) * standard.deviation + standard.mean
