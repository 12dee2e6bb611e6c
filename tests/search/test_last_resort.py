"""One line, always: faults of our own, terminals without UTF-8, Ray that does not come up."""

from __future__ import annotations

import gc
import importlib
import io
import os
import re
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from mlflow.tracking import MlflowClient

from search import cli
from search.commands import EXIT_FAULT, EXIT_UNWANTED, faults
from search.disk.folder import RESERVED, SearchFolder
from search.disk.mlflow_database import remove_stray_folders, uri_of
from search.errors import UserError
from search.scheduling import ray_session
from search.spec import Spec, read
from tests.search.conftest import COMMAND
from trainables.plugins import load_plugins


def test_a_fault_is_one_line_and_its_trace_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def faulty(**_: Any) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(cli, "app", faulty)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 70
    assert said.count("\n") == 1
    assert "RuntimeError: two lines" in said
    assert "resume" not in said
    (trace,) = tmp_path.glob("longspan-fault-*.txt")
    assert str(trace) in said
    assert trace.stat().st_mode & 0o777 == 0o600
    assert "in faulty" in trace.read_text()


def test_a_fault_of_a_search_is_told_with_what_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of one that there is; a dry run, or a command that measures nothing, leaves nothing."""

    def faulty(**_: Any) -> None:
        with faults.going_on_by("longspan resume made --runs here"):
            raise RuntimeError("no")

    monkeypatch.setattr(cli, "app", faulty)
    with pytest.raises(SystemExit):
        cli.main()
    kept = "What was measured is kept: `longspan resume made --runs here` goes on\n"
    assert capsys.readouterr().err.endswith(kept)


@pytest.mark.parametrize(
    ("asked", "words", "answer"),
    [
        ("complete_bash", "longspan comp", "compare\n"),
        ("complete_bash", "longspan trials made --so", "--sort\n"),
        ("source_bash", "", "complete"),
    ],
)
def test_completion_ends_well(asked: str, words: str, answer: str) -> None:
    """Typer ends the process itself, which is no fault."""
    at = str(len(words.split()) - 1)
    own = {"_LONGSPAN_COMPLETE": asked, "COMP_WORDS": words, "COMP_CWORD": at}
    done = subprocess.run(
        [str(COMMAND)], env={**os.environ, **own}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert answer in done.stdout


def test_a_fault_of_a_plugin_is_told_with_its_file_and_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "faulty_task.py").write_text("def sample():\n    return 1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(cli, "app", lambda **_: importlib.import_module("faulty_task").sample())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr().err
    assert f"a fault in {tmp_path / 'faulty_task.py'}, line 2: ZeroDivisionError" in said
    assert "report" not in said


class EndsAll(BaseException):
    """What nobody catches who catches an `Exception`."""


@pytest.mark.parametrize("fault", [SystemExit(0), SystemExit(1), SystemExit(), EndsAll("x")])
def test_no_module_ends_the_command_without_a_word(
    fault: BaseException,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Its exit code would say that all went well, or that a claim fails; nor need there be room."""

    def ends(**_: Any) -> None:
        raise fault

    monkeypatch.setattr(cli, "app", ends)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "not there"))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == EXIT_FAULT
    assert said.count("\n") == 1
    assert type(fault).__name__ in said
    assert "could not be kept" in said


@pytest.mark.parametrize("words", [("list", "cells"), ("--help",)])
def test_a_reader_that_leaves_ends_it_as_sigpipe_does(words: tuple[str, ...]) -> None:
    """Not with 1, which says that a claim fails; and without a word."""
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [str(COMMAND), *words], stdout=theirs, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (EXIT_UNWANTED, "")


def test_a_pipe_that_breaks_elsewhere_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(**_: Any) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(cli, "app", breaks)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "longspan: network: Broken pipe\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_terminal_is_written_to(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    faults.speak_plainly()
    print("≥ 512 · größe 漢", flush=True)
    said = raw.getvalue().decode(encoding).strip()
    assert (
        said
        == {
            "ascii": ">= 512 - gr??e ?",
            "latin-1": ">= 512 · größe ?",
            "utf-8": "≥ 512 · größe 漢",
        }[encoding]
    )


