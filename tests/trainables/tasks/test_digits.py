"""The shipped digits are what their script makes."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from sklearn.datasets import load_digits

from tests.trainables.tasks.labelled import DIGITS

SCRIPT = runpy.run_path(str(DIGITS.with_name("make_digits.py")))


def test_the_shipped_file_holds_what_the_script_makes() -> None:
    """Column for column, row for row, in several row groups."""
    shipped = pq.ParquetFile(DIGITS)
    assert shipped.read().equals(SCRIPT["digits"]())
    assert shipped.metadata.num_row_groups == 6


def test_the_images_are_scikit_learns() -> None:
    """64 grey values, row by row, and the digit."""
    shipped = pq.read_table(DIGITS)
    images = load_digits()
    assert np.array_equal(np.array(shipped["pixels"].to_pylist()).reshape(-1, 8, 8), images.images)
    assert np.array_equal(shipped["label"].to_numpy(), images.target)


def test_it_is_made_byte_for_byte(tmp_path: Path) -> None:
    """Two runs of the script write the same file."""
    SCRIPT["write"](tmp_path / "one")
    SCRIPT["write"](tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
