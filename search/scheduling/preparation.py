"""How a worker is prepared: its threads, its device, and what it is to train.

One for all that run in a worker: a trial, a stopped one that is measured, the probe of what a trial
takes, a certificate's member.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import torch

from search.scheduling import GIB
from search.spec import ResourcesConfig, Spec
from trainables.config import TrialConfig
from trainables.encoding.encoding import Encoding
from trainables.measure.ladder_config import LadderConfig
from trainables.models import kernels
from trainables.tasks.task import TaskConfig
from trainables.training.memory import host_bytes
from trainables.trial import TrialSpec


def prepare(
    spec: Spec,
    configuration: Mapping[str, Any],
    whole_device: bool = False,
    encodings: Mapping[str, Encoding] = {},
) -> tuple[TrialSpec, torch.device]:
    """What a worker does for a trial of a search, and on what.

    With ``whole_device`` it shares the device with no other, whatever the spec says. The
    ``encodings`` are those that the search keeps, by task.

    Raises:
        ValidationError: if the configuration is none.
    """
    return prepare_for(
        spec.resources,
        configuration,
        spec.tasks_by_name,
        spec.ladder,
        spec.search.seed,
        shared_device=shares_its_device(spec.resources, whole_device),
        encodings=encodings,
        latency="latency" in spec.search.objectives,
    )


def prepare_for(
    resources: ResourcesConfig,
    configuration: Mapping[str, Any],
    tasks: Mapping[str, TaskConfig],
    ladder: LadderConfig,
    seed: int,
    **options: Any,
) -> tuple[TrialSpec, torch.device]:
    """The same, of something else than a search's trial; ``options`` are a `TrialSpec`'s."""
    settle(resources)
    device = torch.device("cuda" if resources.gpus_at_least > 0 else "cpu")
    trial = TrialSpec(
        config=TrialConfig.model_validate(configuration),
        tasks=tasks,
        ladder=ladder,
        seed=seed,
        precision=resources.precision,
        memory_bytes=memory_of(resources, device),
        **options,
    )
    return trial, device


def settle(resources: ResourcesConfig) -> None:
    """Threads as a trial has them; and kernels built, once a machine and in no trial's time."""
    torch.set_num_threads(max(1, int(resources.cpus)))
    kernels.describe()


def memory_of(resources: ResourcesConfig, device: torch.device) -> float:
    """Bytes that a trial has: what it asked for, or its share of the machine or the device."""
    if device.type == "cuda":
        if not torch.cuda.is_available():
            return math.inf  # whoever puts a model there says that there is none
        share = min(1.0, resources.gpus_at_least)
        return share * torch.cuda.get_device_properties(device).total_memory
    if resources.memory_at_least:
        return resources.memory_at_least * GIB
    trials = max(1.0, (os.cpu_count() or 1) / resources.cpus)
    return host_bytes() / trials


def shares_its_device(resources: ResourcesConfig, whole_device: bool) -> bool:
    """Whether other workers may hold memory of a worker's device."""
    return 0 < resources.gpus_at_least < 1 and not whole_device
