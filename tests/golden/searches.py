"""The searches of the golden file, run by the real command and read from what lies on disk.

They are read by a few lines of their own, so that the code may be moved about without this. One
space, fixed seeds, no scheduler: what is measured does not depend on the time it took.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

COMMAND = Path(sys.executable).parent / "longspan"
DIGITS = Path(__file__).parents[2] / "examples" / "data" / "digits.parquet"
SPACE = Path(__file__).parent / "space.yaml"

TWO_TASKS = f"""\
name: two-tasks
space: {SPACE}
tasks:
  - {{kind: recall}}
  - {{kind: parquet, path: {DIGITS}, sequence: pixels, target: label}}
ladder:
  {{start: 4, stop: 8, members: 2, quorum: 1, success: 0.25, sequences: 1600, test_sequences: 128,
  looks: whole}}
search: {{trials: 6, sampler: random, scheduler: none, seed: 3}}
controls: off
"""
"""Some trials climb both tasks to the top, some fail the second."""

PROPOSED = f"""\
name: proposed
space: {SPACE}
tasks: [{{kind: copying, symbols: 2}}]
ladder:
  {{start: 4, stop: 8, members: 1, quorum: 1, success: 0.2, sequences: 1000, test_sequences: 64,
  looks: whole}}
search:
  trials: 14
  sampler: tpe
  scheduler: none
  seed: 5
  concurrency: 1
  start_with: [{{model/cell/kind: lstm, model/hidden_size: 16}}]
constraints: {{max_parameters: 12000}}
controls: off
"""
"""TPE learns from the eleventh trial on; one after the other, so that it always learns the same."""

TIMES = {"seconds", "peak_memory_bytes", "started_ms", "ended_ms", "busy_seconds", "worker"}
"""What is of the machine and the hour, not of the search."""

SINCE = {
    *("censored_progress", "expected_progress", "final_measured"),
    *("deaths", "losses", "kernels", "environment", "limits"),
}
"""What records and their reports say since the golden file was made."""

ROWS_SINCE = {
    *("data", "control", "control_rate"),
    *("asked", "answers", "answer_rate", "chance", "seen"),
    *("no_gap_rate", "no_gap_sequences", "flops_per_step", "latency"),
}
"""What a row says since then."""

METRICS_SINCE = {
    *("skill", "no_gap", "wrong_answers", "success_at_reach", "lower_bound_at_reach"),
    *(f"limit_{name}" for name in ("gradient", "capacity", "precision", "window", "cost")),
}
"""What MLflow holds of the best since then."""

TABLES = ("curve", "horizon", "trace")


def processor() -> dict[str, str]:
    """The kind of machine on which floats come out the same, bit by bit."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    told = {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}
    return {
        "model": "{}, family {}, model {}".format(
            *(told.get(key, "unknown") for key in ("model name", "cpu family", "model"))
        ),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
    }


def in_peace(runs: Path, spec: str) -> dict[str, Any]:
    """What a search comes to that nobody disturbs."""
    _run("search", str(_written(runs, spec)), "--runs", str(runs))
    return read(runs, _name(spec))


def cut_off_and_resumed(runs: Path, spec: str, after: int) -> dict[str, Any]:
    """What a search comes to whose driver is struck by ``kill -9`` once ``after`` trials ended."""
    cut_off(runs, spec, after)
    _run("resume", _name(spec), "--runs", str(runs))
    return read(runs, _name(spec))


def made_longer(runs: Path, spec: str, trials: int, stop: int) -> dict[str, Any]:
    """What the search that lies in ``runs`` comes to with more trials and a longer ladder."""
    longer = ("--trials", str(trials), "--stop", str(stop))
    _run("resume", _name(spec), "--runs", str(runs), *longer)
    return read(runs, _name(spec))


def cut_off(runs: Path, spec: str, after: int) -> None:
    """Run a search and kill its driver in the middle.

    Raises:
        RuntimeError: if it ended by itself before.
    """
    with (runs / "driver.log").open("w") as log:
        driver = subprocess.Popen(
            [str(COMMAND), "search", str(_written(runs, spec)), "--runs", str(runs)],
            stdout=log,
            stderr=log,
            env=_environment(),
            start_new_session=True,
        )
        while sum(bool(r["ended_by"]) for r in records(runs, _name(spec))) < after:
            if driver.poll() is not None:
                raise RuntimeError((runs / "driver.log").read_text())
            time.sleep(0.05)
        driver.send_signal(signal.SIGKILL)
        driver.wait()


