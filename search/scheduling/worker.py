"""What a Ray worker runs: one trial, reporting to Tune."""

from __future__ import annotations

import json
import os
import socket
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from ray import tune
from ray.exceptions import RayError

from search.cluster.trial_folders import trial_folder
from search.scheduling.preparation import prepare, shares_its_device
from search.scheduling.retries import disk_failed
from search.spec import Spec, revive
from trainables.encoding.encoding import Encoding
from trainables.measure.report import Report
from trainables.messages import named
from trainables.trial import run_trial


def train(
    config: dict[str, Any],
    spec: dict[str, Any],
    trials: str,
    store: Any = None,
    encodings: Mapping[str, Encoding] = {},
) -> None:
    """Run the trial ``config["number"]`` of a search.

    A trial that fails for a reason of its own is an outcome like any other; a worker that dies is
    Tune's to start again, and goes on from the trial's checkpoint.

    Args:
        config: what the searcher handed out
        spec: the search's spec, plain
        trials: the folder under which trials have theirs
        store: where the folders are kept, if on another machine (`search.cluster.trial_folders`)
        encodings: those that the search keeps, by task
    """
    searched = revive(spec)
    with trial_folder(Path(trials), config["number"], store) as (folder, send):
        reporter = TuneReporter(time.monotonic(), send)
        _train(config, searched, folder, reporter, encodings)


def _train(
    config: dict[str, Any],
    searched: Spec,
    folder: Path,
    reporter: TuneReporter,
    encodings: Mapping[str, Encoding],
) -> None:
    whole_device = config.get("whole_device", False)
    try:
        trial, device = prepare(searched, config["configuration"], whole_device, encodings)
        run_trial(trial, folder, reporter, device)
    except RayError:  # the cluster's failure, not the trial's
        raise
    except Exception as error:
        shared = shares_its_device(searched.resources, whole_device)
        alone_next = shared and isinstance(error, torch.OutOfMemoryError)
        if alone_next or disk_failed(error):
            raise  # see `search.scheduling.retries`
        traceback.print_exc()
        reporter(replace(reporter.last, ended_by="error", error=named(error)), None)
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class TuneReporter:
    """Hands reports to Tune, as one JSON string, and counts the time that training itself took.

    Args:
        send: called before each report, so that what it speaks of is kept
    """

    def __init__(self, started: float, send: Callable[[], None]) -> None:
        self._started, self._waited, self._send = started, 0.0, send
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self.last = Report()

    def __call__(self, report: Report, checkpoint: Path | None) -> None:
        """Report, and wait until Tune lets the trial go on."""
        now = time.monotonic()
        busy_seconds = now - self._started - self._waited
        self.last = replace(report, busy_seconds=busy_seconds, worker=self._worker)
        self._send()
        tune.report(
            {
                "progress": self.last.progress,
                "expected_progress": self.last.expected_progress,
                "training_gflop": self.last.training_gflop,
                "seconds": self.last.seconds,
                "sequences": self.last.sequences,
                "report": json.dumps(self.last.to_json()),
            }
        )
        self._waited += time.monotonic() - now
