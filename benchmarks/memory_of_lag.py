"""What training and judging take of memory by the lag, each in a process of its own.

    python -m benchmarks.memory_of_lag [KIND ...] [--of step] [--lags 1024 1048576] [--memory MIB]

Where the whole does not fit into ``--memory``, a step is by segments or in forward mode.

One layer between a table of symbols and the last step's answer, on recall. Printed is the peak of
the resident memory over what was resident before: during the second of two training steps, the
batch left out, whose symbols stand beside it; or, by ``--of``, of a look at ``--sequences`` that
are drawn meanwhile; of the controls that are to be beaten (``rivals``), learned and shown that
look; of all controls of the task, as before a search (``controls``).
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from trainables.config import TrialConfig
from trainables.controls.measuring import measure as measure_controls
from trainables.controls.rivals import Rivals
from trainables.randomness import Streams
from trainables.tasks.recall import Recall
from trainables.training.held_out.evaluation import each_shown, evaluate
from trainables.training.member import Member
from trainables.training.memory import peak_bytes, reset_peak

CPU = torch.device("cpu")
MIB = 2**20
OF = ("step", "look", "rivals", "controls")


def measure(kind: str, lag: int, asked: argparse.Namespace) -> None:
    """Print one row of the table."""
    torch.set_num_threads(1)
    model = {"cell": kind, "hidden_size": asked.width}
    training = {"batch_size": asked.batch}
    config = TrialConfig.model_validate({"model": model, "training": training})
    task = Recall(Recall.Config(alphabet=8))
    memory = asked.memory * MIB
    member = Member(config, task, Streams(0, "0" * 64), 0, lag, CPU, memory)
    generator = torch.Generator().manual_seed(0)
    member.learn(task.sample(64, asked.batch, generator))  # the optimiser's numbers
    symbols, work, steps = 0.0, _judging(member, task, lag, asked, generator), "-"
    if asked.of == "step":
        batch = task.sample(lag, asked.batch, generator)
        symbols, room = batch.inputs.nbytes / MIB, member._room
        cut = room.steps(*batch.inputs.shape)
        steps = "whole" if cut is None else f"{cut:,}"
        if cut is not None and room.traced(batch.inputs.shape[1], batch.scored):
            steps = "forward mode"

        def work() -> None:
            member.learn(batch)

    gc.collect()
    reset_peak(CPU)
    before = peak_bytes(CPU)
    started = time.monotonic()
    work()
    seconds = time.monotonic() - started
    taken = (peak_bytes(CPU) - before) / MIB
    print(
        f"| {asked.of} | {kind} | {asked.width} | {asked.batch} | {lag:,} | {steps} | {taken:.1f} |"
        f" {before / MIB:.0f} | {symbols:.1f} | {seconds:.1f} |",
        flush=True,
    )


def _judging(
    member: Member, task: Recall, lag: int, asked: argparse.Namespace, generator: torch.Generator
) -> Callable[[], None]:
    """What is measured where it is not a step."""

    def look() -> None:
        evaluate(member.judged, task, lag, asked.sequences, generator, CPU, member.memory_bytes)

    def rivals() -> None:
        shown = each_shown(
            member.judged,
            task,
            lag,
            asked.sequences,
            generator,
            CPU,
            memory_bytes=member.memory_bytes,
        )
        learned = Rivals(task, lag, generator)
        learned.compare(((batch, right.all(1)) for batch, right in shown), generator)

    def controls() -> None:
        measure_controls(task, lag)

    return {"look": look, "rivals": rivals}.get(asked.of, controls)


def main() -> None:
    """Measure every kind at every lag."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=["lru", "min_gru", "lstm"])
    parser.add_argument("--of", choices=OF, default="step")
    parser.add_argument("--lags", nargs="+", type=int, default=[2**10, 2**20])
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--sequences", type=int, default=128, help="that a look shows")
    parser.add_argument("--memory", type=float, default=64.0, help="of the trial, in MiB; inf")
    parser.add_argument("--one", action="store_true", help="in this process")
    asked = parser.parse_args()
    if asked.one:
        measure(asked.kinds[0], asked.lags[0], asked)
        return
    print(
        "| of | kind | width | batch | lag | steps a segment | taken, MiB | process before, MiB |"
        " batch, MiB | seconds |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    names = ("of", "width", "batch", "sequences", "memory")
    for kind in asked.kinds:
        for lag in asked.lags:
            command = [sys.executable, "-m", "benchmarks.memory_of_lag", kind, "--one"]
            command += [f"--lags={lag}", *(f"--{name}={getattr(asked, name)}" for name in names)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
