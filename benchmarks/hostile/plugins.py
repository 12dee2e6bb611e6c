"""Modules and names as people give them: refused in one line, or they change nothing.

Each is named by a spec, whose search is checked (``longspan search --dry-run``) in a copy of a
process that has everything imported. One that has to be refused is met well if the command ends
with 2 and one line that names it; one that is only odd if the command goes on as without it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from benchmarks.hostile.kinds.modules import HARMLESS, REFUSED, SHADOWED
from benchmarks.hostile.tried import Tried
from search.cli import main
from search.spec import Spec
from search.spec.trying import LONGER, ended

IMPORT_SECONDS = 5
HANG_SECONDS = 10
"""For a refusal, beyond what the whole check of a search takes whose module does nothing."""

CHECK_SECONDS = 120.0
"""For the whole check of a search, on a busy machine."""

PLUGIN_NAMES = (
    ".mine", "mine.", "..", "a b", "", " ", "mine.py", "/mine", "mine:x", "5", "é漢", "a" * 5000,
    "no\nline",
)  # fmt: skip

NAMES: tuple[Any, ...] = (
    "mlflow.db", "MLflow.DB", "mlartifacts", "controls", ".", "..", "../up", "a/b", "/etc", "", " ",
    "a b", "a\nb", "a\tb", "é", "a" * 101, "$(id)", "a;b", "a*", "%41", "?x", "#x", "~", "[b]a[/b]",
    None, 5, 1.5, True, [], ["a"], {"a": 1}, "\x00",
)  # fmt: skip
"""Of searches; no folder may be called so."""


@dataclass(frozen=True)
class Case:
    """A spec's keys, the modules beside it, and whether it has to be refused, naming what."""

    name: str
    keys: dict[str, Any]
    refused: str | None
    modules: dict[str, str | bytes] = field(default_factory=dict)


def run(seed: int) -> list[Tried]:
    """Every module and name; what went wrong is printed."""
    del seed  # nothing is drawn
    assert Spec  # imported, so that no copy has to
    os.environ[LONGER] = str(IMPORT_SECONDS)
    lines = []
    with tempfile.TemporaryDirectory() as root:
        started = time.monotonic()
        first = _met(Case("as it should be", {}, None), Path(root) / "first")
        usual = time.monotonic() - started
        assert first is None, first
        for kind, cases in _kinds():
            good = 0
            for number, case in enumerate(cases):
                said = _met(case, Path(root) / kind / str(number), usual)
                good += said is None
                if said:
                    print(f"{kind}: {case.name}: {said}", file=sys.stderr)
            lines.append(Tried(kind, len(cases), good))
    return lines


def _kinds() -> Iterator[tuple[str, list[Case]]]:
    plugin = {"plugins": ["mine"]}
    yield (
        "plugins to be refused",
        [
            *(Case(str(body)[:60], plugin, "mine", {"mine.py": body}) for body in REFUSED),
            *(
                Case(f"called {n}", {"plugins": [n]}, n, {f"{n}.py": "SPACES = {}"})
                for n in SHADOWED
            ),
            *(Case(repr(n)[:40], {"plugins": [n]}, "") for n in PLUGIN_NAMES),
            Case("a folder without a module", plugin, "mine", {"mine/x.txt": ""}),
        ],
    )
    yield (
        "spaces of one's own to be refused",
        [
            Case(str(body)[:60], {"space": "mine:there"}, "mine", {"mine.py": body})
            for body in (*REFUSED, "there = 3", "def there(trial): import sys; sys.exit()")
            if not any(t in str(body) for t in ("SPACES", "LAYERS", "TASKS", "__getattr__"))
        ],
    )
    yield (
        "plugins that do other things besides",
        [
            Case(str(body)[:60], plugin, None, {"mine.py": f"{body}\nSPACES = {{}}\n"})
            for body in HARMLESS
        ],
    )
    yield "names of searches", [Case(repr(name), {"name": name}, "name") for name in NAMES]


def _met(case: Case, folder: Path, usual: float = CHECK_SECONDS) -> str | None:
    """What was not met well."""
    folder.mkdir(parents=True)
    for name, content in case.modules.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    keys = {"name": "s", "space": "quick", "tasks": [{"kind": "recall"}], **case.keys}
    (folder / "spec.yaml").write_text(yaml.safe_dump(keys), encoding="utf-8")
    code = _code_of_a_copy(
        folder, usual + HANG_SECONDS if case.refused is not None else CHECK_SECONDS
    )
    said = (folder / "err").read_text(errors="replace").splitlines()
    shown = (folder / "out").read_text(errors="replace")
    if code is None:
        return f"hangs; {said[-1:]}"
    if any("Traceback" in line for line in said):
        return f"traceback: {said[-1:]}"
    if case.refused is None:
        fine = code == 0 and shown.endswith("Nothing was started.\n")
        return None if fine and shown.count("started") == 1 else f"{code}: {shown[-80:]} {said}"
    ours = [line for line in said if line.startswith("longspan: ")]
    fine = code == 2 and len(ours) == 1 and ours == said[-1:] and case.refused in ours[0]
    return None if fine and "started" not in shown else f"{code}: {said} {shown[-80:]}"


def _code_of_a_copy(folder: Path, seconds: float) -> int | None:
    copy = os.fork()
    if not copy:
        _check_and_end(folder)
    return ended(copy, seconds)


def _check_and_end(folder: Path) -> NoReturn:
    """In the copy: the command, with its output in files, to the end of the process."""
    os.setpgid(0, 0)
    os.chdir(folder)
    for stream, name in ((1, "out"), (2, "err")):
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, stream)
    sys.argv = ["longspan", "search", "spec.yaml", "--dry-run", "--runs", "runs"]
    code: Any = 120
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    except BaseException as error:
        print(f"Traceback: {error!r}", file=sys.stderr)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()  # as a process does that ends
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)
