"""Make digits.parquet: the UCI digits that come with scikit-learn, as labelled sequences.

python examples/data/make_digits.py
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_digits

FILE = Path(__file__).with_name("digits.parquet")
ROWS_A_GROUP = 300


def digits() -> pa.Table:
    """1,797 images of 8 x 8: their 64 pixels, 0 to 16, row by row, and the digit they show."""
    images = load_digits()
    steps = images.data.astype(np.int8)
    ends = np.arange(0, steps.size + 1, steps.shape[1], dtype=np.int32)
    pixels = pa.ListArray.from_arrays(pa.array(ends), pa.array(steps.ravel()))
    return pa.table({"pixels": pixels, "label": pa.array(images.target.astype(np.int8))})


def write(file: Path) -> None:
    """Write the digits: the same bytes whenever the same pyarrow writes them."""
    pq.write_table(digits(), file, row_group_size=ROWS_A_GROUP, compression="zstd")


if __name__ == "__main__":
    write(FILE)
