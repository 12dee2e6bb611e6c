"""The house around the code: floors, names, pins, the cluster file and the commands."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.mutants import MODULES
from tests.conftest import LONGEST_FIRST

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONSTRAINTS = (ROOT / "constraints.txt").read_text()
TARGETS = {
    "help", "install", "search", "test", "test-slow", "test-all", "lint", "format", "site",
    "clean",
}  # fmt: skip

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def run(*command: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command, not disturbed by the make that may be running the tests."""
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(command, cwd=cwd, env=env | variables, capture_output=True, text=True)


def tracked() -> list[Path]:
    """Every file of the project, as git knows it."""
    listed = run("git", "ls-files", "-z") if shutil.which("git") else None
    if listed is None or listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


# Who may import whom, and names


def test_nobody_imports_from_above() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    checked = run(str(linter), "--no-cache")
    assert checked.returncode == 0, checked.stdout


def test_the_tests_that_come_first_are_there() -> None:
    """One that was renamed would come last, and one process would end minutes after the other."""
    assert not [place for place in LONGEST_FIRST if not (ROOT / "tests" / place).exists()]


def test_the_tests_that_are_to_notice_mutants_are_there() -> None:
    """One that was renamed would notice nothing."""
    for module, tests in MODULES.values():
        assert (ROOT / module).exists()
        for file, _, name in (test.partition("::") for test in tests):
            assert (ROOT / file).exists()
            assert not name or f"def {name}(" in (ROOT / file).read_text()


def test_no_file_is_a_bag_of_leftovers() -> None:
    bags = {"utils", "common", "helpers", "core", "misc"}
    assert not [path for path in tracked() if bags & {path.stem, *path.relative_to(ROOT).parts}]


def test_no_room_is_crowded() -> None:
    """At most ten files; what holds a file for each shipped part grows with them."""
    tables = {"trainables/tasks", "trainables/models", "trainables/models/cells"}
    files = [file for root in ("search", "trainables") for file in (ROOT / root).rglob("*.py")]
    rooms = Counter(str(f.parent.relative_to(ROOT)) for f in files if f.name != "__init__.py")
    assert not {room: count for room, count in rooms.items() if count > 10 and room not in tables}


def test_importing_a_module_sets_no_log_level() -> None:
    """Levels are the program's to set, not a module's that is imported by whoever needs it."""
    setting = {"setLevel", "set_verbosity", "basicConfig", "disable"}
    found = [
        f"{file}: {ast.unparse(line)}"
        for root in ("search", "spaces", "trainables")
        for file in (ROOT / root).rglob("*.py")
        for line in ast.parse(file.read_text()).body
        if not isinstance(line, ast.FunctionDef | ast.ClassDef)
        for call in ast.walk(line)
        if isinstance(call, ast.Attribute) and call.attr in setting
    ]
    assert not found


def test_every_folder_of_code_is_a_package_that_ships() -> None:
    roots = PROJECT["tool"]["importlinter"]["root_packages"]
    assert PROJECT["tool"]["setuptools"]["packages"]["find"]["include"] == [f"{r}*" for r in roots]
    folders = {path.parent for root in roots for path in (ROOT / root).rglob("*.py")}
    assert {ROOT / root for root in roots} <= folders
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def test_the_command_is_there() -> None:
    assert callable(resolve_name(PROJECT["project"]["scripts"]["longspan"]))


def test_no_file_names_a_place_of_one_machine_only() -> None:
    """No absolute path of somebody's folders and no package index: a clone works elsewhere."""
    of_one_machine = re.compile(
        r"(?<![\w.~])/(?:[h]ome|[U]sers|[r]oot|[w]ork|[o]pt)/\w"
        r"|--(?:extra-)?[i]ndex-url|--[f]ind-links|\bpypi\.[o]rg|[f]ile:///\w"
    )
    found = []
    for path in tracked():
        content = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{path}: {hit.group()}" for hit in of_one_machine.finditer(content)]
    assert not found


