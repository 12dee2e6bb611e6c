"""The cluster file for machines of one's own, made from the one for the cloud.

What the machines are differs; what runs on them, and how they are set up, is taken over as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

OF_THE_CLOUD = ("available_node_types", "head_node_type", "max_workers")
START = "ray start --head"
EARLIER_AUTOSCALER = "RAY_enable_autoscaler_v2=0"
"""Ray's newer one takes a head without a kind of its own for a worker: it leaves one worker out."""


def on_premises(
    cloud: Mapping[str, Any], head: str, workers: Sequence[str], user: str, key: str | None
) -> dict[str, Any]:
    """The file of a cluster over machines that are there already, by their addresses.

    A head that runs no trial in the cloud runs none here either.
    """
    derived = {name: value for name, value in cloud.items() if name not in OF_THE_CLOUD}
    derived["provider"] = {"type": "local", "head_ip": head, "worker_ips": list(workers)}
    derived["auth"] = {"ssh_user": user} | ({"ssh_private_key": key} if key else {})
    derived["min_workers"] = derived["max_workers"] = len(workers)
    head_kind = cloud["available_node_types"][cloud["head_node_type"]]
    started = f"{EARLIER_AUTOSCALER} {START} --num-cpus={head_kind['resources']['CPU']}"
    commands = cloud["head_start_ray_commands"]
    derived["head_start_ray_commands"] = [c.replace(START, started) for c in commands]
    return derived
