"""What compiled kernels are worth to a whole search: its workers' time with and without them.

    python -m benchmarks.everything [--trials 40] [--task recall] [--ladder START STOP SEQUENCES]

Random draws of `everything` climb the ladder of the table of real trials (`benchmarks.replay`), or
one from lag START to STOP with so many training sequences a member and rung at most, three members
each, breadth first, once by compiled kernels and once by torch's operators, in turns,
on one thread. Counted is processor time, held-out tests included. Rounding differs, so a member may
take another number of sequences: the times are also given for equal ones, by the sequence.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.replay.collect import draws
from benchmarks.replay.tasks import MEASURED, SEED
from trainables.config import TrialConfig
from trainables.description import describe
from trainables.measure.ladder_config import LadderConfig
from trainables.models.kernels import describe as kernels
from trainables.models.kernels.door import SWITCH
from trainables.trial import TrialSpec, run_trial

PATHS = {"compiled": "on", "torch": "off"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--task", choices=MEASURED, default="recall")
    parser.add_argument("--ladder", nargs=3, type=int, metavar=("START", "STOP", "SEQUENCES"))
    asked = parser.parse_args()
    ladder = MEASURED[asked.task].ladder
    if asked.ladder:  # by sequences alone: a limit of seconds would hide what is slow
        start, stop, sequences = asked.ladder
        given = {"start": start, "stop": stop, "sequences": sequences, "seconds": None}
        ladder = ladder.model_copy(update={**given, "gflop": None})
    torch.set_num_threads(1)
    print(f"{kernels()}; {asked.task}, lags {ladder.start} to {ladder.stop}, one thread")
    print("| trial | architecture | compiled, s | sequences | torch, s | sequences |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |", flush=True)
    total, alike = dict.fromkeys(PATHS, 0.0), 0.0
    for _, (number, _, config) in zip(range(asked.trials), draws(0), strict=False):
        spent = {path: climb(asked.task, ladder, config, switch) for path, switch in PATHS.items()}
        (ours, shown), (theirs, theirs_shown) = spent.values()
        total = {path: total[path] + spent[path][0] for path in PATHS}
        alike += theirs * shown / max(1, theirs_shown)
        print(f"| {number} | {describe(config.model_dump())} | {ours:.1f} | {shown:,} |"
              f" {theirs:.1f} | {theirs_shown:,} |", flush=True)  # fmt: skip
    print(f"\nworkers' time: {total['compiled']:.0f} s compiled, {total['torch']:.0f} s by torch's"
          f" operators, {total['compiled'] / total['torch']:.2f} of it;"
          f" for equally many sequences {total['compiled'] / alike:.2f}")  # fmt: skip


def climb(task: str, ladder: LadderConfig, config: TrialConfig, switch: str) -> tuple[float, int]:
    """Processor seconds of a trial, and the sequences that its members trained on."""
    measured: Any = MEASURED[task]
    spec = TrialSpec(config, {task: measured.task}, ladder, SEED, curve=False)
    os.environ[SWITCH] = switch
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        report = run_trial(spec, Path(folder), lambda *_: None, torch.device("cpu"))
    return time.process_time() - began, sum(row.sequences for row in report.rows)


if __name__ == "__main__":
    main()
