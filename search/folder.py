"""Where everything of a search lies: ``runs/NAME/``."""

from __future__ import annotations

import fcntl
import json
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class UserError(Exception):
    """Something a user can put right, in one line: the key or file, the value, what is allowed."""


class SearchFolder:
    """The folder of one search.

    ``spec.yaml`` as it was run · ``search.json`` identity · ``study.journal`` Optuna ·
    ``trials/NNNNN/`` record, checkpoint and weights of each trial · ``outcomes/`` Parquet ·
    ``tune/`` Ray's own state · ``exports/`` ·
    ``files/`` on a cluster, the data and modules that travelled there
    """

    def __init__(self, runs: Path, name: str) -> None:
        if not NAME.fullmatch(name):
            raise UserError(
                f"name: {name!r} is not allowed; letters, digits, '.', '_' and '-', at most 100"
            )
        self.runs, self.name = runs.absolute(), name
        self.path = self.runs / name
        self.spec = self.path / "spec.yaml"
        self.journal = self.path / "study.journal"
        self.outcomes = self.path / "outcomes"
        self.trials = self.path / "trials"
        self.tune = self.path / "tune"
        self.exports = self.path / "exports"
        self.files = self.path / "files"
        self._identity = self.path / "search.json"

    @property
    def exists(self) -> bool:
        """Whether a search of this name was started."""
        return self.spec.exists()

    def create(self, spec: str) -> None:
        """Lay the folder and write the spec.

        Raises:
            UserError: if a search of this name is there already.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with self.spec.open("x") as file:
                file.write(spec)
        except FileExistsError:
            raise UserError(
                f"name: {self.name!r} is taken: {self.path} holds a search; go on with "
                f"`longspan resume {self.name}`, or give another --name"
            ) from None
        write_json(self._identity, {"id": uuid.uuid4().hex})

    def require(self) -> None:
        """Refuse a name under which nothing was searched."""
        if self.exists:
            return
        known = sorted(p.parent.name for p in self.runs.glob("*/spec.yaml"))
        there = f"known: {', '.join(known)}" if known else "none is there yet"
        raise UserError(f"name: no search {self.name!r} under {self.runs}; {there}")

    @property
    def identity(self) -> str:
        """The search's own id: two searches of one name, in two folders, differ in it."""
        if not self._identity.exists():
            write_json(self._identity, {"id": uuid.uuid4().hex})
        identity: str = json.loads(self._identity.read_text())["id"]
        return identity

    def trial(self, number: int) -> Path:
        """The folder of one trial."""
        return self.trials / f"{number:05d}"

    @property
    def busy(self) -> bool:
        """Whether a process holds the search."""
        try:
            with self.locked():
                return False
        except UserError:
            return True

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the search for this process.

        Raises:
            UserError: if another process holds it. The lock goes with the process, however it dies.
        """
        with (self.path / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"name: {self.name!r} is being searched by another process; "
                    f"watch it with `longspan status {self.name}`"
                ) from None
            yield


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON, whole or not at all."""
    write_aside(path, json.dumps(value).encode())


def write_aside(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``, whole or not at all."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
