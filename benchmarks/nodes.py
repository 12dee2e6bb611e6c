"""A search over many simulated nodes of one machine, with trials that wait in place of training.

    python -m benchmarks.nodes [--nodes 64] [--trials 256] [--seconds 20]

Ray's cluster utility starts a raylet for each node, with agents of its own, until there are as many
as asked for or less than ``--spare`` GiB of memory are left. Then a search runs over them: Tune,
searcher, scheduler and ledger as in every search. Printed: nodes, memory, and how much of the
nodes' time the trials had.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.cluster_utils import Cluster

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.proposing.samplers import make_sampler
from search.proposing.searcher import StudySearch
from search.proposing.study import restore_study
from search.scheduling.ray_session import DRIVER_ENVIRONMENT
from search.scheduling.scheduler import make_scheduler
from search.scheduling.tuner import make_tuner
from search.spec import Spec
from spaces import SPACES

SPEC = Spec.model_validate({"name": "nodes", "space": "quick", "tasks": [{"kind": "recall"}]})
REPORTS = 4


def wait(config: dict[str, Any], seconds: float) -> None:
    """A trial of some reports. It stands in this file's ``__main__``: workers import no more."""
    for place in range(1, REPORTS + 1):
        time.sleep(seconds / REPORTS)
        node = ray.get_runtime_context().get_node_id()
        report = {
            "progress": place, "reach": 8, "rows": [], "worker": f"{node}:0",
            "ended_by": "top" if place == REPORTS else None,
        }  # fmt: skip
        told = {"progress": place, "training_gflop": place, "report": json.dumps(report)}
        tune.report(told)


def available() -> float:
    """GiB of memory that are left."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    (found,) = [line for line in lines if line.startswith("MemAvailable:")]
    return int(found.split()[1]) / 2**20


def search(folder: SearchFolder, trials: int, seconds: float, slots: int) -> Ledger:
    """The search, to its end."""
    folder.create(SPEC.to_yaml())
    ledger, space = Ledger(folder), SPACES[SPEC.space]
    study = restore_study(folder.journal, "nodes", space, ledger)
    searcher = StudySearch(space, study, ledger, lambda n: make_sampler("tpe", 0, n), trials)
    trainable = tune.with_resources(tune.with_parameters(wait, seconds=seconds), {"cpu": 1})
    make_tuner(trainable, searcher, make_scheduler(SPEC, space, []), ledger, folder, slots).fit()
    return ledger


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--trials", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=20.0, help="that a trial takes")
    parser.add_argument("--spare", type=float, default=6.0, help="GiB of memory to leave")
    asked = parser.parse_args()
    os.environ.update(DRIVER_ENVIRONMENT)
    free = available()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        started = time.monotonic()
        nodes = 0
        while nodes < asked.nodes and available() > asked.spare:
            cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
            nodes += 1
            print(f"{nodes} nodes, {available():.1f} GiB left", flush=True)
        print(f"up in {time.monotonic() - started:.0f} s, {free - available():.1f} GiB", flush=True)
        ray.init(address=cluster.address, log_to_driver=False)
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as to:
            folder = SearchFolder(Path(to), "nodes")
            records = search(folder, asked.trials, asked.seconds, nodes).records.values()
        spent = time.monotonic() - started
        used = {record.report.worker for record in records}
        print(
            f"{nodes} nodes, {len(used)} had trials; {len(records)} trials of {asked.seconds:g} s "
            f"ended in {spent:.0f} s: {asked.seconds * len(records) / (nodes * spent):.1%} of the "
            f"nodes' time; {free - available():.1f} GiB"
        )
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
