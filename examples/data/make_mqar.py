"""Make mqar.parquet: multi-query associative recall, written after zoology's generator.

python examples/data/make_mqar.py

Arora et al. (2023), figure 2: 100,000 rows to train on, of which 1,000 are kept to select by, and
3,000 to test on; 64 steps, 4 pairs of a vocabulary of 8,192, the power law of exponent 0.01, zeros
where there is neither pair nor query. With zoology itself, its ``multiquery_ar(...)`` gives inputs
and labels that `table` takes as they are.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FILE = Path(__file__).with_name("mqar.parquet")
PARTS = {"train": 99_000, "selection": 1_000, "test": 3_000}
STEPS, PAIRS, VOCABULARY, POWER = 64, 4, 8192, 0.01
NOTHING = -100


def rows(count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and labels (count, STEPS); a label stands at the step of its query."""

    def chosen(weights: np.ndarray) -> np.ndarray:
        """PAIRS different places a row, drawn one after the other by weight (Gumbel's way)."""
        heights = np.log(weights) + generator.gumbel(size=(count, len(weights)))
        highest = np.argpartition(-heights, PAIRS, axis=1)[:, :PAIRS]
        order = np.take_along_axis(-heights, highest, axis=1).argsort(axis=1)
        return np.take_along_axis(highest, order, axis=1)

    half = VOCABULARY // 2
    keys = 1 + chosen(np.ones(half - 1))
    values = half + chosen(np.ones(half))
    gaps = 2 * chosen(np.arange(1, STEPS // 2 - PAIRS + 1) ** (POWER - 1))
    inputs = np.zeros((count, STEPS), np.int64)
    labels = np.full((count, STEPS), NOTHING, np.int64)
    inputs[:, 0 : 2 * PAIRS : 2], inputs[:, 1 : 2 * PAIRS : 2] = keys, values
    np.put_along_axis(inputs, 2 * PAIRS + gaps, keys, axis=1)
    np.put_along_axis(labels, 2 * PAIRS + gaps, values, axis=1)
    return inputs, labels


def table(parts: dict[str, tuple[np.ndarray, np.ndarray]]) -> pa.Table:
    """The rows of each part, of inputs and labels, with its name in the column ``split``."""
    inputs, labels = (np.concatenate(both) for both in zip(*parts.values(), strict=True))
    split = np.repeat(list(parts), [len(found) for found, _ in parts.values()])
    return pa.table({"tokens": list(inputs), "labels": list(labels), "split": split})


if __name__ == "__main__":
    source = np.random.default_rng(0)
    drawn = {
        part: tuple(
            np.concatenate(each)
            for each in zip(*(rows(1000, source) for _ in range(count // 1000)), strict=True)
        )
        for part, count in PARTS.items()
    }
    pq.write_table(table(drawn), FILE, compression="zstd")
