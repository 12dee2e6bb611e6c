"""What a spec names on this machine, data and modules, put into one folder that travels."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from search.errors import UserError
from search.spec import Spec
from trainables.tasks.layouts.finding import find
from trainables.tasks.layouts.lakes import is_delta
from trainables.tasks.layouts.patterns import alternatives, is_pattern

FILES = "files"
MOST_BYTES = 512 * 2**20
"""Ray's limit on what is sent along with a job."""

Travels = Callable[[Path], Iterator[Path]]
"""From a file or folder to the files of it that travel."""


def pack(spec: Spec, root: Path) -> Spec:
    """Copy the data and the modules that a spec names into ``root/files``.

    Returns:
        the spec with its data by paths relative to ``root``

    Raises:
        UserError: if it is more than travels; nothing has been copied then.
    """
    places: dict[Path, str] = {}
    travels: dict[Path, Travels] = {}
    tasks = []
    for task in spec.tasks:
        if isinstance(task.files, Path):  # and not a bucket's address
            _require_one(task.files)
            place = places.setdefault(task.files, f"data/{len(places)}/{task.files.name}")
            travels[task.files] = _rows if task.is_shipped else _open_files
            task = task.with_files(Path(FILES, place))
        tasks.append(task)
    modules = _own_modules(spec)
    places |= {module: module.name for module in modules}
    travels |= dict.fromkeys(modules, _module)
    files = {source: list(travels[source](source)) for source in places}
    _require_travels(files)
    (root / FILES).mkdir(parents=True, exist_ok=True)
    for source, place in places.items():
        _copy(source, root / FILES / place, files[source])
    return spec.model_copy(update={"tasks": tasks, "import_from": [FILES] if modules else []})


def packed_files(root: Path) -> list[tuple[str, int]]:
    """Name and bytes of each file that `pack` has put there: all that travels beside the spec."""
    files = sorted(path for path in (root / FILES).rglob("*") if path.is_file())
    return [(file.relative_to(root / FILES).as_posix(), file.stat().st_size) for file in files]


def _require_one(path: Path) -> None:
    if len(alternatives(path)) > 1 or is_pattern(path) or is_delta(path):
        raise UserError(
            f"tasks: path: {path} does not travel; allowed on a cluster: one file, a folder, or the"
            " address of one in a bucket"
        )


def movable(spec: Spec, root: Path) -> Spec:
    """The spec with paths below ``root`` made relative to it: what moves with it is found."""

    def below(path: Path) -> Path:
        return path.relative_to(root) if path.is_relative_to(root) else path

    tasks = [
        task.with_files(below(task.files)) if isinstance(task.files, Path) else task
        for task in spec.tasks
    ]
    folders = [str(below(Path(folder))) for folder in spec.import_from]
    return spec.model_copy(update={"tasks": tasks, "import_from": folders})


def as_seen_by_workers(spec: Spec, files: Path) -> dict[str, Any]:
    """The spec, plain, with what travelled by paths relative to a worker's folder."""
    seen = movable(spec, files).model_dump(mode="json")
    return seen | {"import_from": ["."] if spec.import_from else []}


def _own_modules(spec: Spec) -> set[Path]:
    """Files and folders of the modules that a spec names and no package brought."""
    functions = (spec.space, spec.search.sampler)
    named = [name.partition(":")[0] for name in functions if ":" in name]
    found = set()
    for module in {name.partition(".")[0] for name in named + spec.plugins}:
        there = importlib.util.find_spec(module)
        if there is None or there.origin is None:
            raise UserError(f"plugins: module {module!r} cannot be found, so it cannot travel")
        path = Path(there.origin)
        path = path.parent if path.name == "__init__.py" else path
        if not _is_installed(path):
            found.add(path)
    return found


def _is_installed(path: Path) -> bool:
    own = Path(__file__).parents[2]
    places = {Path(place) for place in (sys.prefix, sys.base_prefix)}
    return path.parent == own or any(path.is_relative_to(place) for place in places)


def _require_travels(files: Mapping[Path, Sequence[Path]]) -> None:
    sizes = {source: sum(f.stat().st_size for f in those) for source, those in files.items()}
    total = sum(sizes.values())
    if total > MOST_BYTES:
        largest = max(sizes, key=lambda source: sizes[source])
        raise UserError(
            f"tasks: {largest} is {_mib(sizes[largest])} of {_mib(total)} that would travel; "
            f"allowed: {_mib(MOST_BYTES)}. Put it into a bucket and give its address as path: "
            "s3://bucket/name.parquet"
        )


def _rows(source: Path) -> Iterator[Path]:
    """Of data that a shipped task reads, the files that hold its rows: a key beside them stays."""
    return iter(find(source).taken) if source.is_dir() else iter([source])


def _open_files(source: Path) -> Iterator[Path]:
    """Of data that a task of the user's own reads, all but what is hidden, through links too."""
    return _below(source, follows=True)


def _module(source: Path) -> Iterator[Path]:
    """Of a module all but what is hidden, and nothing behind a link."""
    return _below(source, follows=False)


def _below(source: Path, follows: bool) -> Iterator[Path]:
    """The files below a folder, or the one that there is: nothing hidden, as ``.git`` is."""
    if source.is_file():
        yield source
        return
    seen: set[str] = set()  # a link may lead to a folder above it
    for root, folders, names in os.walk(source, followlinks=follows):
        if os.path.realpath(root) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(root))
        folders[:] = [name for name in folders if not _stays(Path(root, name), follows)]
        yield from (f for name in names if not _stays(f := Path(root, name), follows))


def _stays(path: Path, follows: bool) -> bool:
    hidden = path.name.startswith(".") or path.name == "__pycache__"
    return hidden or not path.exists() or (path.is_symlink() and not follows)


def _mib(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"


def _copy(source: Path, target: Path, files: Sequence[Path]) -> None:
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        if source != target:
            shutil.copyfile(source, target)
        return
    for file in files:
        there = target / file.relative_to(source)
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, there)
