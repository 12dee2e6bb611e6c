"""A search on a cluster that has no worker until a trial waits for one.

    python -m tests.cluster.autoscaled FOLDER

Ray's own autoscaler starts raylets of this machine as if they were spot machines with a device
each. What was seen is written to ``FOLDER/seen.json``. Ray's utility begins by stopping every Ray
that it sees, so it is run where it sees no other: among processes and addresses of its own, which
end with it (`tests.cluster.test_autoscaler`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
import yaml
from ray.cluster_utils import AutoscalingCluster
from ray.util import placement_group_table

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from tests.waiting import HANGS

MOST = 2
"""Machines with a device; two trials fit one."""

STARTS = 10
TRIALS = 6
EXAMPLE = """\
cluster_name: spot
max_workers: 8
provider: {type: fake_multinode, disable_node_updaters: true}
available_node_types: {}
head_node_type: ray.head.default
upscaling_speed: 1.0
idle_timeout_minutes: 0.1
auth: {}
docker: {}
initialization_commands: []
setup_commands: []
head_setup_commands: []
worker_setup_commands: []
head_start_ray_commands: []
worker_start_ray_commands: []
file_mounts: {}
cluster_synced_files: []
file_mounts_sync_continuously: false
rsync_exclude: []
rsync_filter: []
"""
"""What Ray's utility takes its settings from: ``example.yaml``, which Ray's package leaves out."""

SPEC = f"""\
name: spot
space: quick
plugins: [gated]
tasks: [{{kind: gated}}]
ladder: {{start: 4, stop: 8, members: 1, quorum: 1, sequences: 200, test_sequences: 128}}
search: {{trials: {TRIALS}, sampler: random, scheduler: none}}
resources: {{cpus: 1, gpus: 0.5}}
controls: off
"""

GATED = '''\
"""A task that is drawn from once it may be; a worker says that it waits.

Devices are but counted here: what is trained on one is trained on the processor.
"""

import os
import time
from pathlib import Path
from typing import Literal

import torch

from search.scheduling import worker
from trainables.tasks.recall import Recall

prepare = worker.prepare
worker.prepare = lambda *given: (prepare(*given)[0], torch.device("cpu"))


class Gated(Recall):
    class Config(Recall.Config):
        kind: Literal["gated"] = "gated"

    def sample(self, lag, batch_size, generator):
        if gate := os.environ.get("TESTS_GATE"):
            Path(f"{gate}-{os.getpid()}").touch()
            while not Path(gate).exists():
                time.sleep(0.1)
        return super().sample(lag, batch_size, generator)


TASKS = {"gated": Gated}
'''

HEAD = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
WORKER = {
    "resources": {"CPU": 2, "GPU": 1, "object_store_memory": 100 * 2**20},
    "node_config": {}, "min_workers": 0, "max_workers": MOST,
}  # fmt: skip


def workers() -> set[str]:
    """The machines that trials may run on, by their ids."""
    return {n["NodeID"] for n in ray.nodes() if n["Alive"] and n["Resources"].get("GPU")}


def placed() -> tuple[int, Counter[str]]:
    """How many trials wait for a machine, and how many each machine has."""
    table: dict[str, Any] = placement_group_table()
    groups = list(table.values())
    waiting = sum(group["state"] == "PENDING" for group in groups)
    there = [g["bundles_to_node_id"].values() for g in groups if g["state"] == "CREATED"]
    return waiting, Counter(node for nodes in there for node in nodes)


def until(holds: Callable[[], bool], search: subprocess.Popen[str] | None = None) -> None:
    """Wait for something.

    Raises:
        RuntimeError: if it never comes; with what the search said, if that ended before.
    """
    deadline = time.monotonic() + HANGS
    while not holds():
        if search is not None and search.poll() is not None:
            raise RuntimeError(f"the search ended by {search.returncode}: {search.communicate()}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{holds.__name__} never came: {ray.nodes()} {placed()}")
        time.sleep(0.2)


def end(machine: str) -> None:
    """Take a machine away as a cloud does: all that runs on it at once."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if machine.encode() in (entry / "environ").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)


def watch(folder: Path, search: subprocess.Popen[str]) -> dict[str, Any]:
    """Follow the search to its end, and its machines until they are given back."""
    gate = folder / "gate"
    waiting_without = 0

    def first_machine() -> bool:
        nonlocal waiting_without
        waiting, _ = placed()
        if workers():
            return True
        waiting_without = max(waiting_without, waiting)
        return False

    def all_busy() -> bool:
        return sorted(placed()[1].values()) == [2] * MOST

    def all_begun() -> bool:
        return len(list(folder.glob("gate-*"))) >= 2 * MOST

    until(first_machine, search)
    until(all_busy, search)
    until(all_begun, search)
    first, at_first = workers(), sorted(placed()[1].values())
    lost = min(first)
    end(lost)

    def another_came() -> bool:
        return all_busy() and lost not in placed()[1] and not workers() <= first

    until(another_came, search)
    gate.touch()
    said, errors = search.communicate(timeout=HANGS)

    def given_back() -> bool:
        return not workers()

    until(given_back)
    records = Ledger(SearchFolder(folder / "runs", "spot")).records.values()
    return {
        "waiting without a machine": waiting_without,
        "trials a machine at first": at_first,
        "exit code": search.returncode,
        "said": said + errors,
        "ended": [record.ended_by for record in records],
        "losses": sum(record.losses for record in records),
    }


def start(gate: Path) -> None:
    """The head, which on a busy machine comes up at the second or third try."""
    for left in reversed(range(STARTS)):
        cluster = AutoscalingCluster(
            {"CPU": 0}, {"gpu": WORKER}, autoscaler_v2=True, max_workers=MOST,
            idle_timeout_minutes=0.1, upscaling_speed=4,
        )  # fmt: skip
        try:
            cluster.start(override_env={"TESTS_GATE": str(gate)})
            return
        except subprocess.CalledProcessError:
            if not left:
                raise


def main(folder: Path) -> None:
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "gated.py").write_text(GATED)
    kinds = {"available_node_types": {"head": HEAD, "gpu": WORKER}}
    known = {**kinds, "head_node_type": "head", "max_workers": MOST}
    (folder / "ray_bootstrap_config.yaml").write_text(yaml.safe_dump(known))
    start(folder / "gate")
    ray.init(address="127.0.0.1:6379", log_to_driver=False)
    before = len(workers())
    search = subprocess.Popen(
        [f"{sys.prefix}/bin/longspan", "search", "spec.yaml", "--runs", "runs"],
        env={**os.environ, "LONGSPAN_RAY": "cluster", "RAY_ADDRESS": "127.0.0.1:6379"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
    )  # fmt: skip
    try:
        seen = {"machines before": before, **watch(folder, search)}
        (folder / "seen.json").write_text(json.dumps(seen))
    finally:
        search.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
