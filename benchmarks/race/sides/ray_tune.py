"""The recipe of Ray Tune's documentation: a function, OptunaSearch, ASHA, MLflow's callback."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.race.candidates import announce
from benchmarks.race.course import ROUND, course_of, rounds
from search.proposing.draws import nested
from search.spec.spaces import find_space


class Announce(tune.Callback):
    """Tells of each trial that passes."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **_: Any
    ) -> None:
        """Tune's hook."""
        if result["passed"]:
            announce(self.file, nested(trial.config))


def main(path: str, seed: int, folder: Path) -> None:
    """Tune until the process is ended."""
    spec = course_of(path)

    def objective(config: dict[str, Any]) -> None:
        for heard in rounds(course_of(path), nested(config), seed):
            tune.report({"success": heard.success, "passed": heard.passed})

    space = find_space(spec)
    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    tuner = tune.Tuner(
        tune.with_resources(objective, {"cpu": 1}),
        tune_config=tune.TuneConfig(
            metric="success",
            mode="max",
            num_samples=spec.search.trials,
            search_alg=OptunaSearch(space=space, metric="success", mode="max", seed=seed),
            scheduler=ASHAScheduler(max_t=-(-spec.ladder.sequences // ROUND)),
        ),
        run_config=tune.RunConfig(
            storage_path=str(folder.resolve()),
            verbose=0,
            callbacks=[
                MLflowLoggerCallback(f"sqlite:///{folder}/mlflow.db", experiment_name="race"),
                Announce(folder / "candidates"),
            ],
        ),
    )
    tuner.fit()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
