"""What memory and time a configuration takes: training steps, tried out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from trainables.config import TrialConfig
from trainables.controls.rivals import Rivals
from trainables.measure.ladder_config import LadderConfig
from trainables.tasks import make_task
from trainables.tasks.task import Batch, Task, TaskConfig
from trainables.training.climber import trial_streams
from trainables.training.member import Member
from trainables.training.memory import peak_bytes, reset_peak

STEPS = 2
"""Adam's own numbers are there from the second step on."""

TIMED_SECONDS = 0.1
"""Of training steps that are timed; at least one."""


@dataclass(frozen=True)
class Peak:
    """The most memory taken, in bytes: resident on the host, and allocated on a CUDA device."""

    host: int
    device: int


def peak_of(
    config: TrialConfig,
    tasks: Mapping[str, TaskConfig],
    ladder: LadderConfig,
    device: torch.device,
    memory_bytes: float = math.inf,
) -> Peak:
    """Train one member for a few steps at the longest lag trained on, on every task.

    Its controls are learned too, of which a trial holds whole sequences, some hundreds at a time.
    Within ``memory_bytes``, as the trial will: a recurrence that would take more is cut.

    Raises:
        torch.OutOfMemoryError: if the device is too small.
    """
    host, allocated = torch.device("cpu"), 0
    top = ladder.trained_rungs[-1]
    reset_peak(host)
    for task_config in tasks.values():
        task = make_task(task_config)
        streams = trial_streams(config, task_config, 0)
        member = Member(config, task, streams, 0, top, device, memory_bytes)
        generator = streams.generator("train", top, 0)
        if device.type == "cuda":
            reset_peak(device)
        for _ in range(STEPS):
            _step(member, task.sample(top, config.training.batch_size, generator), device)
        if device.type == "cuda":
            allocated = max(allocated, peak_bytes(device))
        if not task.paired:
            Rivals(task, ladder.stop, streams.generator("controls", ladder.stop, 0))
    return Peak(peak_bytes(host), allocated)


def seconds_a_sequence(
    config: TrialConfig,
    task: Task,
    lag: int,
    device: torch.device,
    memory_bytes: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Wall time that one sequence takes in training at ``lag``, its drawing included.

    By steps of one member, as many as `TIMED_SECONDS` hold, after a first that is not counted.
    """
    streams = trial_streams(config, task.config, 0)
    member = Member(config, task, streams, 0, lag, device, memory_bytes)
    generator, drawn_from = streams.generator("train", lag, 0), task.split("train")
    size, steps = config.training.batch_size, 0
    _step(member, drawn_from.sample(lag, size, generator), device)
    began = clock()
    while True:
        _step(member, drawn_from.sample(lag, size, generator), device)
        steps, spent = steps + 1, clock() - began
        if spent >= TIMED_SECONDS:
            return spent / steps / size


def _step(member: Member, batch: Batch, device: torch.device) -> None:
    """One training step; it is waited for, since it returns the loss."""
    member.learn(batch.to(device))
