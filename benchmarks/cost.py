"""What a training step of each kind of layer costs, against `torch.nn.LSTM`, and how that grows.

One layer alone, forward and backward, one thread. Each time is the least of some repetitions that
alternate with the LSTM's, so that both meet the same machine. ``growth`` is the exponent p of the
least-squares fit time ~ T^p over the lengths: 1 is linear in the lag, 2 quadratic.

    python -m benchmarks.cost [KIND ...]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trainables.models.cells import LAYERS
from trainables.models.layer import Layer, Surroundings

WIDTH, BATCH = 64, 8
LENGTHS = (256, 1024, 4096)


def seconds(run: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """Wall time of one forward and backward pass."""
    started = time.perf_counter()
    run(x).sum().backward()
    return time.perf_counter() - started


def against(lstm: nn.LSTM, layer: Layer, length: int, repetitions: int) -> tuple[float, float]:
    """The LSTM's and the layer's least times, in seconds."""
    x = torch.randn(BATCH, length, WIDTH, requires_grad=True)
    theirs, ours = [], []
    for _ in range(repetitions):
        theirs.append(seconds(lambda x: lstm(x)[0], x))
        ours.append(seconds(layer, x))
    return min(theirs), min(ours)


def growth(lengths: Sequence[int], times: Sequence[float]) -> float:
    """The exponent p of time ~ length^p."""
    return float(np.polyfit(np.log(lengths), np.log(times), 1)[0])


def report(kind: str, repetitions: int) -> None:
    """Measure one kind and print its row."""
    torch.manual_seed(0)
    layer = LAYERS[kind](
        LAYERS[kind].Config.model_validate({"kind": kind}), Surroundings(width=WIDTH)
    )
    lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True)
    seconds(layer, torch.randn(BATCH, 64, WIDTH))  # the first pass builds what is built once
    measured = [against(lstm, layer, length, repetitions) for length in LENGTHS]
    ratios = "".join(f"{ours / theirs:>9.2f}" for theirs, ours in measured)
    steps = "".join(
        f"{1e6 * ours / length / BATCH:>9.2f}"
        for length, (_, ours) in zip(LENGTHS, measured, strict=True)
    )
    exponent = growth(LENGTHS, [ours for _, ours in measured])
    state = layer.state_bytes(LENGTHS[-1])
    print(f"{kind:<16}{ratios}{steps}{exponent:>9.2f}{state:>12,}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", help=", ".join(LAYERS))
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    unknown = set(arguments.kinds) - set(LAYERS)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: allowed are {', '.join(LAYERS)}")
    torch.set_num_threads(1)
    print(f"width {WIDTH}, batch {BATCH}, one thread; state in bytes after {LENGTHS[-1]} steps")
    print(f"{'':<16}{'time / nn.LSTM at T =':^27}{'us a step and sequence':^27}")
    head = "".join(f"{length:>9}" for length in LENGTHS)
    print(f"{'kind':<16}{head}{head}{'growth':>9}{'state':>12}")
    for kind in arguments.kinds or LAYERS:
        report(kind, arguments.repetitions)


if __name__ == "__main__":
    main()