def spec_with(folder: Path, line: str) -> Spec:
    text = f"name: n\nspace: quick\n{line}\n"
    if not line.startswith("tasks"):
        text += "tasks: [{kind: recall}]\n"
    (folder / "spec.yaml").write_text(text)
    return read(folder / "spec.yaml")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("tasks: 5", "tasks: 5"),
        ("tasks: {kind: recall}", "tasks: "),
        ("search: {trials: 1e30}", "search.trials: 1e+30"),
        ("search: {trials: 100000000000000000000}", "search.trials: 100000000000000000000"),
        ("search: {seed: 9223372036854775808}", "search.seed: 9223372036854775808"),
        ("ladder: {stop: 18446744073709551616}", "ladder.stop: 18446744073709551616"),
        ("ladder: {sequences: 1e40}", "ladder.sequences: 1e+40"),
        ("ladder: {members: 2.5}", "ladder.members: 2.5"),
        ("search: {trials: yes}", "trials: True"),
        ("ladder: {success: on}", "success: True"),
        ("search: {trials: 010}", "010 is another number"),
        ("search: {hours: 1:30}", "1:30 is another number"),
        ("search: {trials: !!int 6.0}", "6.0"),
        (f"search: {{trials: {'9' * 5000}}}", "not YAML"),
        (
            f"tasks: [{{kind: parquet, path: x, sequence: x, target: y, missing: {'9' * 400}}}]",
            "9 is not allowed",
        ),
        ("search: {<<: {trials: 6}, <<: {trials: 9}}", "<< stands there twice"),
        ("resources: {cpus: 1e30}", "resources.cpus: 1e+30"),
        ("resources: {memory: .inf}", "resources.memory"),
    ],
)
def test_numbers_past_all_sense_are_refused(line: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        spec_with(tmp_path, line)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_a_number_may_be_written_with_an_exponent(tmp_path: Path) -> None:
    assert spec_with(tmp_path, "ladder: {sequences: 1e4}").ladder.sequences == 10_000
    assert spec_with(tmp_path, "ladder: {sequences: 2.5E+3}").ladder.sequences == 2500


def test_text_that_looks_like_a_number_stays_text(tmp_path: Path) -> None:
    spec = spec_with(tmp_path, "resources: {accelerator: '1e4'}")
    (tmp_path / "again.yaml").write_text(spec.to_yaml())
    assert read(tmp_path / "again.yaml") == spec


@pytest.mark.parametrize("line", ["import sys; sys.exit(0)", "raise SystemExit('over')", "1 / 0"])
def test_a_plugin_that_ends_the_process_is_one_line(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"ends_{abs(hash(line))}"
    (tmp_path / f"{name}.py").write_text(line)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match="cannot be imported"):
        load_plugins([name])


@pytest.mark.parametrize("name", [*RESERVED, "MLflow.DB", "mlflow.db-wal", "mlflow.db-journal"])
def test_the_runs_folders_own_names_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="keeps something else there"):
        SearchFolder(tmp_path, name)


def test_ray_is_tried_again_and_then_told_of_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def busy(**_: Any) -> None:
        tried.append(1)
        raise RuntimeError("The current node timed out\nduring startup.")

    monkeypatch.setattr(ray, "init", busy)
    with pytest.raises(UserError, match=r"timed out during startup.*; go on, when") as error:
        ray_session._start(False, "go on")
    assert len(tried) == ray_session.STARTS >= 2
    assert "\n" not in str(error.value)


def test_ray_that_comes_up_later_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([OSError("AF_UNIX path too long"), None])

    def late(**_: Any) -> None:
        answer = next(answers)
        if answer is not None:
            raise answer

    monkeypatch.setattr(ray, "init", late)
    ray_session._start(False, "go on")
    assert next(answers, "used up") == "used up"


def test_a_ray_that_does_not_come_up_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its own; Ray forgets those that it had begun when its dashboard is late."""
    waits = [sys.executable, "-c", "import time; time.sleep(600)"]
    of_ray, others = list[subprocess.Popen[bytes]](), list[subprocess.Popen[bytes]]()

    def late(**_: Any) -> None:
        of_ray.append(subprocess.Popen([*waits, f"{Path(ray.__file__).parent}/dashboard.py"]))
        others.append(subprocess.Popen(waits))
        raise RuntimeError("Failed to start the dashboard")

    monkeypatch.setattr(ray, "init", late)
    try:
        with pytest.raises(UserError, match="its dashboard did not come up in time"):
            ray_session._start(True, "again")
        assert [each.poll() is None for each in of_ray] == [False] * ray_session.STARTS
        assert [each.poll() is None for each in others] == [True] * ray_session.STARTS
    finally:
        for each in of_ray + others:
            each.kill()
            each.wait()


@pytest.mark.parametrize("asked", [True, False])
def test_rays_dashboard_is_up_on_request(asked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On this machine alone, and its address is known."""
    given: dict[str, Any] = {}

    def init(**how: Any) -> Any:
        given.update(how)
        return SimpleNamespace(dashboard_url="127.0.0.1:8265" if how["include_dashboard"] else "")

    monkeypatch.setattr(ray, "init", init)
    address = ray_session._start(asked, "again")
    assert address == ("http://127.0.0.1:8265" if asked else None)
    assert (given["include_dashboard"], given["dashboard_host"]) == (asked, "127.0.0.1")


