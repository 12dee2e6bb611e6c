"""Modules of somebody's own that end the process, hang or change it: one line, and no harm."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.errors import UserError
from search.spec import trying
from search.spec.spaces import known_spaces
from tests.search.conftest import in_process
from tests.search.test_refusals import spec_with
from trainables.plugins import imported, load_plugins

ENDINGS = {
    "sys.exit()": "SystemExit",
    "raise BaseException('mine')": "BaseException: mine",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise GeneratorExit": "GeneratorExit",
    "os._exit(0)": "ends the process when it is imported (exit code 0)",
    "os._exit(77)": "ends the process when it is imported (exit code 77)",
    "os.kill(os.getpid(), 11)": "crashes when it is imported: Segmentation fault",
    "os.abort()": "Aborted",
    "threading.Thread(target=time.sleep, args=[9999]).start()": "make it a daemon",
    "sys.stdin.read()": "no table",
}
HANGS = {
    "time.sleep(9999)": "did not come back within 1 s",
    "while True: pass": "did not come back",
}


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        if name.startswith("own_"):
            del sys.modules[name]


def refused(folder: Path, body: str, key: str) -> str:
    """The one line on a spec that names a module of that content."""
    (folder / "own_module.py").write_text(f"import os, sys, threading, time\n{body}\n")
    named: dict[str, object] = {"plugins": ["own_module"]}
    if key == "space":
        named = {"space": "own_module:there"}
    spec = spec_with(folder, **named)
    done = in_process("search", str(spec), "--dry-run", "--runs", str(folder / "runs"))
    assert done.returncode == 2, done.stderr
    assert not done.stdout
    (line,) = done.stderr.splitlines()
    assert f"{key}: " in line
    return line


@pytest.mark.parametrize(
    ("key", "body"),
    [*(("plugins", body) for body in ENDINGS), ("space", "sys.exit()"), ("space", "os._exit(0)")],
)
def test_one_that_ends_the_process_is_told(
    key: str, body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(trying.LONGER, "120")
    line = refused(tmp_path, body, key)
    assert ENDINGS[body] in line
    assert "'own_module" in line


@pytest.mark.parametrize("body", HANGS)
def test_one_that_never_comes_back_is_told(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(trying.LONGER, "1")
    assert HANGS[body] in refused(tmp_path, body, "plugins")


def test_how_long_it_may_take_is_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(trying.LONGER, "soon")
    assert "LONGSPAN_IMPORT_SECONDS: 'soon' is not allowed" in refused(tmp_path, "", "plugins")


CHANGES = """\
import os, sys
print("hello")
os.chdir("/")
sys.path.clear()
sys.path.append("/mine")
sys.stdout = sys.stderr = sys.stdin = None
SPACES = {}
"""


def test_what_an_import_changes_besides_is_undone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that is given relatively stays the same, and JSON on stdout stays JSON."""
    (tmp_path / "own_module.py").write_text(CHANGES)
    before = Path.cwd(), [*sys.path, str(tmp_path), "/mine"], sys.stdin, sys.stdout, sys.stderr
    load_plugins(["own_module"], [tmp_path])
    assert (Path.cwd(), sys.path, sys.stdin, sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("", "hello\n")


def test_a_copy_that_a_module_makes_of_the_process_goes_no_further(tmp_path: Path) -> None:
    (tmp_path / "own_module.py").write_text("import os\nCHILD = os.fork()\n")
    load = imported("own_module", sys.path.append(str(tmp_path)) or ())
    _, status = os.waitpid(load.CHILD, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("name", ["json", "search", "torch", "statistics", "sys"])
def test_one_that_is_called_like_another_is_not_taken_for_it(name: str, tmp_path: Path) -> None:
    """Python would import its own, without a word."""
    (tmp_path / f"{name}.py").write_text("SPACES = {}\n")
    with pytest.raises(ValueError, match=rf"'{name}' is another module here .*, not {tmp_path}/"):
        load_plugins([name], [tmp_path])


def test_of_two_folders_the_first_is_meant(tmp_path: Path) -> None:
    for each in ("one", "two"):
        (tmp_path / each).mkdir()
        (tmp_path / each / "own_module.py").write_text(f"SPACES = {{}}\nFROM = '{each}'\n")
    (found,) = load_plugins(["own_module"], [tmp_path / "one", tmp_path / "two"])
    assert found.FROM == "one"
    with pytest.raises(ValueError, match="is another module here"):
        load_plugins(["own_module"], [tmp_path / "two"])


@pytest.mark.parametrize(
    ("table", "said"), [("[1]", "SPACES is no mapping"), ("{3: print}", "SPACES: 3 is no name")]
)
def test_spaces_of_another_kind_are_refused(table: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "own_module.py").write_text(f"SPACES = {table}\n")
    with pytest.raises(UserError, match=said):
        known_spaces(["own_module"], [str(tmp_path)])


def test_no_thread_of_a_copy_is_one_of_ours(tmp_path: Path) -> None:
    """A thread that this process has is no fault of the module's."""
    (tmp_path / "own_module.py").write_text("SPACES = {}\n")
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    trying.try_imports(["own_module"], [tmp_path])
    done.set()
    thread.join()
