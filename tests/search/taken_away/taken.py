"""A search over a task of every kind, as the command leaves it; its best is taken away."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from tests.search.conftest import in_process
from tests.search.searched import recorded, searched

SPEC = """\
name: taken
space: quick
tasks:
  - {kind: parquet, path: numbers.parquet, sequence: readings, target: fault, filler: blank}
  - {kind: parquet, path: tokens.parquet, sequence: words, target: good, values: tokens}
  - {kind: parquet, path: depth.parquet, sequence: pair, target: depth, tolerance: 60.0,
     filler: resample}
  - {kind: parquet, path: lagged.parquet, sequence: x, target: y, lag: far, filler: blank}
  - {kind: stream, path: waves.parquet, sequence: x, context: 8, answers: 4}
  - {kind: recall, alphabet: 2}
ladder:
  {start: 4, stop: 4, members: 2, quorum: 1, success: 0.55, sequences: 12000, test_sequences: 256}
search:
  trials: 1
  scheduler: none
  sampler: random
  start_with: [{training/learning_rate: 5.0e-3, model/hidden_size: 16, model/cell/kind: lstm}]
"""


LSTM = {"model": {"cell": "lstm", "hidden_size": 16}, "training": {"learning_rate": 5.0e-3}}


def write_data(folder: Path) -> None:
    """Rows of different lengths and scales; a glance at the right step tells the answer."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 500)
    lengths = rng.integers(5, 9, 500)
    noise = [rng.normal(500, 2, n) for n in lengths]
    readings = [(row + 40 * (k - 1)).tolist() for row, k in zip(noise, kind, strict=True)]
    fault = [["none", "bearing", "shaft"][k] for k in kind]
    frame = pd.DataFrame({"readings": readings, "fault": fault})
    frame.to_parquet(folder / "numbers.parquet")
    good = rng.integers(0, 2, 500).astype(bool)
    words = [[int(w) for w in rng.choice([7, -3, 100 + g], n)] + [100 + int(g)] * 2
             for g, n in zip(good, lengths, strict=True)]  # fmt: skip
    pd.DataFrame({"words": words, "good": good}).to_parquet(folder / "tokens.parquet")
    depth = 1000 + 100 * rng.normal(size=500)
    pairs = [np.stack([rng.normal(0, 1, n), np.full(n, d)], 1).tolist()
             for d, n in zip(depth, lengths, strict=True)]  # fmt: skip
    pd.DataFrame({"pair": pairs, "depth": depth}).to_parquet(folder / "depth.parquet")
    y, far = rng.integers(0, 2, 800), rng.integers(2, 7, 800)
    x = rng.normal(0, 0.3, (800, 10))
    x[np.arange(800), 9 - far] += 4.0 * (2 * y - 1)
    lagged = {"x": x.tolist(), "y": y, "far": far}
    pd.DataFrame(lagged).to_parquet(folder / "lagged.parquet")
    periods = 50 + 20 * rng.choice([-1.0, 1.0], (400, 5)) + rng.normal(0, 0.5, (400, 5))
    waves = np.tile(periods, 3)[:, :14].tolist()
    pd.DataFrame({"x": waves}).to_parquet(folder / "waves.parquet")


def make(folder: Path) -> None:
    """A search that has ended; its data is beside it, its best in ``best``."""
    write_data(folder)
    (folder / "spec.yaml").write_text(SPEC)
    recorded(searched(folder / "spec.yaml", folder / "runs", [LSTM]))
    export(folder, "best")


def export(folder: Path, to: str, *options: str) -> list[Path]:
    done = in_process(
        "export", "taken", "--to", str(folder / to), "--runs", str(folder / "runs"), *options
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return sorted((folder / to).iterdir())


def one(folder: Path, columns: str, under: str = "best") -> Path:
    """The export of the task whose sequences stand in that column."""
    (found,) = (
        path
        for path in (folder / under).iterdir()
        if json.loads((path / "encoding.json").read_text())["columns"] == json.loads(columns)
    )
    return found


NUMBERS = '{"sequence": "readings", "target": "fault"}'
TOKENS = '{"sequence": "words", "target": "good"}'
DEPTH = '{"sequence": "pair", "target": "depth"}'
LAGGED = '{"sequence": "x", "target": "y", "lag": "far"}'
STREAM = '{"sequence": "x"}'
RECALL = '{"sequence": "sequence"}'
ALL = [NUMBERS, TOKENS, DEPTH, LAGGED, STREAM, RECALL]
FILES = {NUMBERS: "numbers", TOKENS: "tokens", DEPTH: "depth", LAGGED: "lagged", STREAM: "waves"}


def refused(*arguments: str | Path) -> str:
    """The one line of a refusal, exit code 2."""
    done = in_process(*map(str, arguments))
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr
