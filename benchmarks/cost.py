"""What a training step of each kind of layer costs, against `torch.nn.LSTM`, and how that grows.

One layer alone, forward and backward, one thread, by compiled kernels and by torch's operators.
They and the LSTM take turns, so that all meet the same machine; a ratio is that of the medians of
their times on the processor. ``growth`` is the time at 8,192 steps over that at 1,024, compiled: 8
is linear in the lag, 64 quadratic. What is marked with ``=`` has no kernel and runs by torch's
operators either way. A search's workers hold on to large pieces of memory, and so should this:

    export MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=17179869184
    python -m benchmarks.cost [KIND ...]
    python -m benchmarks.cost dnc --choose masked=true sharpened=true
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from trainables.models.cells import LAYERS
from trainables.models.kernels import describe
from trainables.models.kernels.door import SWITCH
from trainables.models.layer import Layer, Surroundings

WIDTH, BATCH = 64, 8
LENGTHS = (256, 1024)
GROWTH = (1024, 8192)
UNCOMPILED = ("lstm", "dilated_lstm")

Step = Callable[[Tensor], Tensor]


def seconds(run: Step, x: Tensor) -> float:
    """Processor time of one forward and backward pass."""
    started = time.process_time()
    run(x).sum().backward()
    return time.process_time() - started


def by(switch: str, layer: Layer) -> Step:
    """The layer with the kernels on or off."""

    def run(x: Tensor) -> Tensor:
        os.environ[SWITCH] = switch
        return layer(x)

    return run


def medians(steps: Sequence[Step], x: Tensor, repetitions: int) -> list[float]:
    """The median time of each, in turns; the first pass builds what is built once."""
    times: list[list[float]] = [[] for _ in steps]
    for repetition in range(repetitions + 1):
        for step, taken in zip(steps, times, strict=True):
            spent = seconds(step, x)
            if repetition:
                taken.append(spent)
    return [statistics.median(taken) for taken in times]


def growth(step: Step, width: int, repetitions: int) -> float:
    """Time at the longer length over that at the shorter one, in turns."""
    short, long = (torch.randn(BATCH, T, width, requires_grad=True) for T in GROWTH)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repetitions):
        times[0].append(seconds(step, short))
        times[1].append(seconds(step, long))
    return statistics.median(times[1]) / statistics.median(times[0])


def report(kind: str, choices: dict[str, Any], width: int, repetitions: int) -> None:
    """Measure one kind, configured by ``choices``, and print its row."""
    torch.manual_seed(0)
    cell = LAYERS[kind]
    layer = cell(cell.Config.model_validate({"kind": kind, **choices}), Surroundings(width=width))
    lstm = nn.LSTM(width, width, batch_first=True)
    compiled = by("on", layer)
    row = f"{kind + ('=' if kind in UNCOMPILED else ''):<16}{width:>6}"
    for length in LENGTHS:
        x = torch.randn(BATCH, length, width, requires_grad=True)
        theirs, torchs, ours = medians(
            [lambda x: lstm(x)[0], by("off", layer), compiled], x, repetitions
        )
        row += f"{torchs / theirs:>10.2f}{ours / theirs:>10.2f}"
        row += f"{1e6 * ours / length / BATCH:>10.2f}"
    grown = growth(compiled, width, max(2, repetitions // 2))
    print(f"{row}{grown:>9.1f}{layer.state_bytes(GROWTH[1]):>12,}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", help=", ".join(LAYERS))
    parser.add_argument(
        "--choose", nargs="*", default=[], metavar="KEY=VALUE", help="of every KIND"
    )
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--width", type=int, default=WIDTH)
    arguments = parser.parse_args()
    unknown = set(arguments.kinds) - set(LAYERS)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: allowed are {', '.join(LAYERS)}")
    parted = (choice.partition("=") for choice in arguments.choose)
    choices = {key: yaml.safe_load(value) for key, _, value in parted}
    torch.set_num_threads(1)
    os.environ[SWITCH] = "on"
    print(f"{describe()}; batch {BATCH}, one thread, medians of {arguments.repetitions}")
    print("time / nn.LSTM by torch's operators and compiled, us a step and sequence compiled")
    heads = "".join(f"{f'torch {T}':>10}{f'c {T}':>10}{'us':>10}" for T in LENGTHS)
    print(f"{'kind':<16}{'width':>6}{heads}{'growth':>9}{'state':>12}")
    for kind in arguments.kinds or LAYERS:
        report(kind, choices, arguments.width, arguments.repetitions)


if __name__ == "__main__":
    main()
