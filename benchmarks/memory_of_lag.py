"""What a training step takes of memory by the lag, each in a process of its own.

    python -m benchmarks.memory_of_lag [KIND ...] [--lags 1024 1048576] [--memory MIB] [--test]

Where the whole does not fit into ``--memory``, the step is by segments or in forward mode.

One layer between a table of symbols and the last step's answer, on recall. Printed is the peak of
the resident memory during the second of two steps over what was resident before the first, without
the batch; the symbols of the batch itself, eight bytes each, stand beside it. With ``--test``, of a
look at one sequence instead of the step.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import time

import torch

from trainables.config import TrialConfig
from trainables.randomness import Streams
from trainables.tasks.recall import Recall
from trainables.tasks.task import Batch
from trainables.training.evaluation import each_shown
from trainables.training.member import Member
from trainables.training.memory import peak_bytes, reset_peak

CPU = torch.device("cpu")
MIB = 2**20


def measure(kind: str, width: int, batch_size: int, lag: int, memory: float, tested: bool) -> None:
    """Print one row of the table."""
    torch.set_num_threads(1)
    model = {"cell": kind, "hidden_size": width}
    config = TrialConfig.model_validate({"model": model, "training": {"batch_size": batch_size}})
    task = Recall(Recall.Config(alphabet=8))
    member = Member(config, task, Streams(0, "0" * 64), 0, lag, CPU, memory * MIB)
    generator = torch.Generator().manual_seed(0)
    member.learn(task.sample(64, batch_size, generator))  # the optimiser's numbers
    batch = task.sample(lag, 1 if tested else batch_size, generator)
    gc.collect()
    reset_peak(CPU)
    before = peak_bytes(CPU)
    started = time.monotonic()
    if tested:
        for _ in each_shown(member.judged, One(batch), lag, 1, generator, CPU, False, memory * MIB):
            pass
    else:
        member.learn(batch)
    seconds = time.monotonic() - started
    taken, symbols = (peak_bytes(CPU) - before) / MIB, batch.inputs.nbytes / MIB
    room, (_, length) = member._room, batch.inputs.shape
    steps = room.steps(*batch.inputs.shape) or "whole"
    if steps != "whole" and not tested and room.traced(length, batch.scored):
        steps = "forward mode"
    print(
        f"| {kind} | {width} | {batch_size} | {lag:,} | {steps} | {taken:.1f} |"
        f" {before / MIB:.0f} | {symbols:.1f} | {seconds:.1f} |",
        flush=True,
    )


class One(Recall):
    """A batch that is there already."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(Recall.Config(alphabet=8))
        self.batch = batch

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        """It."""
        return self.batch


def main() -> None:
    """Measure every kind at every lag."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=["lru", "min_gru", "lstm"])
    parser.add_argument("--lags", nargs="+", type=int, default=[2**10, 2**20])
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--memory", type=float, default=64.0, help="of the trial, in MiB")
    parser.add_argument("--test", action="store_true", help="a test, not a training step")
    parser.add_argument("--one", action="store_true", help="in this process")
    asked = parser.parse_args()
    if asked.one:
        measure(asked.kinds[0], asked.width, asked.batch, asked.lags[0], asked.memory, asked.test)
        return
    print(
        "| kind | width | batch | lag | steps a segment | step, MiB | process before, MiB |"
        " batch, MiB | seconds |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for kind in asked.kinds:
        for lag in asked.lags:
            options = {"width": asked.width, "batch": asked.batch, "memory": asked.memory}
            command = [sys.executable, "-m", "benchmarks.memory_of_lag", kind, "--one"]
            command += ["--lags", str(lag), *(f"--{k}={v}" for k, v in options.items())]
            command += ["--test"] * asked.test
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
