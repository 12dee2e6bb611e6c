"""How much memory a configuration takes: one training step on the longest sequences, tried out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from trainables.config import TrialConfig
from trainables.measure.ladder_config import LadderConfig
from trainables.tasks import make_task
from trainables.tasks.task import TaskConfig
from trainables.training.climber import trial_streams
from trainables.training.member import Member
from trainables.training.memory import peak_bytes, reset_peak

STEPS = 2
"""Adam's own numbers are there from the second step on."""


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
    """Train one member for a few steps at the top of the ladder, on every task.

    Within ``memory_bytes``, as the trial will: a recurrence that would take more is cut.

    Raises:
        torch.OutOfMemoryError: if the device is too small.
    """
    host, allocated = torch.device("cpu"), 0
    reset_peak(host)
    for task_config in tasks.values():
        task = make_task(task_config)
        streams = trial_streams(config, task_config, 0)
        member = Member(config, task, streams, 0, ladder.stop, device, memory_bytes)
        generator = streams.generator("train", ladder.stop, 0)
        if device.type == "cuda":
            reset_peak(device)
        for _ in range(STEPS):
            batch = task.sample(ladder.stop, config.training.batch_size, generator)
            member.learn(batch.to(device))
        if device.type == "cuda":
            allocated = max(allocated, peak_bytes(device))
    return Peak(peak_bytes(host), allocated)
