"""What took a worker, and that its trial is started again with what it then needs."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from ray import tune
from ray.cluster_utils import Cluster
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayTaskError
from ray.tune.search import Searcher

from search.resources import of_trial
from search.retries import Loss, Retries, why
from search.spec import ResourcesConfig


def test_what_took_a_worker() -> None:
    lost = "The actor died because its node has died. Node Id: 1"
    assert why(RayActorError(error_msg=lost)) == "node"
    assert why(RayActorError(error_msg="Worker unexpectedly exits", preempted=True)) == "node"
    assert why(RayActorError(error_msg="Worker unexpectedly exits")) == "worker"
    assert why(ActorDiedError()) == "worker"
    assert why(ActorUnavailableError("Socket closed", b"1" * 16)) == "node"
    assert why(ValueError(lost)) == "worker"
    assert why(None) == "worker"
    memory = torch.OutOfMemoryError("CUDA out of memory")
    assert why(memory) == "memory"
    assert why(RayTaskError("train", "traceback", memory)) == "memory"


class Again(Searcher):
    """Hands out one trial, and again when it is lost."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(metric="progress", mode="max")
        self.config, self.losses, self.waiting = config, list[Loss](), True

    def suggest(self, trial_id: str) -> Any:
        if not self.waiting:
            return None if self.config else Searcher.FINISHED
        self.waiting = False
        return {**self.config, "whole_device": "memory" in self.losses}

    def lost(self, trial_id: str, why: Loss) -> None:
        self.losses.append(why)
        self.waiting = True

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        if not error:
            self.config = {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: Tune's own resume is not used."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""


def tuned(trainable: Any, searcher: Again, folder: Path) -> None:
    """As `search.tuner` runs a trial."""
    asked = ResourcesConfig(gpus=0.5 if ray.cluster_resources().get("GPU") else 0)
    tune.Tuner(
        tune.with_resources(trainable, lambda c: of_trial(asked, c["whole_device"])),
        tune_config=tune.TuneConfig(search_alg=searcher, num_samples=-1, reuse_actors=True),
        run_config=tune.RunConfig(
            storage_path=str(folder),
            callbacks=[Retries(searcher.lost, lambda old, new: None)],
            verbose=0,
        ),
    ).fit()


def crowded(config: dict[str, Any]) -> None:
    """Fit where it is alone on the device only."""
    gpus = ray.get_runtime_context().get_assigned_resources().get("GPU", 0)
    with Path(config["starts"]).open("a") as file:
        file.write(f"{gpus}\n")
    if gpus < 1:
        raise torch.OutOfMemoryError("CUDA out of memory")
    tune.report({"progress": 1.0})


@pytest.mark.slow
def test_out_of_a_shared_device_it_is_started_once_more_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two trials' room on one device that Ray only believes in."""
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    starts = tmp_path / "starts"
    ray.init(address="local", num_cpus=1, num_gpus=1, include_dashboard=False, log_to_driver=False)
    try:
        searcher = Again({"number": 0, "starts": str(starts)})
        tuned(crowded, searcher, tmp_path)
    finally:
        ray.shutdown()
    assert searcher.losses == ["memory"]
    assert starts.read_text().split() == ["0.5", "1.0"]


def short(config: dict[str, str]) -> None:
    """Say where it runs; the first time, until the node is gone."""
    starts = Path(config["starts"])
    with starts.open("a") as file:
        file.write(ray.get_runtime_context().get_node_id() + "\n")
    if len(starts.read_text().splitlines()) == 1:
        time.sleep(600)
    tune.report({"progress": 1.0})


@pytest.mark.slow
def test_a_trial_goes_on_where_its_raylet_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two raylets, the trial's one killed: it ends on the other, and the loss is the node's."""
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    starts = tmp_path / "starts"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    try:
        ray.init(address=cluster.address, log_to_driver=False)

        def kill() -> None:
            while not starts.exists():
                time.sleep(0.1)
            node = starts.read_text().strip()
            (there,) = (n for n in nodes if n.node_id == node)
            cluster.remove_node(there, allow_graceful=False)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        searcher = Again({"number": 0, "starts": str(starts)})
        tuned(short, searcher, tmp_path)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert searcher.losses == ["node"]
    first, second = starts.read_text().split()
    assert first != second