def test_the_licence_is_the_standard_text() -> None:
    digest = hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest()
    assert digest == "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4"


# Pinned versions


def pins() -> dict[str, str]:
    lines = [line for line in CONSTRAINTS.splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def test_constraints_are_plain_sorted_pins() -> None:
    names = list(pins())
    assert names == sorted(set(names))
    assert all(name == canonicalize_name(name) for name in names)
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pins().values())


def test_every_dependency_is_pinned_as_allowed() -> None:
    project = PROJECT["project"]
    for line in chain(project["dependencies"], *project["optional-dependencies"].values()):
        needed = Requirement(line)
        if needed.name == project["name"]:
            continue
        assert needed.specifier.contains(pins()[canonicalize_name(needed.name)]), line


# The cluster file


def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    return loaded


def check_as_ray_up_does(config: dict[str, Any]) -> None:
    """What `ray up` does before it asks the cloud for anything."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(config))


def test_the_cluster_file_is_what_ray_accepts() -> None:
    check_as_ray_up_does(cluster())


BROKEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "max_wokers": lambda c: c.update(max_wokers=2),
    "spot": lambda c: c["available_node_types"]["gpu"].update(spot=1),
    "not of type 'array'": lambda c: c.update(initialization_commands="true"),
    "-1 is less than the minimum": lambda c: c.update(max_workers=-1),
    "`head_node_type` must be": lambda c: c.update(head_node_type="boss"),
}


@pytest.mark.parametrize("complaint", BROKEN)
def test_the_check_of_the_cluster_file_can_fail(complaint: str) -> None:
    config = cluster()
    BROKEN[complaint](config)
    with pytest.raises(Exception, match=complaint):
        check_as_ray_up_does(config)


def test_gpu_machines_are_spot_and_come_on_demand_only() -> None:
    config = cluster()
    head, gpu = config["available_node_types"]["head"], config["available_node_types"]["gpu"]
    assert gpu["min_workers"] == 0 < gpu["max_workers"] <= config["max_workers"]
    assert gpu["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert head["resources"] == {"CPU": 0}
    assert config["idle_timeout_minutes"] > 0


@pytest.mark.parametrize("commands", ["head_start_ray_commands", "worker_start_ray_commands"])
def test_every_machine_starts_in_the_environment_that_was_written(commands: str) -> None:
    stop, start, *_ = cluster()[commands]
    assert stop.endswith("ray stop")
    assert "ray start" in start
    assert all(command.startswith(". ~/.longspan/env;") for command in cluster()[commands])


def test_the_environment_holds_the_token_the_tuning_and_many_machines() -> None:
    written = " ".join(cluster()["setup_commands"]).split()
    assert {
        "RAY_AUTH_MODE=token",
        "OMP_NUM_THREADS=1",
        f"MALLOC_MMAP_THRESHOLD_={2**33}",
        f"MALLOC_TRIM_THRESHOLD_={2**34}",
        "TUNE_MAX_PENDING_TRIALS_PG=100",
    } <= set(written)


def test_every_machine_gets_the_project_its_pins_and_the_token() -> None:
    mounts: dict[str, str] = cluster()["file_mounts"]
    assert mounts.pop("~/.ray/auth_token") == "~/.ray/auth_token"
    assert {remote.removeprefix("~/longspan/") for remote in mounts} == set(mounts.values())
    project = PROJECT["project"]
    packages = PROJECT["tool"]["importlinter"]["root_packages"]
    needed = {"pyproject.toml", "constraints.txt", project["readme"], *project["license-files"]}
    assert needed | set(packages) <= set(mounts.values())
    assert not [local for local in mounts.values() if not (ROOT / local).exists()]
    assert any("-c ~/longspan/constraints.txt" in line for line in cluster()["setup_commands"])


# The commands

FAKE_PYTHON = f"""#!/bin/sh
version=$(test -e too_old && echo '(3, 10, 19)' || echo '(3, 11, 0)')
case "$*" in
-c*) exec {sys.executable} -c "import sys; sys.version_info = $version; $2" ;;
*"-m venv"*) echo venv >> asked; mkdir -p .venv/bin; cp "$0" .venv/bin/python
    printf '#!/bin/sh\\necho searched' > .venv/bin/longspan; chmod +x .venv/bin/longspan ;;
