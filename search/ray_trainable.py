"""What a Ray worker runs: one trial, reporting to Tune."""

from __future__ import annotations

import json
import os
import socket
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ray import tune

from search.spec import Spec
from trainables.config import TrialConfig
from trainables.trial import TrialSpec, run_trial


def train(config: dict[str, Any], spec: dict[str, Any], trials: str) -> None:
    """Run the trial ``config["number"]`` of a search.

    A trial that fails for a reason of its own is an outcome like any other; a worker that dies is
    Tune's to start again, and goes on from the trial's checkpoint.

    Args:
        config: what the searcher handed out
        spec: the search's spec, plain
        trials: the folder under which trials have theirs
    """
    searched = Spec.model_validate(spec)
    torch.set_num_threads(max(1, int(searched.resources.cpus)))
    reporter = TuneReporter(time.monotonic())
    try:
        trial = TrialSpec(
            config=TrialConfig.model_validate(config["configuration"]),
            tasks=searched.tasks_by_name,
            ladder=searched.ladder,
            seed=searched.search.seed,
        )
        device = torch.device("cuda" if searched.resources.gpus > 0 else "cpu")
        run_trial(trial, Path(trials) / f"{config['number']:05d}", reporter, device)
    except Exception as error:
        traceback.print_exc()
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        reporter({**reporter.last, "ended_by": "error", "error": reason}, None)
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class TuneReporter:
    """Hands reports to Tune, as one JSON string, and counts the time that training itself took."""

    def __init__(self, started: float) -> None:
        self._started, self._waited = started, 0.0
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self.last: dict[str, Any] = {"progress": 0.0, "reach": 0, "training_gflop": 0.0, "rows": []}

    def __call__(self, metrics: Mapping[str, Any], checkpoint: Path | None) -> None:
        """Report, and wait until Tune lets the trial go on."""
        now = time.monotonic()
        busy_seconds = now - self._started - self._waited
        self.last = {**metrics, "busy_seconds": busy_seconds, "worker": self._worker}
        tune.report(
            {
                "progress": self.last["progress"],
                "training_gflop": self.last["training_gflop"],
                "report": json.dumps(self.last),
            }
        )
        self._waited += time.monotonic() - now