def read(runs: Path, name: str) -> dict[str, Any]:
    """Everything a search measured, without times: its Parquet, its records, MLflow's points."""
    files = sorted((runs / name / "outcomes").glob("*.parquet"))
    rows = [timeless(row) for file in files for row in pq.read_table(file).to_pylist()]
    rows.sort(key=lambda row: (row["trial"], row["task"], row["lag"], row["member"]))
    found = records(runs, name)
    return {
        "outcomes": table(rows),
        "trials": {f"{record['number']:05d}": _trial(record, rows) for record in found},
        "mlflow": _points(runs / "mlflow.db"),
    }


def records(runs: Path, name: str) -> list[dict[str, Any]]:
    """The record of every trial, by number."""
    files = sorted((runs / name / "trials").glob("[0-9]*/record.json"))
    return [json.loads(file.read_text())["value"] for file in files]


def timeless(row: dict[str, Any]) -> dict[str, Any]:
    """The row without what is of the machine, or was not told when the golden file was made."""
    since = TIMES | ROWS_SINCE | {key for key in row if "/" in key}  # parameters, by their paths
    return {key: value for key, value in row.items() if key not in since}


def table(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Rows alike, their keys told once."""
    columns = list(rows[0]) if rows else []
    return {"columns": columns, "rows": [[row[column] for column in columns] for row in rows]}


def _trial(record: dict[str, Any], outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    """A record, with its tables; its rows are told by the Parquet, and must be the same."""
    told = timeless(record["report"])
    report = {key: value for key, value in told.items() if key not in SINCE}
    own = sorted(
        map(timeless, report.pop("rows")), key=lambda r: (r["task"], r["lag"], r["member"])
    )
    kept = [
        {key: value for key, value in row.items() if key not in ("trial", "configuration")}
        for row in outcomes
        if row["trial"] == record["number"]
    ]
    if own != kept:
        raise ValueError(f"trial {record['number']}: its record and its Parquet differ")
    tables = {key: table(report.pop(key)) for key in TABLES}
    later = {"report", *SINCE}
    own_fields = {key: value for key, value in timeless(record).items() if key not in later}
    return {**own_fields, "report": report, **tables}


def _points(database: Path) -> dict[str, dict[str, int]]:
    """How many points of each metric MLflow holds, by trial.

    Without those that it holds since: lags by training sequences, and a look at the end of a rung.
    """
    query = (
        "SELECT tags.value, metrics.key, COUNT(*) FROM metrics "
        "JOIN runs ON runs.run_uuid = metrics.run_uuid AND runs.lifecycle_stage = 'active' "
        "JOIN tags ON tags.run_uuid = metrics.run_uuid AND tags.key = 'longspan.trial' "
        "WHERE metrics.key NOT LIKE 'by_sequence/lag_%' AND (metrics.key NOT LIKE "
        "'by_sequence/success_%' OR EXISTS (SELECT 1 FROM metrics AS beside WHERE "
        "beside.run_uuid = metrics.run_uuid AND beside.step = metrics.step AND "
        "beside.key = replace(metrics.key, 'success', 'loss'))) "
        "GROUP BY tags.value, metrics.key"
    )
    found: dict[str, dict[str, int]] = {}
    with closing(sqlite3.connect(database)) as connection:
        for trial, metric, count in connection.execute(query):
            if metric.partition("/")[0] not in METRICS_SINCE:
                found.setdefault(f"{int(trial):05d}", {})[metric] = count
    return found


def _written(runs: Path, spec: str) -> Path:
    path = runs / f"{_name(spec)}.yaml"
    path.write_text(spec)
    return path


def _name(spec: str) -> str:
    return spec.splitlines()[0].removeprefix("name: ")


def _environment() -> dict[str, str]:
    """That of this process, with the kernels off, whose floats are others than plain torch's."""
    return {**os.environ, "LONGSPAN_KERNELS": "off"}


def _run(*arguments: str) -> None:
    done = subprocess.run(
        [str(COMMAND), *arguments], capture_output=True, text=True, env=_environment()
    )
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)
