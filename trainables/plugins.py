"""Plugins: importable modules that bring layers, tasks or spaces of one's own, in tables.

A plugin's ``LAYERS`` and ``TASKS`` are put into the shipped tables, where configurations look their
kinds up when they are read. Its ``SPACES`` are the search's to read.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

import torch

from trainables.messages import named
from trainables.models.cells import LAYERS
from trainables.models.layer import Layer
from trainables.tasks import TASKS
from trainables.tasks.task import Task

SPACES = "SPACES"
"""Of a module, the table that is the search's to read."""

TABLES: dict[str, tuple[dict[str, Any], type]] = {"LAYERS": (LAYERS, Layer), "TASKS": (TASKS, Task)}


def load_plugins(names: Sequence[str], folders: Sequence[str | Path] = ()) -> list[ModuleType]:
    """Import modules and put their layers and tasks into the tables; once is as good as twice.

    Args:
        names: of the modules
        folders: where modules are looked for besides where Python does, from then on

    Raises:
        ValueError: in one line, if a module is no plugin or brings what is there already.
    """
    look_in(folders)
    return [_load(name, folders) for name in names]


def look_in(folders: Iterable[str | Path]) -> None:
    """Look for modules in these folders too, after all where Python does, from then on."""
    sys.path += [folder for folder in map(str, folders) if folder not in sys.path]


def imported(name: str, folders: Sequence[str | Path] = ()) -> ModuleType:
    """A module of somebody's own; what its import does to this process besides is undone.

    What it prints goes to where errors go.

    Raises:
        ValueError: in one line, if it raises or asks the process to end, or if it is another than
            the one in the ``folders``.
    """
    try:
        with _kept_as_it_is():
            module = importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the module's own code raises; an exit as well
        raise ValueError(f"{name!r} cannot be imported: {named(error)}") from None
    _require_own(name, module, folders)
    return module


@contextmanager
def _kept_as_it_is() -> Iterator[None]:
    """Working folder, search path, streams and torch's kind of number are as before when it ends.

    A child that was forked meanwhile ends there.
    """
    numbers = torch.get_default_dtype()
    process, path = os.getpid(), list(sys.path)
    streams = sys.stdin, sys.stdout, sys.stderr
    here: Path | None = None
    with suppress(FileNotFoundError):
        here = Path.cwd()
    errors = _Errors(sys.stderr)
    try:
        with Path(os.devnull).open() as nothing, redirect_stdout(errors):
            sys.stdin = nothing  # nobody is there to answer a module that asks
            yield
    finally:
        if os.getpid() != process:  # the module has forked, and this is its child
            os._exit(0)
        sys.stdin, sys.stdout, sys.stderr = streams
        errors.end()
        torch.set_default_dtype(numbers)
        sys.path[:] = [*path, *(folder for folder in sys.path if folder not in path)]
        if here is not None:
            os.chdir(here)


class _Errors(io.TextIOBase):
    """Where errors go; whoever closes it closes nothing else."""

    def __init__(self, to: TextIO) -> None:
        self._to, self._said = to, ""

    def write(self, said: str) -> int:
        """Write it there."""
        self._said = said or self._said
        return self._to.write(said)

    def end(self) -> None:
        """End the line that was begun: what is said next is no part of it."""
        if self._said and not self._said.endswith("\n"):
            self._to.write("\n")

    def flush(self) -> None:
        """Have it written."""
        if not self.closed:
            self._to.flush()


def _require_own(name: str, module: ModuleType, folders: Iterable[str | Path]) -> None:
    """Refuse a module that hides one's own file of its name, as Python's or a package's does."""
    for folder in folders:
        base = Path(folder, *name.split("."))
        for own in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if not own.is_file():
                continue
            found = Path(getattr(module, "__file__", None) or "/no file")
            if found.is_file() and found.read_bytes() == own.read_bytes():
                return
            raise ValueError(
                f"{name!r} is another module here ({_whose(module)}), not {own}; give that file "
                "another name"
            )


def _whose(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or "built into Python"


def require_loaded(names: Sequence[str]) -> None:
    """Register plugins that the caller has imported; a file's word imports nothing.

    Raises:
        ValueError: in one line, if one has not been imported.
    """
    for name in names:
        if name not in sys.modules:
            raise ValueError(
                f"{name!r} is needed and was not given; if you trust it: "
                f"trainables.load(DIR, plugins=[{name!r}]) or longspan verify DIR --plugin {name}"
            )
    load_plugins(names)


def needed(names: Sequence[str], configuration: Any) -> list[str]:
    """Those of the plugins whose layers or tasks a plain nested configuration names."""
    kinds = set(_kinds(configuration))
    return [
        name
        for name in names
        if any(kinds & set(getattr(sys.modules[name], table, ())) for table in TABLES)
    ]


def _load(name: str, folders: Sequence[str | Path] = ()) -> ModuleType:
    module = imported(name, folders)
    brought = {table: brought_by(module, table) for table in (*TABLES, SPACES)}
    if all(entries is None for entries in brought.values()):
        raise ValueError(f"{name!r} has no table; a plugin has LAYERS, TASKS or SPACES")
    for table in TABLES:
        _require_new(f"{name!r}: {table}", brought[table] or {}, *TABLES[table])
    for table in TABLES:
        TABLES[table][0].update(brought[table] or {})
    return module


def brought_by(module: ModuleType, table: str) -> dict[Any, Any] | None:
    """A table of a module's; None if it has none of that name.

    Raises:
        ValueError: in one line, if it is no mapping, or cannot be read.
    """
    where = f"{getattr(module, '__name__', module)!r}: {table}"
    try:
        found = getattr(module, table, None)
        if found is None or isinstance(found, Mapping):
            return None if found is None else dict(found)
    except Exception as error:  # whatever the module's own code raises
        raise ValueError(f"{where} cannot be read: {named(error)}") from None
    raise ValueError(f"{where} is no mapping")


def _require_new(
    where: str, entries: Mapping[Any, Any], table: Mapping[str, Any], base: type
) -> None:
    for kind, entry in entries.items():
        if not (isinstance(entry, type) and issubclass(entry, base)):
            raise ValueError(
                f"{where}: {kind!r} is no subclass of {base.__module__}.{base.__name__}"
            )
        if table.get(kind, entry) is not entry:
            raise ValueError(f"{where}: {kind!r} is taken; give it another kind")
        config = getattr(entry, "Config", None)
        fields = getattr(config, "model_fields", {})
        if "kind" not in fields or fields["kind"].default != kind:
            raise ValueError(f'{where}: {kind!r} has no Config with kind: Literal["{kind}"]')


def _kinds(nested: Any) -> Iterator[str]:
    if isinstance(nested, Mapping):
        if isinstance(nested.get("kind"), str):
            yield nested["kind"]
        for inner in nested.values():
            yield from _kinds(inner)
