"""A node that is lost is not its trial's failure; a worker that dies is."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from ray import tune
from ray.cluster_utils import Cluster
from ray.exceptions import ActorDiedError, RayActorError

from search.retries import NodeLossIsNoFailure


def failures_after(error: Exception) -> int:
    metadata = SimpleNamespace(num_failures=1)
    trial = SimpleNamespace(run_metadata=metadata, get_pickled_error=lambda: error)
    NodeLossIsNoFailure().on_trial_recover(1, [trial], trial)
    return metadata.num_failures


def test_only_the_loss_of_a_node_is_taken_back() -> None:
    lost = "The actor died because its node has died. Node Id: 1"
    assert failures_after(RayActorError(error_msg=lost)) == 0
    assert failures_after(RayActorError(error_msg="Worker unexpectedly exits")) == 1
    assert failures_after(ActorDiedError()) == 1
    assert failures_after(ValueError(lost)) == 1
    # Tune did not count what was announced.
    assert failures_after(RayActorError(error_msg=lost, preempted=True)) == 1


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
    """Two raylets, the trial's one killed: it ends on the other, without a failure to its name."""
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
        tuner = tune.Tuner(
            tune.with_resources(short, {"cpu": 1}),
            param_space={"starts": str(starts)},
            run_config=tune.RunConfig(
                storage_path=str(tmp_path),
                callbacks=[NodeLossIsNoFailure()],
                failure_config=tune.FailureConfig(max_failures=1),
                verbose=0,
            ),
        )
        (result,) = tuner.fit()
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert result.error is None
    first, second = starts.read_text().split()
    assert first != second
    state = "".join(p.read_text() for p in tmp_path.rglob("experiment_state*.json"))
    assert '\\"num_failures\\": 0' in state
