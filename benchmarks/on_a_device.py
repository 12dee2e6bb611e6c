"""Layers on a CUDA device, measured for `benchmarks.gpu`: torch alone."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from trainables.models.cells import LAYERS
from trainables.models.layer import Layer, Surroundings

WIDTH = 128
ODD = 63
"""Steps on which answers are compared: no kernel's blocks go into it."""

CLOSE = 1e-3
"""Of the largest answer, what float32 may differ by."""

LAUNCHES = ("cudaLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernel", "cuLaunchKernelEx")
SECONDS = 5.0
"""For which trials train side by side."""

TRIAL = "from benchmarks.on_a_device import train; train({kind!r}, {steps}, {batch}, {device!r})"


def there_is_one() -> bool:
    """Whether torch finds a CUDA device."""
    return torch.cuda.is_available()


def made(kind: str, device: str = "cuda") -> Layer:
    """A layer of a kind as it is by default, from the same first weights each time."""
    torch.manual_seed(0)
    config = LAYERS[kind].Config.model_validate({"kind": kind})
    return LAYERS[kind](config, Surroundings(width=WIDTH)).to(device)


def step(layer: nn.Module, x: Tensor, reduced: bool = False) -> Tensor:
    """Forward and backward; the answers."""
    kind = x.device.type
    autocast = torch.autocast(kind, torch.bfloat16) if reduced else contextlib.nullcontext()
    with autocast:
        y = layer(x)
        y = y[0] if isinstance(y, tuple) else y
    y.float().square().mean().backward()
    return y


def difference(kind: str, device: str = "cuda") -> float:
    """How far the device's answers and gradients lie from the CPU's, of the largest of each."""
    found = []
    for where in ("cpu", device):
        layer = made(kind, where)
        x = torch.randn(2, ODD, WIDTH, generator=torch.Generator().manual_seed(1))
        y = step(layer, x.to(where))
        gradients = [p.grad for p in layer.parameters() if p.grad is not None]
        found.append([y.detach().cpu(), *(gradient.cpu() for gradient in gradients)])
    pairs = zip(*found, strict=True)
    return max(float((a - b).abs().max() / a.abs().max().clamp(min=1e-6)) for a, b in pairs)


def milliseconds(layer: nn.Module, x: Tensor, reduced: bool, repetitions: int) -> float:
    """The median time of a training step, on the device's own clock."""
    step(layer, x, reduced)
    times = []
    for _ in range(repetitions):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        step(layer, x, reduced)
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def launches(layer: nn.Module, x: Tensor) -> int:
    """Kernels that a training step launches."""
    step(layer, x)
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        step(layer, x)
    return sum(event.count for event in profile.key_averages() if event.key in LAUNCHES)


def longest_that_fits(fits: Callable[[int], bool], first: int, most: int) -> int:
    """The last of ``first``, twice that, and so on up to ``most`` that fits; 0 for none."""
    found, tried = 0, first
    while tried <= most and fits(tried):
        found, tried = tried, 2 * tried
    return found


def fits(kind: str, batch: int, length: int) -> bool:
    """Whether a training step on sequences of ``length`` fits into the device's memory."""
    torch.cuda.empty_cache()
    try:
        step(made(kind), torch.randn(batch, length, WIDTH, device="cuda"))
    except torch.OutOfMemoryError:
        return False
    return True


def train(kind: str, steps: int, batch: int, device: str, seconds: float = SECONDS) -> None:
    """One of several trials: say that it is ready, wait to be told, train, say how many steps."""
    layer, x = made(kind, device), torch.randn(batch, steps, WIDTH, device=device)
    float(step(layer, x).sum())
    print("ready", flush=True)
    sys.stdin.readline()
    done, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        float(step(layer, x).detach().sum())
        done += 1
    print(done, flush=True)


def side_by_side(
    kind: str, steps: int, batch: int, trials: int, device: str = "cuda", seconds: float = SECONDS
) -> float:
    """Training steps a second of all of so many trials, each a process, as a search runs them.

    0 where one of them did not come to its end: they do not fit.
    """
    code = TRIAL.format(kind=kind, steps=steps, batch=batch, device=device)
    code = code[:-1] + f", {seconds})"
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", code],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )
            for _ in range(trials)
        ]
        ready = [_said(trial) == "ready" for trial in running]
        for trial, is_ready in zip(running, ready, strict=True):
            if is_ready and trial.stdin:
                trial.stdin.write("\n")
                trial.stdin.flush()
        done = [_said(trial) for trial in running]
    return sum(map(int, done)) / seconds if all(done) else 0.0


def _said(trial: subprocess.Popen[str]) -> str:
    return trial.stdout.readline().strip() if trial.stdout else ""


def report(
    kinds: Sequence[str], steps: int, batch: int, repetitions: int, most_trials: int, longest: int
) -> list[str]:
    """Measure kind by kind and print a row each; the kinds whose answers are wrong."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, width {WIDTH}, "
          f"batch {batch}, {steps} steps")  # fmt: skip
    print("off by: of the CPU's largest; ms: a training step; packed: trials side by side, times "
          "one's steps a second; longest: steps that fit")  # fmt: skip
    packs = [2**n for n in range(1, most_trials.bit_length())]
    heads = "".join(f"{f'x{trials}':>7}" for trials in packs)
    print(f"{'kind':<16}{'off by':>9}{'ms':>9}{'ms bf16':>9}{'/ cuDNN':>9}{'launches':>10}"
          f"{'MiB':>8}{heads}{'longest':>10}")  # fmt: skip
    x, wrong = torch.randn(batch, steps, WIDTH, device="cuda"), []
    lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True).cuda()
    for kind in kinds or LAYERS:
        off = difference(kind)
        if not off <= CLOSE:
            wrong.append(kind)
        layer = made(kind)
        theirs = milliseconds(lstm, x, False, repetitions)
        torch.cuda.reset_peak_memory_stats()
        ours = milliseconds(layer, x, False, repetitions)
        peak = torch.cuda.max_memory_allocated() / 2**20
        row = f"{kind:<16}{off:>9.1e}{ours:>9.1f}{milliseconds(layer, x, True, repetitions):>9.1f}"
        row += f"{ours / theirs:>9.2f}{launches(layer, x):>10}{peak:>8.0f}"
        alone = side_by_side(kind, steps, batch, 1)
        for trials in packs:
            row += f"{side_by_side(kind, steps, batch, trials) / alone if alone else 0:>7.2f}"
        most = longest_that_fits(
            lambda length, kind=kind: fits(kind, batch, length), steps, longest
        )
        print(f"{row}{most:>10}", flush=True)
    return wrong
