"""What a spec names on this machine, data and modules, put into one folder that travels."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from search.errors import UserError
from search.spec import Spec
from trainables.tasks.layouts.lakes import is_delta
from trainables.tasks.layouts.patterns import alternatives, is_pattern

FILES = "files"
MOST_BYTES = 512 * 2**20
"""Ray's limit on what is sent along with a job."""


def pack(spec: Spec, root: Path) -> Spec:
    """Copy the data and the modules that a spec names into ``root/files``.

    Returns:
        the spec with its data by paths relative to ``root``

    Raises:
        UserError: if it is more than travels; nothing has been copied then.
    """
    places: dict[Path, str] = {}
    tasks = []
    for task in spec.tasks:
        if isinstance(task.files, Path):  # and not a bucket's address
            _require_one(task.files)
            place = places.setdefault(task.files, f"data/{len(places)}/{task.files.name}")
            task = task.with_files(Path(FILES, place))
        tasks.append(task)
    modules = _own_modules(spec)
    places |= {module: module.name for module in modules}
    _require_travels(places)
    (root / FILES).mkdir(parents=True, exist_ok=True)
    for source, place in places.items():
        _copy(source, root / FILES / place, source in modules)
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
    named = [spec.space.partition(":")[0]] if ":" in spec.space else []
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


def _require_travels(places: dict[Path, str]) -> None:
    sizes = {source: _size(source) for source in places}
    total = sum(sizes.values())
    if total > MOST_BYTES:
        largest = max(sizes, key=lambda source: sizes[source])
        raise UserError(
            f"tasks: {largest} is {_mib(sizes[largest])} of {_mib(total)} that would travel; "
            f"allowed: {_mib(MOST_BYTES)}. Put it into a bucket and give its address as path: "
            "s3://bucket/name.parquet"
        )


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in _travels(path))


def _travels(folder: Path, is_module: bool = False) -> Iterator[Path]:
    """The files below a folder that are read there: nothing hidden, as ``.env`` and ``.git`` are.

    Of a folder of data what its links lead to is read, and travels; of a module nothing behind one.
    """
    seen: set[str] = set()  # a link may lead to a folder above it
    for root, folders, names in os.walk(folder, followlinks=not is_module):
        if os.path.realpath(root) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(root))
        folders[:] = [name for name in folders if not _stays(Path(root, name), is_module)]
        yield from (f for name in names if not _stays(f := Path(root, name), is_module))


def _stays(path: Path, is_module: bool) -> bool:
    hidden = path.name.startswith(".") or path.name == "__pycache__"
    return hidden or not path.exists() or (is_module and path.is_symlink())


def _mib(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"


def _copy(source: Path, target: Path, is_module: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        for file in _travels(source, is_module):
            there = target / file.relative_to(source)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, there)
    elif source != target:
        shutil.copyfile(source, target)
