"""The machines that trials may run on: how many they hold, and what none of them can hold."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
import yaml

from search.errors import UserError
from search.scheduling import GIB
from search.spec import ResourcesConfig

BOOTSTRAP = Path("~/ray_bootstrap_config.yaml")
"""The cluster file, as `ray up` left it on the head."""

SECONDS_TO_JOIN = 180.0
RAYS_SHARE = 0.7
"""Of a machine's memory, what Ray hands out unless it is told; the rest is its object store's."""


@dataclass(frozen=True)
class Machine:
    """A kind of machine, and the most there may be of it; memory in GiB, as Ray hands it out."""

    cpus: float
    gpus: float
    count: int = 1
    memory: float = float("inf")

    def holds(self, trial: ResourcesConfig) -> int:
        """Trials side by side on one machine of the kind."""
        gpus, memory = trial.gpus_at_least, trial.memory_at_least
        by_gpu = self.gpus / gpus if gpus else float("inf")
        by_memory = self.memory / memory if memory else float("inf")
        return int(min(self.cpus / trial.cpus, by_gpu, by_memory))


def here() -> list[Machine]:
    """The machine that this runs on."""
    memory = RAYS_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    return [Machine(os.cpu_count() or 1, torch.cuda.device_count(), memory=memory)]


def of_cluster() -> list[Machine]:
    """The machines of the cluster that this process has joined, and those it may still ask for.

    Machines of one's own are known once they have joined: they are waited for.
    """
    path = BOOTSTRAP.expanduser()
    config = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    kinds: Mapping[str, Any] = config.get("available_node_types", {})
    if kinds and all(kind["resources"] for kind in kinds.values()):
        return [_on_demand(name, kind, config) for name, kind in kinds.items()]
    expected = 1 + sum(kind.get("min_workers", 0) for kind in kinds.values())
    deadline = time.monotonic() + SECONDS_TO_JOIN
    while len(_alive()) < expected and time.monotonic() < deadline:
        time.sleep(1)
    return [
        Machine(node.get("CPU", 0), node.get("GPU", 0), memory=node.get("memory", 0) / GIB)
        for node in _alive()
    ]


def _on_demand(name: str, kind: Mapping[str, Any], config: Mapping[str, Any]) -> Machine:
    is_head = name == config["head_node_type"]
    most = 1 if is_head else min(kind.get("max_workers", 0), config["max_workers"])
    resources = kind["resources"]
    return Machine(resources.get("CPU", 0), resources.get("GPU", 0), most)


def _alive() -> list[Mapping[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def slots(machines: Sequence[Machine], trial: ResourcesConfig) -> int:
    """How many trials the machines hold side by side."""
    return max(1, sum(machine.count * machine.holds(trial) for machine in machines))


def require(machines: Sequence[Machine], trial: ResourcesConfig) -> None:
    """Refuse a trial that no machine holds.

    Raises:
        UserError: in one line.
    """
    if any(machine.count and machine.holds(trial) for machine in machines):
        return
    needs = {"cpus": trial.cpus, "gpus": trial.gpus_at_least, "memory": trial.memory_at_least}
    for key, asked in needs.items():
        most = max((getattr(machine, key) for machine in machines), default=0)
        if asked > most:
            break
    raise UserError(f"resources.{key}: {asked:g} is not allowed; a machine has at most {most:g}")
