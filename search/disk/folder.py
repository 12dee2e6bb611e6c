"""Where everything of a search lies: ``runs/NAME/``."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from search.disk.locks import held, is_held
from search.errors import UserError
from search.spec import Outline, outline, read
from search.spec.names import NAME, plain_options_of
from trainables.files.bounded import require_file
from trainables.files.whole_files import (
    DamagedFileError,
    read_json,
    remove_left_over,
    set_aside,
    write_aside,
    write_json,
)

if TYPE_CHECKING:
    from search.spec import Spec

log = logging.getLogger(__name__)


KNOWN_BY = ("spec.yaml", "search.json")
"""A folder with one of them is a search's."""

RESERVED = ("mlflow.db", "mlartifacts", "controls")
"""What else lies under the runs folder."""

MOVABLE = ("import_from", "plugins", "tracking")
"""Keys of a spec that say where things are, not what is searched."""


def _parsed(content: bytes) -> dict[str, Any] | None:
    """The mapping in a YAML file; None if it is none."""
    try:
        found = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _meaning(spec: dict[str, Any] | None) -> dict[str, Any]:
    """A spec without what only says where things are."""
    found = {key: value for key, value in (spec or {}).items() if key not in MOVABLE}
    if isinstance(found.get("tasks"), list):
        found["tasks"] = [
            {key: value for key, value in task.items() if key != "path"}
            if isinstance(task, dict)
            else task
            for task in found["tasks"]
        ]
    return found


def _changed(there: dict[str, Any], kept: dict[str, Any] | None) -> str:
    """The first key at the top of a spec that differs."""
    new, old = _meaning(there), _meaning(kept)
    gone = object()
    return next(str(k) for k in (*old, *new) if new.get(k, gone) != old.get(k, gone))


def _about_in(path: Path) -> dict[str, str]:
    """What a copy of the identity and the spec holds.

    Raises:
        FileNotFoundError: if there is none.
        DamagedFileError: in one line, if it is not what a search wrote.
    """
    found = read_json(path)
    texts = isinstance(found, dict) and all(isinstance(text, str) for text in found.values())
    if not texts or not {"id", "spec"} <= found.keys():
        raise DamagedFileError(f"{path}: damaged (it holds no identity and spec)")
    return found


