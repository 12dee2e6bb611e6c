"""Whoever shows a search's results says what of it cannot be read; the rest is shown."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import longspan
from search.disk.certificates import certificates, read_certificate
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.errors import UserError
from tests.search.certifying.test_store import decided
from tests.search.conftest import in_process
from tests.search.test_damage import bit_flipped, damage, emptied
from tests.search.written_down import written_down
from trainables.files.whole_files import (
    DamagedFileError,
    _head,
    read_json,
    write_aside,
    write_json,
)


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    return written_down(tmp_path)


def record_of(folder: SearchFolder, number: int) -> Path:
    return folder.trial(number) / "record.json"


def of_a_later_version(file: Path) -> None:
    write_json(file, {**read_json(file), "mood": "good"})


def with_value(*path: str | int, value: object) -> Callable[[Path], None]:
    """A change whose checksum agrees: another value at that place."""

    def change(file: Path) -> None:
        found = read_json(file)
        inner = found
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        write_json(file, found)

    return change


def nested_deeper_than_is_read(file: Path) -> None:
    payload = b'{"a": ' * 100_000 + b"1" + b"}" * 100_000
    write_aside(file, _head(payload), payload, b"}\n")


def a_link_to_itself(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


WAYS: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped": (lambda file: damage(file, bit_flipped), "record.json: damaged"),
    "empty": (lambda file: damage(file, emptied), "record.json: damaged"),
    "foreign": (lambda file: write_json(file, [1, 2]), "record.json: damaged"),
    "foreign mapping": (lambda file: write_json(file, {"report": 3}), "record.json: damaged"),
    "of a later version": (of_a_later_version, "'mood' is not known to this version"),
    "another's": (
        lambda file: shutil.copy(file.parent.parent / "00000" / "record.json", file),
        "it is trial 0's record",
    ),
    "no configuration": (
        with_value("configuration", value={}),
        "damaged: ValueError: 'configuration' is no trial's: KeyError: 'model'",
    ),
    "a kind that is none": (
        with_value("configuration", "model", "cell", value=[[1]]),
        "'configuration' is no trial's: TypeError: ",
    ),
    "a regime that is none": (
        with_value("configuration", "training", "regime", value=True),
        "'configuration' is no trial's: AttributeError: ",
    ),
    "a regime of no kind": (
        with_value("configuration", "training", "regime", value={"kind": [[1]]}),
        "'configuration' is no trial's: TypeError: ",
    ),
    "text for a number": (
        with_value("report", "rows", 0, "lag", value="8"),
        "MemberRung: 'lag' is '8'; allowed: a whole number",
    ),
    "a flag for a number": (
        with_value("started_ms", value=True),
        "Record: 'started_ms' is True; allowed: a whole number",
    ),
    "a row that is none": (
        with_value("report", "rows", 0, value=3),
        "damaged: AttributeError: ",
    ),
    "nested": (nested_deeper_than_is_read, "record.json: damaged (RecursionError)"),
    "link to itself": (a_link_to_itself, "record.json: damaged (it is no regular file)"),
    "gone": (lambda file: file.unlink(), "record.json: is gone"),
    "gone with all of it": (lambda file: shutil.rmtree(file.parent), "00001: is gone"),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_second_best_is_not_shown_as_if_it_were_the_best(
    folder: SearchFolder, way: str
) -> None:
    spoil, said = WAYS[way]
    spoil(record_of(folder, 1))
    ledger = Ledger(folder)
    assert sorted(ledger.records) == [0, 2]
    (line,) = ledger.complaints
    assert str(folder.trial(1)) in line
    assert said in line
    assert "\n" not in line
    assert "trial 1; " in ledger.left_out


@pytest.mark.parametrize("value", [[], 3, {}, {"id": 1, "spec": "x"}, {"id": "x"}, "loop"])
def test_a_copy_of_the_spec_that_is_none_is_named_and_the_other_is_read(
    folder: SearchFolder, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    copy = folder.path / "search.json"
    a_link_to_itself(copy) if value == "loop" else write_json(copy, value)
    identity = read_json(folder.path / ".search.json")["id"]
    shown = in_process("status", "made", "--runs", str(folder.runs))
    assert shown.returncode == 0, shown.stderr
    assert f"{copy}: damaged (" in caplog.text
    assert folder.identity == identity
    folder.require()
    assert read_json(copy)["id"] == identity


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("model", "hidden_size"), -1, "model.hidden_size: -1 is not allowed"),
        (("training", "batch_size"), [[3]], "training.batch_size: [[3]] is not allowed"),
        (("training", "learning_rate"), 0.5, "is not the one that was measured"),
    ],
)
def test_what_a_configuration_was_changed_to_is_not_exported(
    folder: SearchFolder, path: tuple[str, str], value: object, said: str, tmp_path: Path
) -> None:
    with_value("configuration", *path, value=value)(record_of(folder, 1))
    done = in_process("export", "made", "--trial", "1", "--runs", str(folder.runs),
                      "--to", str(tmp_path / "best"))  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"{record_of(folder, 1)}: configuration: " in done.stderr
    assert said in done.stderr
    assert not list((tmp_path / "best").glob("*"))


def test_why_trials_failed_is_told_under_the_table(folder: SearchFolder) -> None:
    for number in (0, 2):
        with_value("error", value="its worker died 3 times")(record_of(folder, number))
        with_value("ended_by", value="error")(record_of(folder, number))
    for command in ("status", "trials"):
        shown = in_process(command, "made", "--runs", str(folder.runs))
        assert "trial 0 and 1 more failed by error: its worker died 3 times" in shown.stdout


def test_all_that_show_results_say_it(
    folder: SearchFolder, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    damage(record_of(folder, 1), bit_flipped)
    runs = ("--runs", str(folder.runs))
    line = f"{record_of(folder, 1)}: damaged (its checksum does not match)"
    shown = in_process("status", "made", *runs)
    assert shown.returncode == 0, shown.stderr
    assert line in shown.stdout
    assert (
        "not ranked, for their records cannot be read: trial 1; `longspan resume made --runs"
        in (shown.stdout)
    )
    assert json.loads(in_process("status", "made", "--json", *runs).stdout)["damaged"] == [line]
    for command in (["report", "made"], ["ui", "made"], ["ui"]):
        assert line in in_process(*command, *runs).stdout
    assert "<b>Damaged:</b>" in (folder.path / "report.html").read_text()
    assert longspan.open("made", folder.runs).damaged == [line]
    caplog.clear()
    for refused in (["export", "made", "--to", str(tmp_path / "x")], ["certify", "made"]):
        done = in_process(*refused, *runs)
        assert done.returncode == 2
        assert done.stderr.startswith(
            "longspan: name: which trial of 'made' is the best is not known: not ranked, "
        )
        assert "--without-damaged" in done.stderr
        assert done.stderr.count("\n") == 1
    assert caplog.messages == [line, line]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("word", "exported"), [(("--without-damaged",), "00000"), (("--trial", "2"), "00002")]
)
def test_a_word_takes_one_of_the_others(
    folder: SearchFolder,
    word: tuple[str, ...],
    exported: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    damage(record_of(folder, 1), bit_flipped)
    done = in_process("export", "made", "--to", str(tmp_path / "x"), "--runs",
                      str(folder.runs), *word)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "x").iterdir()] == [f"1-trial-{exported}"]
    assert str(record_of(folder, 1)) in caplog.text


def test_a_resume_leaves_alone_what_a_later_version_wrote(folder: SearchFolder) -> None:
    of_a_later_version(record_of(folder, 1))
    ledger = Ledger(folder)
    with pytest.raises(UserError, match=r"00001/record\.json: .*'mood' is not known"):
        ledger.require_known()
    assert not ledger.damaged


def test_what_is_no_trial_is_named_and_left_as_it_is(folder: SearchFolder) -> None:
    """It neither takes a trial's place nor stops anything."""
    (folder.trials / "notes.txt").write_text("mine")
    (folder.trials / ".DS_Store").write_text("")
    for copy in ("00001 (copy)", "1", "0000x", "00007"):
        shutil.copytree(folder.trial(2), folder.trials / copy)
    folder.trial(3).mkdir()  # as a driver leaves it that died before it wrote the record
    ledger = Ledger(folder)
    assert {n: record.reach for n, record in ledger.records.items()} == {0: 32, 1: 64, 2: 16}
    assert len(ledger.strays) == 5
    assert all(str(folder.trials) in line and "\n" not in line for line in ledger.strays)
    assert not ledger.left_out
    shown = in_process("status", "made", "--runs", str(folder.runs))
    assert shown.returncode == 0
    for name in ("notes.txt", "00001 (copy)", "00007"):
        assert f"{folder.trials / name}: is " in shown.stdout


