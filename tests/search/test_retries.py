"""A node that is lost is not held against its trial; a worker that dies is, three times."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from ray import tune
from ray.cluster_utils import Cluster
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayTaskError

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.proposing.samplers import make_sampler
from search.proposing.searcher import StudySearch
from search.proposing.study import restore_study
from search.scheduling.ray_session import DRIVER_ENVIRONMENT
from search.scheduling.retries import Loss, why
from search.scheduling.scheduler import known_as, make_scheduler
from search.scheduling.tuner import make_tuner
from search.spec import Spec
from spaces import SPACES

LOST = "The actor died because its node has died. Node Id: 1"
SPEC = {"name": "s", "space": "quick", "tasks": [{"kind": "recall"}]}


def in_the_trial(cause: Exception) -> RayTaskError:
    return RayTaskError("train", "traceback", cause)


@pytest.mark.parametrize(
    ("error", "loss"),
    [
        (RayActorError(error_msg=LOST), "node"),
        (ActorUnavailableError("Socket closed", b"1" * 16), "node"),
        (RayActorError(error_msg="Worker exits", preempted=True), "node"),
        (RayActorError(error_msg="Worker unexpectedly exits"), "worker"),
        (ActorDiedError(), "worker"),
        (in_the_trial(torch.OutOfMemoryError("CUDA out of memory")), "memory"),
        (in_the_trial(RayActorError(error_msg=LOST)), "node"),
        (in_the_trial(ValueError(LOST)), "worker"),
        (None, "worker"),
    ],
)
def test_what_took_a_worker(error: Exception | None, loss: Loss) -> None:
    assert why(error) == loss


def test_what_a_scheduler_knows_goes_with_a_trial() -> None:
    """Compared once, under the id that it has now."""
    scheduler = make_scheduler(Spec.model_validate(SPEC), SPACES["quick"], [])
    (bracket,) = scheduler._brackets  # type: ignore[attr-defined]
    (_, recorded), *_ = reversed(bracket._rungs)
    recorded.update({"old": 3.0, "other": 4.0})
    known_as(scheduler, "old", "new")
    assert recorded == {"new": 3.0, "other": 4.0}


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Two raylets that may run a trial each, beside one that may not."""
    for name, value in DRIVER_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def short(config: dict[str, Any], starts: str) -> None:
    """Say where it runs; the first time, wait to be killed."""
    with Path(starts).open("a") as file:
        file.write(f"{config['number']} {ray.get_runtime_context().get_node_id()} {os.getpid()}\n")
    if len(_starts(Path(starts), config["number"])) == 1:
        time.sleep(600)
    report = {"progress": 1.0, "reach": 8, "rows": [], "ended_by": "top"}
    tune.report({"progress": 1.0, "training_gflop": 1.0, "report": json.dumps(report)})


def deadly(config: dict[str, Any], starts: str) -> None:
    """Kill the worker."""
    with Path(starts).open("a") as file:
        file.write(f"{config['number']} node {os.getpid()}\n")
    os.kill(os.getpid(), signal.SIGKILL)


def _starts(starts: Path, number: int) -> list[list[str]]:
    lines = starts.read_text().splitlines() if starts.exists() else []
    return [line.split() for line in lines if line.split()[0] == str(number)]


def searched(tmp_path: Path, trainable: Callable[..., None], starts: Path) -> Ledger:
    """A search of one trial with this in place of training."""
    folder = SearchFolder(tmp_path, "s")
    folder.create("")
    ledger, space = Ledger(folder), SPACES["quick"]
    study = restore_study(folder.journal, "s", space, ledger)
    search = StudySearch(space, study, ledger, lambda n: make_sampler("random", 7, n), 1)
    scheduler = make_scheduler(Spec.model_validate(SPEC), space, [])
    own = tune.with_resources(tune.with_parameters(trainable, starts=str(starts)), {"cpu": 1})
    make_tuner(own, search, scheduler, folder, concurrency=1).fit()
    return ledger


@pytest.mark.slow
def test_a_lost_node_and_three_deaths(tmp_path: Path, two_nodes: Cluster) -> None:
    """The trial of a raylet that was killed ends on the other one; one that kills is an error."""
    starts = tmp_path / "starts"

    def kill() -> None:
        while not (found := _starts(starts, 0)):
            time.sleep(0.1)
        (there,) = (n for n in two_nodes.worker_nodes if n.node_id == found[0][1])
        two_nodes.remove_node(there, allow_graceful=False)

    threading.Thread(target=kill, daemon=True).start()
    ledger = searched(tmp_path / "lost", short, starts)
    (_, first, _), (_, second, _) = _starts(starts, 0)
    assert first != second
    assert ledger.records[0].ended_by == "top"

    deaths = tmp_path / "deaths"
    record = searched(tmp_path / "deadly", deadly, deaths).records[0]
    assert len(_starts(deaths, 0)) == 3
    assert (record.ended_by, record.error) == ("error", "its worker died 3 times")
