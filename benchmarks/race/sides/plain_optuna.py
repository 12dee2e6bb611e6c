"""Optuna by itself: its TPE sampler and median pruner, one journal, two processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from benchmarks.race.candidates import announce
from benchmarks.race.course import course_of, rounds
from search.proposing.draws import proposed
from search.spec.spaces import find_space

PROCESSES = 2


def work(path: str, seed: int, folder: Path, worker: int) -> None:
    """One process."""
    spec = course_of(path)
    space = find_space(spec)
    study = optuna.create_study(
        study_name="race",
        storage=JournalStorage(JournalFileBackend(str(folder / "journal"))),
        sampler=optuna.samplers.TPESampler(seed=seed * PROCESSES + worker),
        pruner=optuna.pruners.MedianPruner(),
        direction="maximize",
        load_if_exists=True,
    )

    def objective(trial: optuna.Trial) -> float:
        best, chosen = 0.0, proposed(space, trial)
        for step, heard in enumerate(rounds(spec, chosen, seed)):
            best = max(best, heard.success)
            trial.report(heard.success, step)
            if heard.passed:
                announce(folder / "candidates", chosen)
            elif trial.should_prune():
                raise optuna.TrialPruned
        return best

    study.optimize(objective, n_trials=spec.search.trials)


def main(path: str, seed: int, folder: Path) -> None:
    """Both processes, until they are ended."""
    command = [sys.executable, "-m", __spec__.name, path, str(seed), str(folder)]
    others = [subprocess.Popen([*command, str(worker)]) for worker in range(1, PROCESSES)]
    work(path, seed, folder, 0)
    for other in others:
        other.wait()


if __name__ == "__main__":
    path, seed, folder, *worker = sys.argv[1:]
    if worker:
        work(path, int(seed), Path(folder), int(worker[0]))
    else:
        main(path, int(seed), Path(folder))
