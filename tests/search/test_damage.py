"""Torn, truncated and bit-flipped files of a search: found, named, gone round."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from search import spec as specs
from search.disk import outcomes
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.errors import UserError
from search.proposing.samplers import make_sampler
from search.proposing.searcher import StudySearch
from search.proposing.study import open_study, restore_study
from spaces import SPACES
from tests.search.review.trials import trial
from tests.search.test_recording import row
from trainables.files import whole_files as whole
from trainables.measure.report import Report

SPEC = "name: s\nspace: article\ntasks: [{kind: recall}]\n"
TRIALS = 6


def torn(content: bytes) -> bytes:
    return content[: len(content) // 2]


def cut_short(content: bytes) -> bytes:
    return content[:-7]


def emptied(content: bytes) -> bytes:
    return b""


def bit_flipped(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def garbled_in_the_middle(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    lines[len(lines) // 2] = b"\x00\xff{{ not JSON\n"
    return b"".join(lines)


def another_value(content: bytes) -> bytes:
    """A bit of a parameter flipped: the line is JSON as before."""
    key = b'"param_value_internal":'
    at = content.index(key) + len(key)
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def bit_flipped_in_a_page(content: bytes) -> bytes:
    """In a Parquet file: what a page holds has a checksum, the footer has not."""
    return content[:60] + bytes([content[60] ^ 1]) + content[61:]


DAMAGES = [torn, cut_short, emptied, bit_flipped]
Damage = Callable[[bytes], bytes]


def damage(file: Path, how: Damage) -> None:
    whole = file.read_bytes()
    file.write_bytes(how(whole))
    assert file.read_bytes() != whole


def go_on(folder: SearchFolder, trials: int = TRIALS) -> tuple[StudySearch, Ledger]:
    """What a resume starts with."""
    ledger, space = Ledger(folder), SPACES["article"]
    ledger.mend_outcomes()
    study = restore_study(folder.journal, "s", space, ledger)
    return StudySearch(space, study, ledger, lambda n: make_sampler("random", 7, n), trials), ledger


def result(number: int, ended_by: str | None = "failed_rung") -> dict[str, Any]:
    rows = [row(8, 0, True), row(8, 1, number % 2 == 0)]
    report = {"progress": float(number), "reach": 8, "ended_by": ended_by, "rows": rows}
    return {"progress": float(number), "report": json.dumps(report)}


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    """Five trials ended, the last of them by the scheduler, and one under way."""
    folder = SearchFolder(tmp_path, "s")
    folder.create(SPEC)
    search, _ = go_on(folder)
    for number in range(TRIALS):
        search.suggest(f"t{number}")
    for number in range(TRIALS - 1):
        search.on_trial_complete(f"t{number}", result(number, None if number == 4 else "top"))
    return folder


def states(folder: SearchFolder) -> list[TrialState]:
    return [trial.state for trial in open_study(folder.journal, "s").get_trials()]


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_record_is_named_and_its_trial_goes_on(
    folder: SearchFolder, caplog: pytest.LogCaptureFixture, how: Damage
) -> None:
    """With the parameters that the journal holds, so that its checkpoint is of use."""
    before = Ledger(folder).records
    file = folder.trial(2) / "record.json"
    damage(file, how)
    search, ledger = go_on(folder)
    (line,) = caplog.messages
    assert str(file) in line
    assert "trial 2 goes on from its checkpoint" in line
    assert ledger.records == {n: record for n, record in before.items() if n != 2}
    assert search.left == 2
    proposed = [search.suggest("a"), search.suggest("b")]
    assert [p["number"] for p in proposed if p] == [2, 5]
    again = ledger.records[2]
    assert (again.parameters, again.digest) == (before[2].parameters, before[2].digest)
    assert search.suggest("c") is None


def test_a_damaged_record_whose_parameters_are_no_more_is_proposed_anew(
    folder: SearchFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that the journal holds are not what the space offers by now."""
    damage(folder.trial(2) / "record.json", torn)

    def other(trial: Any) -> dict[str, Any]:
        SPACES["article"](trial)
        trial.suggest_float("training/learning_rate", 1e-9, 2e-9, log=True)
        return {}

    restore_study(folder.journal, "s", other, Ledger(folder))
    assert any("trial 2 is proposed anew" in line for line in caplog.messages)
    assert states(folder)[2] == TrialState.WAITING


