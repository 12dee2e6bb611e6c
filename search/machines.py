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

from search.folder import UserError
from search.spec import ResourcesConfig

BOOTSTRAP = Path("~/ray_bootstrap_config.yaml")
"""The cluster file, as `ray up` left it on the head."""

SECONDS_TO_JOIN = 180.0


@dataclass(frozen=True)
class Machine:
    """A kind of machine, and the most there may be of it."""

    cpus: float
    gpus: float
    count: int = 1

    def holds(self, trial: ResourcesConfig) -> int:
        """Trials side by side on one machine of the kind."""
        by_gpu = self.gpus / trial.gpus if trial.gpus else float("inf")
        return int(min(self.cpus / trial.cpus, by_gpu))


def here() -> list[Machine]:
    """The machine that this runs on."""
    return [Machine(os.cpu_count() or 1, torch.cuda.device_count())]


def of_cluster() -> list[Machine]:
    """The machines of the cluster that this process has joined, and those it may still ask for.

    Machines of one's own are known once they have joined: they are waited for.
    """
    path = BOOTSTRAP.expanduser()
    config = yaml.safe_load(path.read_text()) if path.exists() else {}
    kinds: Mapping[str, Any] = config.get("available_node_types", {})
    if kinds and all(kind["resources"] for kind in kinds.values()):
        return [_on_demand(name, kind, config) for name, kind in kinds.items()]
    expected = 1 + sum(kind.get("min_workers", 0) for kind in kinds.values())
    deadline = time.monotonic() + SECONDS_TO_JOIN
    while len(_alive()) < expected and time.monotonic() < deadline:
        time.sleep(1)
    return [Machine(node.get("CPU", 0), node.get("GPU", 0)) for node in _alive()]


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
    cpus = max((machine.cpus for machine in machines), default=0)
    key, asked, most = "cpus", trial.cpus, cpus
    if trial.cpus <= cpus:
        key, asked, most = "gpus", trial.gpus, max(machine.gpus for machine in machines)
    raise UserError(f"resources.{key}: {asked:g} is not allowed; a machine has at most {most:g}")
