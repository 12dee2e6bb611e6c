"""Where everything of a search lies: ``runs/NAME/``."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from search.disk.locks import held, is_held
from search.errors import UserError
from search.spec.names import NAME
from trainables.files.whole_files import (
    DamagedFileError,
    read_json,
    remove_left_over,
    set_aside,
    write_aside,
    write_json,
)

log = logging.getLogger(__name__)


class SearchFolder:
    """The folder of one search.

    ``spec.yaml`` as it was run · ``search.json`` identity and spec, twice ·
    ``study.journal`` Optuna · ``trials/NNNNN/`` record, checkpoint and weights of each trial ·
    ``outcomes/`` Parquet · ``tune/`` Ray's own state · ``exports/`` ·
    ``encoding/`` how each task's rows become inputs, and which rows they are ·
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
        self.refused = self.path / "refused.jsonl"
        self.outcomes = self.path / "outcomes"
        self.trials = self.path / "trials"
        self.tune = self.path / "tune"
        self.exports = self.path / "exports"
        self.encodings = self.path / "encoding"
        self.files = self.path / "files"
        self._about = (self.path / "search.json", self.path / ".search.json")
        self._lock = self.path / "lock"

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
        self._write_about({"id": uuid.uuid4().hex, "spec": spec})

    def require(self) -> None:
        """Refuse a name under which nothing was searched; a damaged spec is put right."""
        if self.exists:
            self._mend_spec()
            return
        known = sorted(p.parent.name for p in self.runs.glob("*/spec.yaml"))
        there = f"known: {', '.join(known)}" if known else "none is there yet"
        raise UserError(f"name: no search {self.name!r} under {self.runs}; {there}")

    @property
    def identity(self) -> str:
        """The search's own id: two searches of one name, in two folders, differ in it."""
        identity: str = self._read_about()["id"]
        return identity

    def change_spec(self, spec: str) -> None:
        """Replace the spec of a search that is to go on under another."""
        self._write_about({"id": self.identity, "spec": spec})
        write_aside(self.spec, spec.encode())

    def _mend_spec(self) -> None:
        """Put back a spec that is no YAML any more, from the copy beside it."""
        try:
            if isinstance(yaml.safe_load(self.spec.read_bytes()), dict):
                return
        except (yaml.YAMLError, UnicodeDecodeError):
            pass
        spec = self._read_about()["spec"]
        if not spec:
            return
        kept = set_aside(self.spec)
        write_aside(self.spec, spec.encode())
        log.warning("%s: damaged; kept as %s, put back from its copy", self.spec, kept.name)

    def _write_about(self, about: dict[str, str]) -> None:
        for copy in self._about:
            write_json(copy, about)

    def _read_about(self) -> dict[str, str]:
        """What is kept twice: the identity and the spec. Where neither is whole, a new identity."""
        found: dict[str, str] | None = None
        for copy in self._about:
            try:
                about = read_json(copy)
            except FileNotFoundError:
                continue
            except DamagedFileError as error:
                set_aside(copy)
                log.warning("%s; its copy is used", error)
            else:
                found = found or about
        if found is None:
            found = {"id": uuid.uuid4().hex, "spec": self.spec.read_text()}
        if not all(copy.exists() for copy in self._about):
            self._write_about(found)
        return found

    def trial(self, number: int) -> Path:
        """The folder of one trial."""
        return self.trials / f"{number:05d}"

    @property
    def busy(self) -> bool:
        """Whether a process holds the search."""
        return is_held(self._lock)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the search for this process; what dead ones have left half written goes.

        Raises:
            UserError: if another process holds it. The lock goes with the process, however it dies.
        """
        refusal = (
            f"name: {self.name!r} is being searched by another process; "
            f"watch it with `longspan status {self.name}`"
        )
        with held(self._lock, refusal):
            for folder in (self.path, self.outcomes):
                remove_left_over(folder)
            yield