def test_a_ray_that_does_not_start_says_what_there_is_to_go_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a folder is laid nothing can be resumed."""

    def init(**_: object) -> None:
        raise TimeoutError("too busy")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(UserError, match=r"too busy\. .*; give the same command again, when"):
        ray_session.local_ray().__enter__()
    folder = SearchFolder(tmp_path, "laid")
    with pytest.raises(UserError, match=r"`longspan resume laid --runs .*` goes on, when"):
        ray_session.ray_for(folder).__enter__()


def test_a_ray_without_a_dashboard_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray.dashboard.optional_deps", None)
    with (
        pytest.raises(UserError, match=r"tracking\.ray_dashboard: .*pip install 'ray\[default\]'"),
        ray_session.local_ray(dashboard=True),
    ):
        pass


def test_the_token_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray would make it for all to read; the one it finds stays, and is taken back from others."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    token = tmp_path / ".ray" / "auth_token"
    ray_session._keep_token_to_its_owner()
    made = token.read_text()
    assert re.fullmatch("[0-9a-f]{64}", made)
    assert token.stat().st_mode & 0o777 == 0o600
    token.chmod(0o644)
    ray_session._keep_token_to_its_owner()
    assert (token.read_text(), token.stat().st_mode & 0o777) == (made, 0o600)


def test_a_token_whose_writer_was_killed_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty one was left, or found by a search that started with another, and kept for good."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    (tmp_path / ".ray").mkdir()
    token = tmp_path / ".ray" / "auth_token"
    token.touch()
    ray_session._keep_token_to_its_owner()
    assert len(token.read_text()) == 64
    assert token.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in token.parent.iterdir()] == ["auth_token"]


def test_where_there_is_no_home_ray_says_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.setattr(Path, "expanduser", nowhere)
    ray_session._keep_token_to_its_owner()


def test_what_ray_opens_to_all_lies_behind_a_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray makes the folders of its sockets 0777: anybody could put another in one's place."""
    given: list[Path] = []
    monkeypatch.setattr(ray, "init", lambda **how: given.append(Path(how["_temp_dir"])))
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    ray_session._start(False, "again")
    (place,) = given
    assert place.parent == tmp_path / f"ray-{os.getuid()}"
    assert place.parent.stat().st_mode & 0o777 == 0o700
    place.parent.rmdir()
    place.parent.symlink_to(tmp_path)
    with pytest.raises(UserError, match=r"is not a folder that you alone may write to.*RAY_TMPDIR"):
        ray_session._start(False, "again")
    assert len(given) == 1


@pytest.mark.parametrize("other", [{"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "x"}])
def test_where_ray_is_told_otherwise_no_token_is_made(
    other: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in other.items():
        monkeypatch.setenv(name, value)
    ray_session._keep_token_to_its_owner()
    assert not any(tmp_path.iterdir())


def test_a_ray_that_others_reach_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for address, count in (("127.0.0.1", 0), ("192.0.2.2", 1)):
        monkeypatch.setattr(ray, "nodes", lambda at=address: [{"NodeManagerAddress": at}])
        ray_session._say_where_others_reach_it()
        assert len(caplog.records) == count


@pytest.mark.parametrize("name", ["here?x=1", "My%20Data %41", "größe 100% #1?a=b&c"])
def test_mlflows_database_lies_where_it_should(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    database = tmp_path / name / "mlflow.db"
    client = MlflowClient(uri_of(database))
    client.create_experiment("it", artifact_location=(tmp_path / name / "artifacts").as_uri())
    assert database.stat().st_size > 0
    remove_stray_folders(database)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def receive(how: signal.Signals) -> None:
    os.kill(os.getpid(), how)
    time.sleep(60)


@pytest.fixture
def signals() -> Iterator[None]:
    """As a terminal has them, whatever these tests were started by."""
    usual = {signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    usual[signal.SIGINT] = signal.default_int_handler
    before = {each: signal.signal(each, handler) for each, handler in usual.items()}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("ctrl_c", [signal.default_int_handler, signal.SIG_IGN])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_a_shutdown_or_a_closed_terminal_ends_it_as_ctrl_c_does(
    how: signal.Signals, ctrl_c: Any
) -> None:
    """Whatever Ray makes of it when it starts; what a shell runs aside takes no Ctrl-C."""
    before = signal.getsignal(how)
    signal.signal(signal.SIGINT, ctrl_c)
    with ray_session._ended_as_by_ctrl_c() as again:
        signal.signal(how, signal.SIG_DFL)
        again()
        with pytest.raises(KeyboardInterrupt):
            receive(how)
    assert signal.getsignal(how) == before


def test_what_nohup_asks_for_stays_in_force() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ray_session._ended_as_by_ctrl_c() as again:
            again()
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


class InACycle:
    def __init__(self) -> None:
        self.itself = self


def test_nothing_is_collected_while_ray_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference of Ray's that another thread gives back meanwhile would end the process."""
    in_cycles = weakref.WeakSet[InACycle]()
    for _ in range(10):
        in_cycles.add(InACycle())
    seen: list[tuple[bool, int]] = []
    monkeypatch.setattr(ray, "shutdown", lambda: seen.append((gc.isenabled(), len(in_cycles))))
    ray_session._shut_down()
    assert seen == [(False, 0)]
    assert gc.isenabled()