FOREIGN = [b"", b"{", b"{}", b"[]", b"3", b"null", b'{"lag": 4}', b"[" * 100_000, b"\xff\xfe", None]


@pytest.mark.parametrize("content", FOREIGN, ids=lambda content: str(content)[:12])
def test_a_certificate_that_is_none_is_named_and_the_others_stand(
    folder: SearchFolder, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Torn, empty, of another program, or not where it was written."""
    decided(folder.path)
    (one,) = certificates(folder.path)
    (written,) = folder.path.glob("certificates/seed-*/*/certificate.json")
    other = folder.path / "certificates" / "seed-77" / written.parent.name / written.name
    other.parent.mkdir(parents=True)
    (folder.path / "certificates" / "seed-mine").mkdir()
    (folder.path / "certificates" / "seed-mine" / "plan.json").write_bytes(b"")
    other.write_bytes(written.read_bytes() if content is None else content)
    caplog.clear()
    assert list(certificates(folder.path)) == [one]
    (line,) = caplog.messages
    assert str(other) in line
    shown = in_process("status", "made", "--runs", str(folder.runs))
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_named_and_not_waited_for(
    folder: SearchFolder, caplog: pytest.LogCaptureFixture, make: Callable[[Path], None]
) -> None:
    """Where a search says why it ended early, what it refused, and what a certificate claims."""
    certificate = folder.path / "certificates" / "seed-0" / "c" / "certificate.json"
    certificate.parent.mkdir(parents=True)
    for place in (folder.path / "ended_early.txt", folder.refused, certificate):
        place.unlink(missing_ok=True)
        make(place)
    assert folder.ended_early is None
    assert list(Ledger(folder).refused) == []
    with pytest.raises(DamagedFileError, match=r"certificate\.json: damaged: .*is no file"):
        read_certificate(certificate)
    assert "ended_early.txt" in caplog.text
    assert "refused.jsonl" in caplog.text
