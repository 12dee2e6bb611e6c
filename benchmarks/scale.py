"""What a trial costs the driver as a search grows, with a trial that takes no time.

    python -m benchmarks.scale [--trials 10000] [--to DIR] [--record 50]

The searcher, the scheduler's rule, the ledger and the outcomes are driven as Tune drives them:
proposed, one report, ended. At 100, 1,000 and 10,000 trials: milliseconds a trial since the size
before, Optuna's ask by TPE with and without a bounded history, the time to go on after a crash
(ledger, outcomes, study and scheduler, read and checked), MLflow's time a trial in the recorder's
thread, and memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
from rich.console import Console
from rich.table import Table

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.proposing.bounded_study import BoundedStudy
from search.proposing.samplers import make_sampler
from search.proposing.searcher import StudySearch
from search.proposing.study import restore_study
from search.recording.tracker import Tracker
from search.scheduling.scheduler import make_scheduler
from search.spec import Spec
from spaces import SPACES
from trainables.measure.records import MemberRung, TracePoint
from trainables.measure.report import Report

SIZES = (100, 1_000, 10_000)
ASKS = 5
SPEC = Spec.model_validate({"name": "scale", "space": "article", "tasks": [{"kind": "recall"}]})


def report(number: int) -> Report:
    """What a trial of ten members' rungs reports."""
    rows = tuple(
        MemberRung(
            "recall", 8 * 2 ** (place // 3), place % 3, "solved", 0.99, 0.9, test_sequences=512,
            looks=1, sequences=1000, seconds=1.0, training_gflop=2.0, parameters=10, state_bytes=4,
            peak_memory_bytes=1,
        )
        for place in range(10)
    )  # fmt: skip
    trace = tuple(TracePoint("recall", 8, 0, n, 0.5, 0.5) for n in range(100, 2100, 100))
    return Report(
        progress=3.0 + (number * 7919 % 997) / 997, reach=8, reaches={"recall": 8},
        training_gflop=20.0, sequences=10_000, ended_by="failed_rung", rows=rows, trace=trace,
        busy_seconds=1.0,
    )  # fmt: skip


def run(search: StudySearch, scheduler: Any, first: int, last: int) -> float:
    """Milliseconds a trial."""
    started = time.perf_counter()
    for number in range(first, last):
        name = f"t{number}"
        search.suggest(name)
        measured = report(number)
        result = {
            "progress": measured.progress,
            "training_gflop": measured.training_gflop,
            "report": json.dumps(measured.to_json()),
        }
        search.on_trial_result(name, result)
        scheduler.on_trial_result(None, SimpleNamespace(config={"number": number}), result)
        search.on_trial_complete(name, result)
    return 1000 * (time.perf_counter() - started) / (last - first)


def timed(do: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came of it."""
    started = time.perf_counter()
    found = do()
    return time.perf_counter() - started, found


def ask(study: optuna.Study) -> float:
    """Median milliseconds of a proposal by TPE; the trials asked for are not kept."""
    space, found = SPACES[SPEC.space], []
    for number in range(ASKS):
        study.sampler = make_sampler("tpe", 0, number)
        seconds, trial = timed(study.ask)
        seconds += timed(lambda trial=trial: space(trial))[0]
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        found.append(1000 * seconds)
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=SIZES[-1])
    parser.add_argument("--to", type=Path, help="a folder; a temporary one without it")
    parser.add_argument("--record", type=int, default=50, help="trials to record at each size")
    asked = parser.parse_args()
    table = Table("trials", "driver ms", "ask, bounded ms", "ask, all ms", "restore s", "MLflow ms",
                  "memory MB")  # fmt: skip
    with tempfile.TemporaryDirectory(dir=asked.to) as to:
        folder = SearchFolder(Path(to), "scale")
        folder.create(SPEC.to_yaml())
        space, done = SPACES[SPEC.space], 0
        scheduler = make_scheduler(SPEC, space, [])
        tracker = Tracker(SPEC, folder)
        for size in [size for size in SIZES if size <= asked.trials]:
            ledger = Ledger(folder)
            study = restore(folder, ledger)
            search = StudySearch(space, study, ledger, lambda n: make_sampler("random", 0, n), size)
            cost = run(search, scheduler, done, size)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            seconds, (ledger, study) = timed(lambda: go_on(folder))
            bounded = ask(study)
            with study.showing_all():
                every = ask(study)
            tracker.connect()
            to_send = list(ledger.records.values())[-asked.record :]
            sending = timed(lambda to_send=to_send: [tracker.send(r) for r in to_send])[0]
            figures = (cost, bounded, every)
            table.add_row(
                f"{size:,}", *(f"{figure:.1f}" for figure in figures), f"{seconds:.1f}",
                f"{1000 * sending / len(to_send):.0f}", f"{memory:.0f}",
            )  # fmt: skip
            print(size, figures, seconds, 1000 * sending / len(to_send), memory, flush=True)
            done = size
    Console(width=120).print(table)


def go_on(folder: SearchFolder) -> tuple[Ledger, BoundedStudy]:
    """All that a resume does before its first proposal."""
    ledger = Ledger(folder)
    ledger.mend_outcomes()
    study = restore(folder, ledger)
    make_scheduler(SPEC, SPACES[SPEC.space], ledger.records.values())
    return ledger, study


def restore(folder: SearchFolder, ledger: Ledger) -> BoundedStudy:
    """As when a search goes on."""
    return restore_study(folder.journal, "scale", SPACES[SPEC.space], ledger)


if __name__ == "__main__":
    main()