@pytest.mark.parametrize("how", DAMAGES)
def test_a_record_and_the_journal_damaged_at_once(
    folder: SearchFolder, caplog: pytest.LogCaptureFixture, how: Damage
) -> None:
    """What the journal does not hold either is proposed anew; by a random sampler, the same."""
    before = Ledger(folder).records
    damage(folder.trial(5) / "record.json", how)
    damage(folder.journal, emptied)
    search, ledger = go_on(folder)
    assert any("trial 5 is proposed anew" in line for line in caplog.messages)
    assert search.left == 1
    search.suggest("a")
    assert ledger.records[5].parameters == before[5].parameters
    assert {n: r for n, r in ledger.records.items() if n != 5} == {
        n: r for n, r in before.items() if n != 5
    }


@pytest.mark.parametrize("how", [torn, cut_short, emptied, garbled_in_the_middle, another_value])
def test_a_damaged_journal_is_kept_aside_and_written_anew(
    folder: SearchFolder, caplog: pytest.LogCaptureFixture, how: Damage
) -> None:
    expected = open_study(folder.journal, "s").get_trials()
    damage(folder.journal, how)
    damaged = folder.journal.read_bytes()
    search, _ = go_on(folder)
    found = open_study(folder.journal, "s").get_trials()
    assert [(t.params, t.value, t.state) for t in found] == [
        (t.params, t.value, t.state) for t in expected
    ]
    assert [t.distributions for t in found] == [t.distributions for t in expected]
    assert search.left == 1
    (line,) = caplog.messages
    assert "study.journal: damaged; kept as study.journal.damaged" in line
    assert folder.journal.with_name("study.journal.damaged").read_bytes() == damaged


def test_a_journal_that_is_not_there_is_written(folder: SearchFolder) -> None:
    folder.journal.unlink()
    go_on(folder)
    assert states(folder) == [TrialState.COMPLETE] * 5 + [TrialState.RUNNING]


def test_a_driver_that_died_while_it_proposed_proposes_the_same(folder: SearchFolder) -> None:
    """The journal holds a part of the parameters; none of them is drawn from a later state."""
    study = open_study(folder.journal, "s")
    study.sampler = make_sampler("random", 7, TRIALS)
    cells = study.trials[0].distributions["model/cell/kind"]
    study.ask()._suggest("model/cell/kind", cells)
    search, ledger = go_on(folder, TRIALS + 1)
    search.suggest("cut off")
    proposed = search.suggest("new")
    assert proposed is not None
    assert proposed["number"] == TRIALS
    fresh = SearchFolder(folder.runs, "fresh")
    fresh.create(SPEC)
    search, expected = go_on(fresh, TRIALS + 1)
    for number in range(TRIALS + 1):
        search.suggest(f"t{number}")
    assert ledger.records[TRIALS].parameters == expected.records[TRIALS].parameters


@pytest.mark.parametrize("how", [torn, cut_short, emptied, bit_flipped_in_a_page])
def test_damaged_outcomes_are_named_and_written_anew(
    folder: SearchFolder, caplog: pytest.LogCaptureFixture, how: Damage
) -> None:
    expected = outcomes.read(folder.outcomes)
    file = outcomes.part(folder.outcomes, 3)
    damage(file, how)
    with pytest.raises(whole.DamagedFileError, match=r"00003\.parquet: damaged.*resume") as error:
        outcomes.read(folder.outcomes)
    assert "\n" not in str(error.value)
    go_on(folder)
    (line,) = caplog.messages
    assert str(file) in line
    assert outcomes.read(folder.outcomes).equals(expected)


