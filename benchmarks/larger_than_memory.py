"""How much memory training takes on a folder of Parquet files that is larger.

    python -m benchmarks.larger_than_memory FOLDER --gigabytes 5

Makes a hive layout of files of random sequences in FOLDER, trains on it for a while in a process of
its own, watches that process's resident memory (Linux: /proc), and removes what it made. FOLDER
needs room for twice as much: the worker unpacks the numbers into a temporary file there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from trainables.config import TrialConfig
from trainables.randomness import Streams
from trainables.tasks.parquet import Parquet
from trainables.training.held_out.evaluation import evaluate
from trainables.training.member import Member

STEPS, CLASSES, SITES = 1024, 10, 4
ROWS_A_FILE, ROWS_A_GROUP = 32_768, 2048
LAG, BATCH_SIZE, LOOK = 64, 32, 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="an empty or a new folder")
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--batches", type=int, default=100, help="training steps")
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.train:
        train(asked.folder / "data", asked.batches)
        return
    asked.folder.mkdir(parents=True, exist_ok=True)
    try:
        make(asked.folder / "data", asked.gigabytes)
        watch([*sys.argv[1:], "--train"], asked.folder)
    finally:
        shutil.rmtree(asked.folder)


def make(folder: Path, gigabytes: float) -> None:
    """Write rows of noise about the pattern of their class."""
    started, rng = time.monotonic(), np.random.default_rng(0)
    patterns = rng.normal(size=(CLASSES, STEPS)).astype(np.float32)
    files = max(1, round(gigabytes * 1e9 / (ROWS_A_FILE * STEPS * 4)))
    for number in range(files):
        labels = rng.integers(CLASSES, size=ROWS_A_FILE)
        values = rng.standard_normal((ROWS_A_FILE, STEPS), dtype=np.float32)
        values += patterns[labels]
        column = pa.FixedSizeListArray.from_arrays(values.ravel(), STEPS)
        site = folder / f"site={number % SITES}"
        site.mkdir(parents=True, exist_ok=True)
        pq.write_table(
            pa.table({"x": column, "y": labels}), site / f"part-{number:03d}.parquet",
            row_group_size=ROWS_A_GROUP, compression="none", use_dictionary=False,
        )  # fmt: skip
    size = sum(file.stat().st_size for file in folder.rglob("*.parquet"))
    seconds = time.monotonic() - started
    print(f"made {size / 1e9:.2f} GB, {files} files, {files * ROWS_A_FILE:,} rows: {seconds:.0f} s")


def train(folder: Path, batches: int) -> None:
    """What a worker does: read, train, look, again and again."""
    started = time.monotonic()
    config = Parquet.Config(path=folder, sequence="x", target="y")
    task = Parquet(config)
    print(f"read {len(task.rows):,} rows: {time.monotonic() - started:.0f} s")
    trial = TrialConfig.model_validate({"model": {"cell": "lstm", "hidden_size": 32}})
    streams, device = Streams(0, trial.digest), torch.device("cpu")
    member = Member(trial, task, streams, 0, LAG, device)
    parts = {name: task.split(name) for name in ("train", "test")}
    generators = {name: streams.generator(name, LAG, 0) for name in ("train", "test")}
    started = time.monotonic()
    drawing = 0.0
    for step in range(batches):
        before = time.monotonic()
        batch = parts["train"].sample(LAG, BATCH_SIZE, generators["train"])
        drawing += time.monotonic() - before
        member.learn(batch)
        if step % 50 == 49:
            evaluate(member.model, parts["test"], LAG, LOOK, generators["test"], device)
    seconds, shown = time.monotonic() - started, batches * BATCH_SIZE
    print(f"trained on {shown:,} sequences: {seconds:.0f} s, of which drawing {drawing:.1f} s")


def watch(arguments: list[str], folder: Path) -> None:
    """Run this file with ``arguments`` and print the largest resident memory it had."""
    command = [sys.executable, "-m", "benchmarks.larger_than_memory", *arguments]
    most = {"RssAnon": 0, "RssFile": 0, "VmHWM": 0}
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(folder)}) as child:
        while child.poll() is None:
            for line in _status(child.pid):
                key, _, value = line.partition(":")
                if key in most:
                    most[key] = max(most[key], int(value.split()[0]))
            time.sleep(0.02)
    if child.returncode:
        raise SystemExit(child.returncode)
    print(f"resident memory at its peak: {most['VmHWM'] / 1e6:.2f} GB in all")
    print(f"  anonymous {most['RssAnon'] / 1e6:.2f} GB, of files {most['RssFile'] / 1e6:.2f} GB")


def _status(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return []


if __name__ == "__main__":
    main()