*"pip install"*) echo pip >> asked; test ! -e cut_off ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone on which `python` only writes down what it was asked to do, in `asked`."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "python").write_text(FAKE_PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def make(target: str, clone: Path) -> tuple[int, str, str, list[str]]:
    """Exit code, output, errors, and what `python` was asked to do."""
    asked = clone / "asked"
    asked.unlink(missing_ok=True)
    made = run("make", target, f"PYTHON={clone / 'python'}", cwd=clone)
    return (
        made.returncode,
        made.stdout,
        made.stderr,
        asked.read_text().split() if asked.exists() else [],
    )


@needs_make
def test_make_alone_lists_every_target() -> None:
    lines = run("make").stdout.splitlines()
    assert {line.split()[1] for line in lines} == TARGETS
    assert all(len(line.split()) > 2 for line in lines)


@needs_make
def test_the_environment_is_made_once_and_kept_up_to_date(clone: Path) -> None:
    code, output, _, asked = make("search", clone)
    assert (code, output.splitlines()[-1], asked) == (0, "searched", ["venv", "pip"])
    code, output, _, asked = make("search", clone)
    assert (code, output, asked) == (0, "searched\n", [])
    for changed in ("constraints.txt", "pyproject.toml"):
        for age, name in enumerate(["pyproject.toml", "constraints.txt", ".venv/ready", changed]):
            os.utime(clone / name, (age, age))
        assert make("search", clone)[3] == ["pip"], changed


@needs_make
def test_an_installation_that_was_cut_off_is_made_again(clone: Path) -> None:
    """From nothing, both the first installation and one that changes versions."""
    (clone / "cut_off").touch()
    assert make("search", clone)[0] != 0
    (clone / "cut_off").unlink()
    assert make("search", clone)[3] == ["venv", "pip"]
    os.utime(clone / ".venv" / "ready", (0, 0))
    (clone / "cut_off").touch()
    assert make("search", clone)[0] != 0
    (clone / "cut_off").unlink()
    assert make("search", clone)[3] == ["venv", "pip"]


@needs_make
def test_a_python_that_is_too_old_is_refused_in_one_line(clone: Path) -> None:
    (clone / "too_old").touch()
    code, _, errors, asked = make("search", clone)
    said = [line for line in errors.splitlines() if not line.startswith("make")]
    assert (code, asked) == (2, [])
    assert said == ["Longspan needs Python 3.11 or later; say which: make PYTHON=/path/to/python"]


@needs_make
@pytest.mark.parametrize(
    ("fails", "code", "ran"),
    [(None, 0, "install test test-slow lint"), ("install", 1, "install"),
     ("test", 1, "install test"), ("test", 5, "install test"),
     ("test-slow", 5, "install test test-slow"), ("lint", 1, "install test test-slow lint")],
)  # fmt: skip
def test_the_gate_passes_only_if_tests_and_lint_do(
    tmp_path: Path, fails: str | None, code: int, ran: str
) -> None:
    """Exit code 5, a run that finds no tests, is a failure."""
    targets = ("install", "test", "test-slow", "lint")
    rules = [f"{t}:\n\t@echo {t}; exit {code if t == fails else 0}\n" for t in targets]
    (tmp_path / "Makefile").write_text("".join(rules))
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    gate = run(str(tmp_path / ".ci" / "run"), cwd=ROOT)
    assert (gate.returncode == 0) == (fails is None)
    assert gate.stdout.split() == ran.split()
