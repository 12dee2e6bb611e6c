"""``longspan certify`` by the real command: on disk, in MLflow, in the export and on its card."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mlflow.tracking import MlflowClient

from search import certify
from search import spec as specs
from search.certifying.candidates import of_search
from search.certifying.certificate import certificate
from search.certifying.climbing import Certification, run_members
from search.certifying.members import Climbed, Job, run_member
from search.certifying.store import Store
from search.disk import outcomes
from search.disk.certificates import read_certificate
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.recording import recorder as recording
from search.spec import CertifyConfig, ResourcesConfig
from tests.search.conftest import COMMAND, in_process, longspan
from tests.search.test_refusals import run
from tests.waiting import HANGS
from trainables.config import TrialConfig
from trainables.measure.certificate import plan_for
from trainables.models import kernels
from trainables.trial import TrialSpec, run_trial

PLAN = ["--reliability", "0.6", "--confidence", "0.9"]
TIMES = {"started_ms", "ended_ms", "wall_seconds", "device_seconds", "others"}

SPEC = """\
name: small
space: quick
tasks: [{kind: recall}]
ladder: {start: 4, stop: 16, members: 2, quorum: 2, sequences: 1500, test_sequences: 128}
search: {trials: 1, seed: 3}
"""
CONFIGURATION = {
    "model": {"cell": {"kind": "rnn"}, "readout": {"kind": "attention"}, "hidden_size": 32},
    "training": {"learning_rate": 7.3e-3},
}

# Certifying by the command is slow; the tests that read what it left share it.


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder of a finished search of one trial, laid without Ray."""
    runs = tmp_path_factory.mktemp("runs")
    folder = SearchFolder(runs, "small")
    (runs / "spec.yaml").write_text(SPEC)
    spec = specs.read(runs / "spec.yaml")
    folder.create(spec.to_yaml())
    config = TrialConfig.model_validate(CONFIGURATION)
    trial = TrialSpec(config, spec.tasks_by_name, spec.ladder, spec.search.seed)
    report = run_trial(trial, folder.trial(0), lambda *_: None, torch.device("cpu"))
    recorder = recording.Recorder(spec, folder)
    ledger = Ledger(folder, listeners=(recorder,))
    ledger.started(0, {}, config.model_dump(mode="json"), config.digest)
    ledger.reported(0, report)
    ledger.finished(0, report.ended_by or "")
    recorder.start([])
    assert recorder.close(list(ledger.records.values()), finished=True) is None
    return runs


class Inline:
    """One member at a time, in this process."""

    slots = 1

    def __init__(self) -> None:
        self._job: Job | None = None

    def start(self, job: Job) -> None:
        self._job = job

    def stop(self, job: Job) -> None:
        raise AssertionError("one at a time, nobody is stopped")

    def next(self) -> tuple[Job, Climbed]:
        assert self._job is not None
        return self._job, run_member(self._job)


class Interrupted(Inline):
    """Ctrl-C while the first is under way."""

    def next(self) -> tuple[Job, Climbed]:
        raise KeyboardInterrupt


def without_times(found: dict[str, Any]) -> dict[str, Any]:
    """Nor the environment: this process was not started as Ray's workers are."""
    kept = {key: value for key, value in found.items() if key not in TIMES}
    return {**kept, "members": [member | {"environment": ""} for member in found["members"]]}


