"""What Ray is asked for, for a trial; ``auto`` is measured on the largest of the space.

The largest is looked for among random draws: the one whose training step at the ladder's top takes
the most operations, and the one with the most parameters. Both train for two steps there, in a
worker of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import ray
import torch
from ray import tune

from search.disk.folder import SearchFolder
from search.errors import UserError
from search.proposing.draws import draw
from search.scheduling import GIB
from search.scheduling.preparation import prepare
from search.scheduling.ray_session import RaySession
from search.spec import ResourcesConfig, Spec, revive
from spaces import Space
from trainables.config import TrialConfig
from trainables.models.model import outline
from trainables.tasks import make_task
from trainables.training.memory import out_of_memory
from trainables.training.probe import Peak, peak_of

DRAWS = 64
SLACK = 1.25
"""Of what was measured, since trials differ from the probe: tests, checkpoints, fragments."""

CONTEXT_BYTES = 2**29
"""What a process takes of a CUDA device before any tensor."""

MOST_ON_A_DEVICE = 8
SECONDS = 600.0


def resolve(spec: Spec, folder: SearchFolder, space: Space, session: RaySession) -> ResourcesConfig:
    """The spec's resources in numbers.

    Raises:
        UserError: in one line, if the probe fails or takes too long.
    """
    asked = spec.resources
    gpus = asked.gpus
    if gpus == "auto" and not any(machine.gpus for machine in session.machines):
        gpus = 0.0
    if gpus != "auto" and asked.memory != "auto":
        return asked.model_copy(update={"gpus": gpus})
    probed = asked.model_copy(update={"gpus": 1.0 if gpus == "auto" else gpus, "memory": None})
    remote = ray.remote(max_calls=1, max_retries=0, **options(probed))(_probe)
    configs = [config.model_dump(mode="json") for config in largest(spec, space)]
    spec = spec.model_copy(update={"resources": probed})
    running = remote.remote(session.spec_of_workers(spec, folder), configs)
    try:
        peak, total = ray.get(running, timeout=SECONDS)
    except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError) as error:
        ray.cancel(running, force=True)
        reason = (str(error).strip().splitlines() or [f"no answer in {SECONDS:.0f} s"])[-1]
        raise UserError(f"resources: auto: the probe failed: {reason}; give numbers") from None
    found: dict[str, float] = {}
    if gpus == "auto":
        found["gpus"] = share(peak.device, total)
    if asked.memory == "auto":
        found["memory"] = math.ceil(peak.host * SLACK / GIB * 100) / 100
    return asked.model_copy(update={"gpus": gpus, **found})


def share(needed: int, total: int) -> float:
    """The part of a device that a trial gets, so that as many fit as there are parts."""
    at_once = total // max(1, int(needed * SLACK) + CONTEXT_BYTES)
    return 1 / min(MOST_ON_A_DEVICE, max(1, at_once))


def largest(spec: Spec, space: Space) -> list[TrialConfig]:
    """The draws that take the most operations and the most parameters."""
    tasks = [make_task(config) for config in spec.tasks]
    lengths = [(task, task.length(spec.ladder.stop)) for task in tasks]

    def operations(config: TrialConfig) -> float:
        models = [(outline(config.model, task), length) for task, length in lengths]
        return config.training.batch_size * max(model.flops(n, 1) for model, n in models)

    def parameters(config: TrialConfig) -> float:
        return outline(config.model, tasks[0]).num_parameters

    drawn = draw(space, DRAWS)
    found = [max(drawn, key=operations), max(drawn, key=parameters)]
    return found[:1] if found[0].digest == found[1].digest else found


def _probe(spec: Mapping[str, Any], configs: Sequence[Mapping[str, Any]]) -> tuple[Peak, int]:
    """The most memory that any of the configurations takes, and what the device has."""
    searched = revive(spec)
    host = allocated = total = 0
    for config in configs:
        trial, device = prepare(searched, config)
        if device.type == "cuda":
            total = torch.cuda.get_device_properties(device).total_memory
        try:
            peak = peak_of(trial.config, trial.tasks, trial.ladder, device, trial.memory_bytes)
        except (MemoryError, RuntimeError) as error:
            if not (device.type == "cuda" and out_of_memory(error)):
                raise
            peak = Peak(0, total)  # even alone on a device it will end by `memory`
        host, allocated = max(host, peak.host), max(allocated, peak.device)
    return Peak(host, allocated), total


def of_trial(resources: ResourcesConfig, whole_device: bool) -> tune.PlacementGroupFactory:
    """What Tune asks Ray for; a trial that ran out of a shared device gets a whole one."""
    bundle = {"CPU": resources.cpus, "GPU": 1.0 if whole_device else resources.gpus_at_least}
    if resources.memory_at_least:
        bundle["memory"] = resources.memory_at_least * GIB
    if resources.accelerator:
        bundle[f"accelerator_type:{resources.accelerator}"] = 0.001
    return tune.PlacementGroupFactory([bundle])


def options(resources: ResourcesConfig) -> dict[str, Any]:
    """The same, as a Ray task is told."""
    found: dict[str, Any] = {"num_cpus": resources.cpus, "num_gpus": resources.gpus_at_least}
    if resources.memory_at_least:
        found["memory"] = int(resources.memory_at_least * GIB)
    if resources.accelerator:
        found["accelerator_type"] = resources.accelerator
    return found
