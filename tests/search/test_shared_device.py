"""Out of the memory of a device that it shares, a trial is started once more, alone on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from ray import tune
from ray.tune.search import Searcher

from search.disk.record import Record
from search.scheduling.resources import of_trial
from search.scheduling.retries import Retries
from search.spec import ResourcesConfig


class Again(Searcher):
    """Hands out one trial, and again when it is lost."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(metric="progress", mode="max")
        self.config, self.alone, self.waiting = config, list[bool](), True

    def suggest(self, trial_id: str) -> Any:
        if not self.waiting:
            return None if self.config else Searcher.FINISHED
        self.waiting = False
        return {**self.config, "whole_device": any(self.alone)}

    def is_under_way(self, trial_id: str) -> bool:
        return True

    def hand_out_again(self, trial_id: str, alone: bool) -> None:
        self.alone.append(alone)
        self.waiting = True

    def end(self, trial_id: str, ended_by: str, error: str | None) -> None:
        """Never: it is lost once."""

    def lost_its_worker(self, number: int, died: bool) -> Record:
        assert not died
        return Record(number, {}, {}, "", 0, losses=1)

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
    """As `search.scheduling.tuner` runs a trial."""
    asked = ResourcesConfig(gpus=0.5)
    tune.Tuner(
        tune.with_resources(trainable, lambda c: of_trial(asked, c["whole_device"])),
        tune_config=tune.TuneConfig(search_alg=searcher, num_samples=-1, reuse_actors=True),
        run_config=tune.RunConfig(
            storage_path=str(folder),
            callbacks=[Retries(searcher, searcher)],
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
    assert searcher.alone == [True]
    assert starts.read_text().split() == ["0.5", "1.0"]
