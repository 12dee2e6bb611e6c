"""What a machine is told to be."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from search.cli import app
from search.commands import doctor
from search.disk import versions
from search.scheduling import WORKER_ENVIRONMENT
from trainables.models.kernels import door


def said(*options: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code, and by subject the mark and what was found."""
    result = CliRunner().invoke(app, ["doctor", "--json", *options])
    found = {}
    for one in json.loads(result.output):
        mark = "wrong" if one["wrong"] else "note" if one["advice"] else "ok"
        told = "; ".join(filter(None, (one["found"], one["wrong"] or one["advice"])))
        found[one["about"]] = (mark, told)
    return result.exit_code, found


def test_people_are_told_the_same(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["doctor", "--runs", str(tmp_path)]).output
    together = "".join(told.split())
    for about, (_, found) in said("--runs", str(tmp_path))[1].items():
        assert "".join(about.split()) in together
        if "GiB" not in found and about != "clock":  # which go on
            assert "".join(found.split()) in together


def test_it_says_which_path_recurrences_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, found = said("--runs", str(tmp_path))
    assert code == 0
    assert found["kernels"][1].startswith(door.describe())
    assert found["torch"] == ("ok", versions.versions()["torch"])
    assert found["runs folder"][0] == "ok"
    monkeypatch.setenv(door.SWITCH, "off")
    code, found = said("--runs", str(tmp_path))
    assert (code, found["kernels"][0]) == (0, "note")
    assert found["kernels"][1].startswith("torch: LONGSPAN_KERNELS=off")


def test_it_says_what_workers_are_started_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longspan's own, unless the environment has another."""
    for name in WORKER_ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    ours = ", ".join(f"{name}={value}" for name, value in WORKER_ENVIRONMENT.items())
    assert said("--runs", str(tmp_path))[1]["worker environment"] == ("ok", ours)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    told = said("--runs", str(tmp_path))[1]["worker environment"][1]
    assert told.startswith("OMP_NUM_THREADS=3, ")
    assert told.endswith("; yours: OMP_NUM_THREADS")


def test_a_runs_folder_that_cannot_be_written_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, found = said("--runs", str(tmp_path / "file" / "runs"))
    assert code == 2
    assert found["runs folder"][0] == "wrong"
    assert "--runs" in found["runs folder"][1]


def test_a_full_disk_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 2**62)
    code, found = said("--runs", str(tmp_path))
    assert (code, found["runs folder"][0]) == (2, "wrong")


def test_all_that_a_search_needs_is_looked_at(tmp_path: Path) -> None:
    _, found = said("--runs", str(tmp_path))
    wanted = {"python", "torch", "ray", "mlflow", "optuna", "processors", "CUDA devices", "kernels"}
    wanted |= {"runs folder", "temporary folder", "shared memory", "ports", "clock", "terminal"}
    assert set(found) >= wanted


def test_a_port_that_is_taken_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(doctor, "PAGES", port)
        code, found = said("--runs", str(tmp_path))
    assert (code, found["ports"][0]) == (0, "note")
    assert f"--port {port + 1}" in found["ports"][1]


def test_clocks_that_differ_are_noted_and_one_in_the_past_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "MOST_OFF", -1.0)
    code, found = said("--runs", str(tmp_path))
    assert (code, found["clock"][0]) == (0, "note")
    monkeypatch.setattr(doctor, "FIRST_YEAR", 1e12)
    code, found = said("--runs", str(tmp_path))
    assert (code, found["clock"][0]) == (2, "wrong")
