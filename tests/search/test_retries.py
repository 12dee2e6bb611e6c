"""A node that is lost is not held against its trial; a worker that dies is, three times."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
import torch
from ray import tune
from ray.cluster_utils import Cluster
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayTaskError
from ray.tune.search import Searcher

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.proposing.samplers import make_sampler
from search.proposing.searcher import StudySearch
from search.proposing.study import restore_study
from search.scheduling.ray_session import DRIVER_ENVIRONMENT
from search.scheduling.retries import MOST_LOSSES, Retries, WorkerLostTo, worker_lost_to
from search.scheduling.scheduler import make_scheduler
from search.scheduling.tuner import make_tuner
from search.spec import Spec
from spaces import SPACES
from trainables.files.whole_files import read_json, write_json

LOST = "The actor died because its node has died. Node Id: 1"
SPEC = {"name": "s", "space": "quick", "tasks": [{"kind": "recall"}]}


def in_the_trial(cause: Exception) -> RayTaskError:
    return RayTaskError("train", "traceback", cause)


@pytest.mark.parametrize(
    ("error", "lost_to"),
    [
        (RayActorError(error_msg=LOST), "node"),
        (ActorUnavailableError("Socket closed", b"1" * 16), "node"),
        (RayActorError(error_msg="Worker exits", preempted=True), "node"),
        (RayActorError(error_msg="Worker unexpectedly exits"), "death"),
        (ActorDiedError(), "death"),
        (in_the_trial(torch.OutOfMemoryError("CUDA out of memory")), "memory"),
        (in_the_trial(RayActorError(error_msg=LOST)), "node"),
        (in_the_trial(ValueError(LOST)), "death"),
        (None, "death"),
    ],
)
def test_what_took_a_worker(error: Exception | None, lost_to: WorkerLostTo) -> None:
    assert worker_lost_to(error) == lost_to


class Driver:
    """The searcher and what decides on its trials, as after the driver started anew."""

    def __init__(self, folder: SearchFolder, trials: int = 1) -> None:
        ledger, space = Ledger(folder), SPACES["quick"]
        study = restore_study(folder.journal, "s", space, ledger)
        self.search = StudySearch(
            space, study, ledger, lambda n: make_sampler("random", 7, n), trials
        )
        self.retries, self.lives = Retries(self.search, ledger), 0

    def start(self) -> Any:
        """What is handed out next."""
        self.lives += 1
        return self.search.suggest(f"life {self.lives}")

    def lose(self, number: int, to: WorkerLostTo) -> None:
        """What was started last loses its worker."""
        self.search.on_trial_complete(f"life {self.lives}", None, error=True)
        self.retries.decide(f"life {self.lives}", number, to)


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    folder = SearchFolder(tmp_path, "s")
    folder.create("")
    return folder


def test_the_third_death_ends_a_trial(folder: SearchFolder) -> None:
    driver = Driver(folder)
    for _ in range(3):
        assert driver.start()["number"] == 0
        assert not Ledger(folder).records[0].finished
        driver.lose(0, "death")
    record = Ledger(folder).records[0]
    assert (record.ended_by, record.error) == ("error", "its worker died 3 times")
    assert driver.start() == Searcher.FINISHED


def test_deaths_are_counted_over_a_resume(folder: SearchFolder) -> None:
    """A trial that kills its workers gets three of them, however often the search is resumed."""
    for _ in range(3):
        driver = Driver(folder)
        assert driver.start()["number"] == 0
        driver.lose(0, "death")
    assert Ledger(folder).records[0].error == "its worker died 3 times"
    assert Driver(folder).search.left == 0


def test_a_lost_node_is_not_held_against_a_trial(folder: SearchFolder) -> None:
    driver = Driver(folder)
    proposed = driver.start()
    for _ in range(10):
        driver.lose(0, "node")
        assert driver.start() == proposed
    record = Ledger(folder).records[0]
    assert (record.finished, record.losses, record.deaths) == (False, 10, 0)


def test_a_worker_that_dies_after_its_trial_has_ended_is_nobodys(folder: SearchFolder) -> None:
    """Tune says so of a worker that dies while it is being stopped."""
    driver = Driver(folder)
    driver.start()
    report = {"progress": 1.0, "reach": 8, "rows": [], "ended_by": None}
    driver.search.on_trial_complete("life 1", {"report": json.dumps(report)})
    driver.lose(0, "death")
    record = Ledger(folder).records[0]
    assert (record.ended_by, record.deaths) == ("pruned", 0)
    assert driver.start() == Searcher.FINISHED


def test_a_trial_that_nothing_holds_is_ended_at_last(folder: SearchFolder) -> None:
    driver = Driver(folder)
    for _ in range(MOST_LOSSES + 1):
        assert driver.start()["number"] == 0
        driver.lose(0, "node")
    assert Ledger(folder).records[0].error == "its worker was lost 101 times"


def test_only_out_of_memory_a_trial_is_given_the_whole_device(folder: SearchFolder) -> None:
    driver = Driver(folder, trials=2)
    first = driver.start()
    lost_to: WorkerLostTo
    for lost_to, whole in (("node", False), ("death", False), ("memory", True), ("node", True)):
        driver.lose(0, lost_to)
        assert driver.start() == {**first, "whole_device": whole}
    assert not driver.start()["whole_device"]


def test_a_record_of_an_older_version_has_lost_nothing(folder: SearchFolder) -> None:
    Driver(folder).start()
    file = folder.trial(0) / "record.json"
    old = {k: v for k, v in read_json(file).items() if k not in ("losses", "deaths")}
    write_json(file, old)
    record = Ledger(folder).records[0]
    assert (record.losses, record.deaths) == (0, 0)


@pytest.mark.parametrize("lost", [OSError(errno.ENOSPC, "No space left on device"), None])
def test_a_disk_that_is_full_ends_the_search(
    folder: SearchFolder, tmp_path: Path, lost: OSError | None
) -> None:
    """It is no death of the trial's worker."""
    driver = Driver(folder)
    driver.start()
    file = tmp_path / "error.pkl"
    file.write_bytes(ray.cloudpickle.dumps(lost))
    trial = SimpleNamespace(trial_id="life 1", config={"number": 0}, pickled_error_file=str(file))
    with pytest.raises(OSError, match="No space left") if lost else nullcontext():
        driver.retries.on_trial_error(1, [], trial)
    assert Ledger(folder).records[0].losses == (0 if lost else 1)


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
    make_tuner(own, search, scheduler, ledger, folder, concurrency=1).fit()
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
