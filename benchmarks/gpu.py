"""Every kind of layer on a CUDA device: is it right, how fast, how much memory. Torch alone.

For each kind: the largest difference from the CPU's answers, relative to their scale; the time of a
training step in float32 and under bfloat16 autocast, and its ratio to cuDNN's LSTM of the same run;
the peak of device memory.

    python -m benchmarks.gpu
"""

from __future__ import annotations

import argparse
import contextlib
import sys

import torch
from torch import Tensor, nn

from trainables.models.cells import LAYERS
from trainables.models.layer import Layer, Surroundings

WIDTH = 128


def step(layer: nn.Module, x: Tensor, reduced: bool) -> Tensor:
    """Forward and backward; the answers."""
    autocast = torch.autocast("cuda", dtype=torch.bfloat16) if reduced else contextlib.nullcontext()
    with autocast:
        y = layer(x)
        y = y[0] if isinstance(y, tuple) else y
    y.float().square().mean().backward()
    return y


def milliseconds(layer: nn.Module, x: Tensor, reduced: bool, repetitions: int) -> float:
    """The least time of a training step, on the device's own clock."""
    step(layer, x, reduced)
    times = []
    for _ in range(repetitions):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        step(layer, x, reduced)
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return min(times)


def difference(layer: Layer, length: int) -> float:
    """How far CUDA's answers in float32 lie from the CPU's, relative to the largest of them."""
    x = torch.randn(2, length, WIDTH)
    with torch.no_grad():
        here = layer.cpu()(x)
        there = layer.cuda()(x.cuda()).cpu()
    return float((here - there).abs().max() / here.abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", default=list(LAYERS))
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("benchmarks.gpu: no CUDA device; nothing was measured")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, width {WIDTH}, "
          f"batch {arguments.batch}, {arguments.length} steps")  # fmt: skip
    print(f"{'kind':<16}{'off by':>10}{'ms':>9}{'ms bf16':>9}{'/ cuDNN':>9}{'MiB':>8}")
    torch.manual_seed(0)
    x = torch.randn(arguments.batch, arguments.length, WIDTH, device="cuda")
    lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True).cuda()
    for kind in arguments.kinds:
        layer = LAYERS[kind](
            LAYERS[kind].Config.model_validate({"kind": kind}), Surroundings(width=WIDTH)
        )
        off = difference(layer, 63)
        theirs = milliseconds(lstm, x, False, arguments.repetitions)
        torch.cuda.reset_peak_memory_stats()
        ours = milliseconds(layer, x, False, arguments.repetitions)
        peak = torch.cuda.max_memory_allocated() / 2**20
        reduced = milliseconds(layer, x, True, arguments.repetitions)
        print(f"{kind:<16}{off:>10.1e}{ours:>9.1f}{reduced:>9.1f}{ours / theirs:>9.2f}"
              f"{peak:>8.0f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