def test_outcomes_that_are_missing_are_written(folder: SearchFolder) -> None:
    expected = outcomes.read(folder.outcomes)
    outcomes.part(folder.outcomes, 0).unlink()
    go_on(folder)
    assert outcomes.read(folder.outcomes).equals(expected)


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("copy", ["search.json", ".search.json"])
def test_a_damaged_identity_is_taken_from_its_copy(
    folder: SearchFolder, caplog: pytest.LogCaptureFixture, how: Damage, copy: str
) -> None:
    identity = folder.identity
    damage(folder.path / copy, how)
    assert folder.identity == identity
    (line,) = caplog.messages
    assert str(folder.path / copy) in line
    caplog.clear()
    damage(folder.path / "search.json", emptied)
    assert folder.identity == identity


@pytest.mark.parametrize("left", [b"", b"name: [s\n", b"name\x00: \xff", b"just words"])
def test_a_damaged_spec_is_put_back(
    folder: SearchFolder, caplog: pytest.LogCaptureFixture, left: bytes
) -> None:
    expected = specs.read(folder.spec)
    folder.spec.write_bytes(left)
    folder.require()
    assert specs.read(folder.spec) == expected
    (line,) = caplog.messages
    assert str(folder.spec) in line
    assert folder.spec.with_name("spec.yaml.damaged").read_bytes() == left


def test_a_record_of_a_later_version_is_refused_and_left_as_it_is(folder: SearchFolder) -> None:
    """It is no damaged one, whose trial would start again."""
    file = folder.trial(2) / "record.json"
    record = whole.read_json(file)
    record["report"]["mood"] = "good"
    whole.write_json(file, record)
    before = file.read_bytes()
    with pytest.raises(
        UserError, match=r"00002/record\.json: Report: 'mood' is not known"
    ) as error:
        go_on(folder)
    assert "\n" not in str(error.value)
    assert file.read_bytes() == before


def test_a_record_of_an_earlier_version_is_read(folder: SearchFolder) -> None:
    """It has no fact of its own on which tasks were looked at, and an empty report at first."""
    file = folder.trial(2) / "record.json"
    record, point = whole.read_json(file), {"task": "recall", "moment": "end", "lag": 8, "back": 0}
    record["report"]["reaches"] = {"recall": 8}
    for key in ("final_measured", "error", "worker", "busy_seconds"):
        del record["report"][key]
    for horizon, looked_at in (([], False), ([{**point, "norm": 1.0}], True)):
        record["report"]["horizon"] = horizon
        whole.write_json(file, record)
        found = Ledger(folder).records[2]
        assert (found.looked_at, found.progress, len(found.rows)) == (looked_at, 2.0, 2)
    assert whole.read_json(folder.trial(5) / "record.json")["report"] == {}
    assert not Ledger(folder).records[5].reported


def test_progress_reported_never_falls(folder: SearchFolder) -> None:
    """A trial that went back to an older checkpoint is heard again when it is as far as it was."""
    ledger = Ledger(folder)
    for progress in (3.0, 2.0, 3.5):
        ledger.reported(5, Report(progress=progress))
        assert ledger.records[5].progress == max(3.0, progress)


def test_what_a_dead_driver_left_half_written_is_gone_at_the_next_start(
    folder: SearchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    left = []
    with monkeypatch.context() as there:
        there.setattr(os, "getpid", lambda: dead.pid)
        for file in (folder.spec, outcomes.part(folder.outcomes, 3)):
            left.append(whole.aside_of(file))
            left[-1].write_bytes(b"half")
    assert not folder.busy
    assert all(file.exists() for file in left), "looking changes nothing"
    with folder.locked():
        assert not any(file.exists() for file in left)


def test_no_bit_of_an_outcomes_file_changes_its_rows_in_silence(tmp_path: Path) -> None:
    """Its pages have checksums; of its end, which says what they hold, the rows have one."""
    file = outcomes.write(tmp_path, 3, "sha", trial(3, reach=16).rows)
    content, rows = file.read_bytes(), outcomes.read_part(file)
    begin = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for place in range(begin, len(content), 11):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        file.write_bytes(changed)
        with suppress(whole.DamagedFileError):
            assert outcomes.read_part(file).equals(rows), place