class SearchFolder:
    """The folder of one search.

    ``spec.yaml`` as it was run · ``search.json`` identity and spec, twice ·
    ``study.journal`` Optuna · ``trials/NNNNN/`` record, checkpoint and weights of each trial ·
    ``outcomes/`` Parquet · ``tune/`` Ray's own state · ``exports/`` ·
    ``encoding/`` how each task's rows become inputs, and which rows they are ·
    ``ended_early.txt`` which budget ended it ·
    ``files/`` on a cluster, the data and modules that travelled there
    """

    def __init__(self, runs: Path, name: str) -> None:
        if not NAME.fullmatch(name):
            raise UserError(
                f"name: {name!r} is not allowed; letters, digits, '.', '_' and '-', at most 100"
            )
        if name.lower() in RESERVED or name.lower().startswith(f"{RESERVED[0]}-"):  # SQLite's own
            raise UserError(
                f"name: {name!r} is not allowed: the runs folder keeps something else there"
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
        self._early_end = self.path / "ended_early.txt"

    def command(self, verb: str) -> str:
        """A command about this search, as it can be pasted."""
        return f"longspan {verb} {self.name}{plain_options_of(self.runs)}"

    @property
    def exists(self) -> bool:
        """Whether a search of this name was started."""
        return self.spec.exists() or any(copy.exists() for copy in self._about)

    def create(self, spec: str) -> None:
        """Lay the folder and write the spec.

        Raises:
            UserError: if a search of this name is there already.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            if self.exists:
                raise FileExistsError
            with self.spec.open("x", encoding="utf-8") as file:
                file.write(spec)
        except FileExistsError:
            raise UserError(
                f"name: {self.name!r} is taken: {self.path} holds a search; go on with "
                f"`{self.command('resume')}`, or give another --name"
            ) from None
        self._write_about({"id": uuid.uuid4().hex, "spec": spec})

    def require(self) -> None:
        """Refuse a name under which nothing was searched; a spec that is not whole is put right.

        Raises:
            UserError: likewise, if the spec was changed by hand.
        """
        self._require_exists()
        kept = self._read_about(mend=True)
        if self._is_torn(kept):
            self._put_back(kept["spec"])

    def look(self) -> Spec:
        """The spec of a search, for whoever only reads: nothing is written, and nothing put right.

        Raises:
            UserError: if nothing was searched, or the spec was changed by hand.
        """
        return read(self.spec, self._whole_spec())

    def outline(self) -> Outline:
        """The same but for its tasks, without what these bring with them."""
        return outline(self.spec, self._whole_spec())

    def _whole_spec(self) -> str | None:
        """What is to be read in place of the spec, where that is torn or gone."""
        self._require_exists()
        kept = self._read_about(mend=False)
        if not self._is_torn(kept):
            return None
        log.warning("%s: damaged or gone; its copy is read, which a resume puts back", self.spec)
        return kept["spec"]

    def _require_exists(self) -> None:
        if self.exists:
            return
        known = sorted({p.parent.name for p in self.runs.glob("*/s*.*") if p.name in KNOWN_BY})
        there = f"known: {', '.join(known)}" if known else "none is there yet"
        raise UserError(f"name: no search {self.name!r} under {self.runs}; {there}")

    @property
    def identity(self) -> str:
        """The search's own id: two searches of one name, in two folders, differ in it."""
        return self._read_about(mend=True)["id"]

    @property
    def known_identity(self) -> str:
        """The same, for whoever only reads; empty where no copy is whole."""
        return self._read_about(mend=False)["id"]

    def change_spec(self, spec: str) -> None:
        """Replace the spec of a search that is to go on under another."""
        before = self.spec.read_text(encoding="utf-8")
        self._write_about({"id": self.identity, "spec": spec, "before": before})
        write_aside(self.spec, spec.encode())

    def _is_torn(self, kept: dict[str, str]) -> bool:
        """Hold the spec against its copies, which carry checksums: whether it is not as it was.

        A search keeps its meaning: what was measured under one spec is not counted under another.
        Where data, modules and MLflow lie may be changed by hand, and how the file is laid out.
        """
        spec = kept["spec"]
        found = self.spec.read_bytes() if self.spec.is_file() else b""
        if found == spec.encode():
            return False
        there = _parsed(found)
        cut_off = spec.encode().startswith(found) or found == kept.get("before", "").encode()
        if there is None or cut_off:
            return True
        if _meaning(there) != _meaning(_parsed(spec.encode())):
            raise UserError(
                f"{self.spec}: {_changed(there, _parsed(spec.encode()))} was changed by hand; what"
                " was measured under the old spec would count under another. "
                f"`{self.command('resume')}` takes --trials and --stop; for all else give a new"
                " --name. The old spec stands in "
                f"{self._about[0].name}; delete spec.yaml, and it is put back"
            )
        return False

    def _put_back(self, spec: str) -> None:
        if not self.spec.exists():
            log.warning("%s: was not there; put back from its copy", self.spec)
        else:
            kept = set_aside(self.spec)
            log.warning("%s: damaged; kept as %s, put back from its copy", self.spec, kept.name)
        write_aside(self.spec, spec.encode())

    def _write_about(self, about: dict[str, str]) -> None:
        for copy in self._about:
            write_json(copy, about)

    def _read_about(self, mend: bool) -> dict[str, str]:
        """What is kept twice: the identity and the spec.

        Where ``mend``, both copies are whole afterwards; of neither, with a new identity.
        """
        found: dict[str, str] | None = None
        damaged: dict[Path, DamagedFileError] = {}
        for copy in self._about:
            try:
                about = _about_in(copy)
            except FileNotFoundError:
                continue
            except DamagedFileError as error:
                damaged[copy] = error
            else:
                found = found or about
        if damaged and found is None:
            self._require_written_out()
        for copy, why in damaged.items():
            if mend:
                set_aside(copy)
            log.warning("%s; %s is used", why, "the spec" if found is None else "its copy")
        if found is None:
            identity = uuid.uuid4().hex if mend else ""
            found = {"id": identity, "spec": self.spec.read_text(encoding="utf-8")}
        if mend and not all(copy.exists() for copy in self._about):
            self._write_about(found)
        return found

    def _require_written_out(self) -> None:
        """Where no copy tells whether the spec is whole: it is as `create` has it, every key there.

        Raises:
            UserError: if it is not.
        """
        text = self.spec.read_text(encoding="utf-8", errors="replace")
        if read(self.spec, text).to_yaml() != text:
            raise UserError(
                f"{self.spec}: whether it is whole is not known: "
                f"{' and '.join(copy.name for copy in self._about)} are both damaged, and it is not"
                " written out as a search writes it; put one of the three back from a backup"
            )

    def trial(self, number: int) -> Path:
        """The folder of one trial."""
        return self.trials / f"{number:05d}"

    def note_early_end(self, why: str | None) -> None:
        """Keep the line that says which budget ended the search, or that none did."""
        if why is None:
            self._early_end.unlink(missing_ok=True)
        else:
            write_aside(self._early_end, f"{why}\n".encode())

    @property
    def ended_early(self) -> str | None:
        """Which budget ended the search's last run; None if none did."""
        try:
            require_file(self._early_end)
            return self._early_end.read_text(errors="replace").strip()
        except FileNotFoundError:
            return None
        except ValueError as error:
            log.warning("%s", error)
            return None

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
            f"watch it with `{self.command('status')}`"
        )
        with held(self._lock, refusal):
            for folder in (self.path, self.outcomes):
                remove_left_over(folder)
            yield