@pytest.fixture(scope="module")
def in_peace(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The certificate that the members make when nothing disturbs them, without Ray."""
    folder = SearchFolder(runs, "small")
    spec = specs.read(folder.spec)
    config = CertifyConfig(reliability=0.6, confidence=0.9)
    (candidate,) = of_search(spec, Ledger(folder).records.values(), 1)
    plan = plan_for(0.6, 0.9, 1)
    store = Store(tmp_path_factory.mktemp("peace"), 0)
    store.path.mkdir(parents=True)
    store.fix(config, [candidate], plan)
    certification = Certification([candidate], plan, 0, ResourcesConfig(), store.folder)
    run_members(certification, store.reached([candidate]), Inline(), store.keep)
    return certificate(store, candidate, plan)


@pytest.fixture(scope="module")
def certified(runs: Path) -> dict[str, Any]:
    """Struck by ``kill -9`` after the first members, then finished, in Ray's workers."""
    strike(runs)
    done = longspan("certify", "small", *PLAN, "--runs", str(runs))
    assert done.returncode == 0, done.stderr + done.stdout
    assert "certificate goes along" in done.stdout
    (path,) = (runs / "small" / "certificates").glob("seed-0/*/certificate.json")
    found = read_certificate(path)
    assert found is not None
    return found


def ended(runs: Path) -> int:
    """Members that have come to an end."""
    return len(list((runs / "small" / "certificates").glob("seed-0/*/members/*.json")))


def strike(runs: Path) -> None:
    """Start certifying and end its driver by ``kill -9`` once a member has ended."""
    driver = subprocess.Popen(
        [str(COMMAND), "certify", "small", *PLAN, "--runs", str(runs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + HANGS
    while not ended(runs):
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    driver.kill()
    driver.communicate(timeout=HANGS)


def in_this_process(monkeypatch: pytest.MonkeyPatch, pool: type[Inline]) -> None:
    """Certify without Ray, whose start takes longer than the members."""
    monkeypatch.setattr(certify, "local_ray", nullcontext)
    monkeypatch.setattr(certify, "RayPool", lambda _: pool())


def test_cut_off_it_is_the_certificate_made_in_peace(
    certified: dict[str, Any], in_peace: dict[str, Any]
) -> None:
    """Rungs, counts and the members' seeds and reaches: the same, through Ray or not."""
    first, second = without_times(certified), without_times(in_peace)
    assert first["members"]
    assert first == second
    assert first["lag"] > 0
    assert first["rungs"][0]["tried"] == first["plan"]["members"]


def test_the_certificate_says_what_it_must(certified: dict[str, Any], runs: Path) -> None:
    assert len(certified["configuration_sha256"]) == 64
    assert certified["task_parameters"]["kind"] == "recall"
    assert certified["versions"]["torch"]
    assert certified["device_seconds"] > 0
    assert {member["kernels"] for member in certified["members"]} == {kernels.describe()}
    assert all("thread" in member["environment"] for member in certified["members"])
    assert any("below 4" in line for line in certified["assumptions"])
    assert len({member["seed"] for member in certified["members"]}) == len(certified["members"])
    (text,) = (runs / "small" / "certificates").glob("seed-0/*/CERTIFICATE.md")
    assert certified["claim"] in text.read_text()


def test_members_lie_in_parquet_and_leave_no_checkpoints(
    certified: dict[str, Any], runs: Path
) -> None:
    folder = runs / "small" / "certificates" / "seed-0"
    table = outcomes.read(folder / "outcomes").to_pylist()
    solved = [row["member"] for row in table if row["lag"] == certified["lag"] and row["solved"]]
    rung = next(r for r in certified["rungs"] if r["lag"] == certified["lag"])
    assert len(set(solved)) == len(solved) == rung["solved"]
    assert not list(folder.glob("*/members/*/"))


def test_mlflow_holds_it_once(certified: dict[str, Any], runs: Path) -> None:
    """Sent at every certify and resume; the same rows each time."""
    again = in_process("certify", "small", *PLAN, "--runs", str(runs))
    assert again.returncode == 0, again.stderr
    client = MlflowClient(f"sqlite:///{runs / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("longspan")
    assert experiment is not None
    query = f"tags.`longspan.trial` = '{certified['trial']}'"
    (child,) = client.search_runs([experiment.experiment_id], query)
    assert child.data.tags["certified"].startswith(f"lag {certified['lag']} ")
    assert child.data.metrics["certified_lag"] == certified["lag"]
    history = client.get_metric_history(child.info.run_id, "by_lag/certified_fraction")
    expected = [(rung["lag"], rung["solved"] / rung["tried"]) for rung in certified["rungs"]]
    assert sorted((point.step, point.value) for point in history) == expected


def test_a_server_that_was_away_is_told_at_the_next_resume(
    certified: dict[str, Any], runs: Path, tmp_path: Path
) -> None:
    """Everything follows from the disk: a new, empty server gets it all."""
    folder = SearchFolder(runs, "small")
    spec = specs.read(folder.spec)
    tracking = spec.tracking.model_copy(update={"uri": f"sqlite:///{tmp_path}/new.db"})
    records = list(Ledger(folder).records.values())
    recorder = recording.Recorder(spec.model_copy(update={"tracking": tracking}), folder)
    recorder.start([records[certified["trial"]]])
    assert recorder.close([records[certified["trial"]]], finished=True) is None
    client = MlflowClient(f"sqlite:///{tmp_path}/new.db")
    experiment = client.get_experiment_by_name("longspan")
    assert experiment is not None
    query = f"tags.`longspan.trial` = '{certified['trial']}'"
    (child,) = client.search_runs([experiment.experiment_id], query)
    assert child.data.metrics["certified_lag"] == certified["lag"]


def test_the_leaderboard_marks_it(certified: dict[str, Any], runs: Path) -> None:
    done = in_process("status", "small", "--runs", str(runs))
    assert "certified" in done.stdout
    assert certified["lag"] in [int(word) for word in done.stdout.split() if word.isdigit()]


def test_another_plan_for_members_already_seen_is_refused(
    certified: dict[str, Any], runs: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    code = run(monkeypatch, "certify", "small", *PLAN, "--failures", "3", "--runs", str(runs))
    error = capsys.readouterr().err
    assert code == 2
    assert error.count("\n") == 1
    assert "--failures: 3" in error
    assert "--seed" in error


@pytest.fixture(scope="module")
def exported(
    certified: dict[str, Any], runs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The winner, exported after it was certified."""
    to = tmp_path_factory.mktemp("best")
    done = in_process("export", "small", "--to", str(to), "--runs", str(runs))
    assert done.returncode == 0, done.stderr
    (folder,) = to.iterdir()
    return folder


def test_the_export_carries_the_certificate(certified: dict[str, Any], exported: Path) -> None:
    assert read_certificate(exported / "certificate.json") == certified
    assert certified["claim"] in (exported / "CERTIFICATE.md").read_text()
    assert certified["claim"] in (exported / "CARD.md").read_text()


def test_an_exported_folder_is_certified_on_other_members(
    certified: dict[str, Any], exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed 0 is known there already; seed 1 gives new members and a new card."""
    in_this_process(monkeypatch, Inline)
    known = in_process("certify", str(exported), *PLAN, "--json")
    assert known.returncode == 0, known.stderr
    assert json.loads(known.stdout) == {"finished": True, "certificates": [certified]}
    assert read_certificate(exported / "certificate.json") == certified
    done = in_process("certify", str(exported), "--seed", "1", "--reliability", "0.3",
                      "--confidence", "0.8", "--failures", "0")  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    (file,) = (exported / "certificates" / "seed-1").glob("*/certificate.json")
    found = read_certificate(file)
    assert found is not None
    stands = found if found["lag"] <= certified["lag"] else certified
    assert read_certificate(exported / "certificate.json") == stands, "the worst stands"
    assert found["others"] == [{"seed": 0, "lag": certified["lag"]}]
    seeds = [{member["seed"] for member in c["members"]} for c in (certified, found)]
    assert not seeds[0] & seeds[1]
    assert stands["claim"] in (exported / "CARD.md").read_text()
    again = in_process("certify", str(exported), *PLAN)
    assert again.returncode == 0, again.stderr
    assert read_certificate(exported / "certificate.json") == stands, "it stays"
    assert "--seed 2\n" in again.stdout, "a seed that was used is not offered"


def test_ctrl_c_says_how_to_go_on(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch, Interrupted)
    done = in_process("certify", "small", *PLAN, "--seed", "7", "--runs", str(runs))
    assert done.returncode == 130, done.stderr
    assert "longspan certify small" in done.stdout
    assert "--seed 7" in done.stdout


def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str) -> str:
    """The one line that ``certify`` refuses it with."""
    assert run(monkeypatch, "certify", what) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error


def test_an_export_that_was_edited_is_refused(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Its reach is another configuration's; and a key that is none is named.

    Without the sums too, which say it first.
    """
    edited = tmp_path / "edited"
    shutil.copytree(exported, edited)
    config = (exported / "config.yaml").read_text()
    assert "hidden_size: 32" in config
    for new, said in (("hidden_size: 16", "SHA-256"), ("wideness: 32", "wideness")):
        (edited / "config.yaml").write_text(config.replace("hidden_size: 32", new))
        error = refusal(monkeypatch, capsys, str(edited))
        assert str(edited / "config.yaml") in error
        assert said in error
    (edited / "SHA256SUMS").unlink()
    (edited / "config.yaml").write_text(config.replace("hidden_size: 32", "hidden_size: 16"))
    assert f"{edited / 'config.yaml'}: configuration: SHA-256" in refusal(
        monkeypatch, capsys, str(edited)
    )


def test_a_folder_of_exports_is_no_export_and_no_search(
    exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(exported.parent.parent)
    assert "no outcome.json in it" in refusal(monkeypatch, capsys, exported.parent.name)


WRONG = {
    "an unknown name": (["nowhere"], "nowhere"),
    "a folder that is no export": (["./nowhere"], "nowhere"),
    "a reliability": (["small", "--reliability", "1.2"], "--reliability: 1.2"),
    "a confidence": (["small", "--confidence", "0"], "--confidence: 0"),
    "failures": (["small", "--failures", "-1"], "--failures: -1"),
    "more than the machine has": (["small", "--seed", "9", "--cpus", "1e4"], "10000"),
    "data of a search": (["small", "--data", "x.parquet"], "--data: x.parquet"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_a_user_can_get_wrong_is_one_line(
    case: str, runs: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    arguments, expected = WRONG[case]
    code = run(monkeypatch, "certify", *arguments, "--runs", str(runs))
    error = capsys.readouterr().err
    assert code == 2
    assert error.count("\n") == 1, error
    assert expected in error


def test_a_member_that_errs_counts_as_one_that_did_not_learn(runs: Path, tmp_path: Path) -> None:
    spec = specs.read(SearchFolder(runs, "small").spec)
    records = Ledger(SearchFolder(runs, "small")).records.values()
    (candidate,) = of_search(spec, records, 1)
    candidate.configuration["model"]["hidden_size"] = -1
    climbed = run_member(Job(candidate, 0, 0, 16, tmp_path / "m", ResourcesConfig()))
    assert (climbed.reach, climbed.ended_by) == (0, "error")
    assert climbed.error is not None
    assert "hidden_size" in climbed.error


def test_members_differ(runs: Path, tmp_path: Path) -> None:
    """Another number or another seed gives another member; the same ones the same."""
    spec = specs.read(SearchFolder(runs, "small").spec)
    (candidate,) = of_search(spec, Ledger(SearchFolder(runs, "small")).records.values(), 1)

    def sequences(member: int, seed: int, folder: str) -> tuple[float, ...]:
        job = Job(candidate, member, seed, 4, tmp_path / folder, ResourcesConfig())
        return tuple((r.success_rate, r.sequences) for r in run_member(job).rows)

    found = [sequences(0, 0, "a"), sequences(0, 0, "b"), sequences(1, 0, "c"), sequences(0, 1, "d")]
    assert found[0] == found[1]
    assert len(set(found)) > 1
    assert np.isfinite([rate for rates in found for rate, _ in rates]).all()
