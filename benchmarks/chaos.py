"""A search while things are killed, against the same search left in peace.

    python -m benchmarks.chaos [--trials 60] [--seed 0] [--every 6] [--to DIR]

Every few seconds one of these is killed with SIGKILL, drawn with a fixed seed: a worker in a trial;
the driver, or the whole host (driver, raylet, GCS and workers), each followed by ``longspan
resume``; Ray's raylet or its GCS, which the driver must notice; the MLflow server, which is started
again. Or a worker or the server stands still for some seconds, as on a slow machine. At the end
each trial's outcome must equal, field by field apart from times, that of the same search left in
peace, with no run double or missing, no trial running in Optuna, no key twice in Parquet.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from mlflow.tracking import MlflowClient
from optuna.trial import TrialState

from search.disk import outcomes
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.proposing.study import open_study
from search.scheduling.retries import MOST_DEATHS

SPEC = """\
name: chaos
space: quick
tasks: [{{kind: recall}}]
ladder: {{start: 4, stop: 16, members: 2, quorum: 2, sequences: 1500, test_sequences: 128}}
search: {{trials: {trials}, sampler: random, scheduler: none, seed: 3}}
tracking: {{uri: {uri}}}
controls: off
"""
FAULTS = (
    "worker", "worker", "worker", "server", "driver", "host", "raylet", "gcs", "slow worker",
    "slow server",
)  # fmt: skip
FATAL = ("driver", "host", "raylet", "gcs")
RAYS_OWN = {"raylet": "/raylet/raylet", "gcs": "/gcs/gcs_server"}
TRIALS_A_LIFE = 2
"""A driver lives until this many trials have ended, so that the search gets somewhere."""
TIMES = ("seconds", "peak_memory_bytes", "busy_seconds", "worker")
SECONDS_TO_NOTICE = 20.0
STANDS_STILL = (2.0, 8.0)
"""Seconds, at least and at most."""


class Chaos:
    """One search under fire.

    Attributes:
        survived: how often each thing was killed
    """

    def __init__(self, runs: Path, trials: int, seed: int, every: float) -> None:
        self.runs, self.trials, self.every = runs, trials, every
        self.folder = SearchFolder(runs, "chaos")
        self.draw = random.Random(seed)
        self.survived: Counter[str] = Counter()
        self.server = Server(runs)
        self._sessions: set[int] = set()
        self._ended_before = 0
        self._driver: subprocess.Popen[bytes] | None = None

    def run(self, peaceful: bool) -> None:
        """The search, from its first command to its end."""
        self.runs.mkdir(parents=True, exist_ok=True)
        self.server.start()
        self.server.wait()  # MLflow does not start on tables that it was killed while making
        spec = self.runs / "chaos.yaml"
        spec.write_text(SPEC.format(trials=self.trials, uri=self.server.uri))
        self._start("search", str(spec))
        while (
            code := self._wait(None if peaceful else self.draw.uniform(0.5, 1.5) * self.every)
        ) != 0:
            if code is not None:
                self._sweep()
                self._start("resume", "chaos")
            elif not peaceful:
                self._strike()
        if not peaceful:  # what the server missed while it was away at the end
            self.server.wait()
            self._start("resume", "chaos")
            self._wait(None)

    def _start(self, *command: str) -> None:
        if not self.folder.exists and command[0] == "resume":
            command = ("search", str(self.runs / "chaos.yaml"))
        longspan = Path(sys.executable).parent / "longspan"
        with (self.runs / "driver.log").open("ab") as log:
            self._driver = subprocess.Popen(
                [str(longspan), *command, "--runs", str(self.runs)],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

        self._sessions.add(self._driver.pid)
        self._ended_before = self._ended()

    def _wait(self, seconds: float | None) -> int | None:
        """How the driver ended; None if it has not."""
        assert self._driver is not None
        try:
            return self._driver.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def _strike(self) -> None:
        fault = self.draw.choice(FAULTS)
        if fault in FATAL and self._ended() < self._ended_before + TRIALS_A_LIFE:
            return
        if fault == "worker" and self._would_be_blamed():
            return
        if fault == "server":
            self.server.kill()
            time.sleep(self.draw.uniform(0, 2))
            self.server.start()
        elif fault == "slow server":
            self.server.stand_still(self.draw.uniform(*STANDS_STILL))
        elif not (found := self._struck(fault)):
            return
        elif fault == "slow worker":
            _stand_still(os.kill, found[0], self.draw.uniform(*STANDS_STILL))
        else:
            _kill(found)
        self.survived[fault] += 1
        print(f"{time.strftime('%H:%M:%S')} {fault}", flush=True)
        if fault in RAYS_OWN and self._wait(SECONDS_TO_NOTICE) is None:
            self._sweep()

    def _would_be_blamed(self) -> bool:
        """Whether one more dead worker might be a trial's third, which is an error by right."""
        records = Ledger(self.folder).records.values()
        return any(record.deaths >= MOST_DEATHS for record in records if not record.finished)

    def _struck(self, fault: str) -> list[int]:
        """The processes that a fault befalls."""
        assert self._driver is not None
        if fault == "driver":
            return [self._driver.pid]
        there = self._processes()
        if fault in RAYS_OWN:
            return [pid for pid, command in there.items() if RAYS_OWN[fault] in command]
        if fault == "host":
            return list(there)
        workers = sorted(
            pid
            for pid, command in there.items()
            if command.startswith("ray::") and "Agent" not in command
        )
        return [self.draw.choice(workers)] if workers else []

    def _sweep(self) -> None:
        """End what a driver that died has left."""
        _kill(self._processes())

    def _processes(self) -> dict[int, str]:
        """Command lines, by id, of the processes in the sessions of this search's drivers."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                session = (process / "stat").read_text().rpartition(")")[2].split()[3]
                if int(session) in self._sessions:
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(process.name)] = command.decode(errors="replace").strip()
        return found

    def _ended(self) -> int:
        return sum(record.finished for record in Ledger(self.folder).records.values())

    def outcome(self) -> dict[int, Any]:
        """What became of each trial, without times and the workers that it lost."""
        return {n: _timeless(r.to_json()) for n, r in Ledger(self.folder).records.items()}

    def complaints(self) -> list[str]:
        """What does not agree among ledger, study, MLflow and Parquet."""
        numbers, found = list(range(self.trials)), []
        if sorted(Ledger(self.folder).records) != numbers:
            found.append("the ledger lacks trials")
        states = [t.state for t in open_study(self.folder.journal, "chaos").get_trials()]
        if states != [TrialState.COMPLETE] * self.trials:
            found.append(f"Optuna: {Counter(state.name for state in states)}")
        table = outcomes.read(self.folder.outcomes)
        keys = list(zip(*(table[key].to_pylist() for key in outcomes.KEY), strict=True))
        if len(keys) != len(set(keys)) or {key[0] for key in keys} != set(numbers):
            found.append("Parquet: a key twice, or a trial without rows")
        client = MlflowClient(self.server.uri)
        experiment = client.get_experiment_by_name("longspan")
        runs = client.search_runs([experiment.experiment_id], max_results=5000)
        recorded = [run.data.tags.get("longspan.trial") for run in runs]
        if Counter(recorded) != Counter([None, *map(str, numbers)]):
            found.append(f"MLflow: {Counter(recorded)}")
        if any(run.info.status != "FINISHED" for run in runs):
            found.append(f"MLflow: {Counter(run.info.status for run in runs)}")
        return found


class Server:
    """``mlflow server`` over an SQLite file."""

    def __init__(self, runs: Path) -> None:
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        self._command += ["--port", str(port), "--workers", "1"]
        self._command += ["--backend-store-uri", f"sqlite:///{runs / 'server.db'}"]
        self._command += ["--artifacts-destination", str(runs / "artifacts")]
        self._log = runs / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in a process group of its own."""
        alone = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # as `longspan ui`
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=alone, start_new_session=True
            )

    def wait(self) -> None:
        """Until it answers.

        Raises:
            RuntimeError: if it has ended by itself.
        """
        while True:
            with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                return
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"the MLflow server ended; see {self._log}")
            time.sleep(0.5)

    def kill(self) -> None:
        """Kill it and its workers."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stand_still(self, seconds: float) -> None:
        """Neither it nor its workers do anything, though connections to it stay open."""
        if self._process:
            _stand_still(os.killpg, self._process.pid, seconds)


def _kill(processes: Iterable[int]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _stand_still(send: Callable[[int, int], None], process: int, seconds: float) -> None:
    with suppress(ProcessLookupError):
        send(process, signal.SIGSTOP)
        time.sleep(seconds)
        send(process, signal.SIGCONT)


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        dropped = (*TIMES, "started_ms", "ended_ms", "losses", "deaths")
        return {k: _timeless(v) for k, v in value.items() if k not in dropped}
    if isinstance(value, list):
        return [_timeless(entry) for entry in value]
    return value


def main() -> int:
    """Run both searches, compare them, print the count of faults survived."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=float, default=6.0, help="mean seconds between two faults")
    parser.add_argument("--to", type=Path, help="an empty folder; a temporary one without it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        to = (asked.to or Path(temporary)).absolute()
        chaos = Chaos(to / "chaos", asked.trials, asked.seed, asked.every)
        peace = Chaos(to / "peace", asked.trials, asked.seed, asked.every)
        try:
            for search in (chaos, peace):
                started = time.monotonic()
                search.run(peaceful=search is peace)
                print(f"{search.runs.name}: {time.monotonic() - started:.0f} s", flush=True)
            found = chaos.complaints() + peace.complaints()
            one, other = chaos.outcome(), peace.outcome()
            found += [f"trial {n} differs" for n in other if one.get(n) != other[n]]
        finally:
            for search in (chaos, peace):
                search._sweep()
                search.server.kill()
    killed = ", ".join(f"{count} {fault}" for fault, count in sorted(chaos.survived.items()))
    print(f"{sum(chaos.survived.values())} faults survived ({killed}); {asked.trials} trials")
    for complaint in found:
        print(f"NOT AS IN PEACE: {complaint}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
