"""How a trial's folder gets from the machine that trains it to the head, and on to another.

On a cluster no two machines share a disk. The head keeps every trial's folder, as a search on one
machine does; a worker takes the folder from there when it starts, and sends what changed before it
reports, so that weights lie on the head for all that the ledger knows, and now and then in between.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trainables.files.whole_files import is_being_written, write_aside

SECONDS_BETWEEN_SENDS = 30.0

Contents = Mapping[str, bytes]
"""The files of a folder, by their path in it."""


class FolderStore:
    """The trials' folders of one search; on a cluster, an actor on the head."""

    def __init__(self, trials: str) -> None:
        self._trials = Path(trials)

    def read(self, number: int) -> dict[str, bytes]:
        """The files of a trial, but the ledger's record."""
        folder = self._trials / f"{number:05d}"
        return {n: (folder / n).read_bytes() for n in files(folder) if n != "record.json"}

    def write(self, number: int, changed: Contents, gone: Sequence[str]) -> None:
        """Replace files, each whole or not at all, and take others away.

        Raises:
            ValueError: if a path leads out of the folder.
        """
        folder = self._trials / f"{number:05d}"
        for name in [*changed, *gone]:
            _require_inside(name)
        # What lies deeper is written first: weights before the checkpoint that counts on them.
        for name in sorted(changed, key=lambda n: -n.count("/")):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            write_aside(target, changed[name])
        for name in gone:
            (folder / name).unlink(missing_ok=True)


def start_store(trials: Path) -> Any:
    """The store's actor, on the machine that calls this."""
    node = ray.get_runtime_context().get_node_id()
    here = NodeAffinitySchedulingStrategy(node, soft=False)
    store = ray.remote(FolderStore)
    return store.options(num_cpus=0, scheduling_strategy=here).remote(str(trials))


class FolderLink:
    """A worker's own copy of one trial's folder."""

    def __init__(self, store: Any, number: int, folder: Path) -> None:
        self._store, self._number, self.folder = store, number, folder
        self._sent: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def fetch(self) -> None:
        """Take over what the head has."""
        for name, content in ray.get(self._store.read.remote(self._number)).items():
            target = self.folder / _require_inside(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        self._sent = files(self.folder)

    def send(self) -> None:
        """Send what changed since the last time; back once it is on the head's disk."""
        with self._lock:
            there = files(self.folder)
            changed: dict[str, bytes] = {}
            # What lies deeper is read last: never a checkpoint newer than the weights with it.
            for name in sorted(there, key=lambda n: n.count("/")):
                if there[name] != self._sent.get(name):
                    try:
                        changed[name] = (self.folder / name).read_bytes()
                    except FileNotFoundError:
                        continue
            gone = [name for name in self._sent if name not in there]
            if changed or gone:
                ray.get(self._store.write.remote(self._number, changed, gone))
            self._sent = {n: there[n] for n in there if n in changed or n in self._sent}


@contextmanager
def trial_folder(
    trials: Path, number: int, store: Any | None
) -> Iterator[tuple[Path, Callable[[], None]]]:
    """The folder that a trial works in, and what sends it to where it is kept.

    Without a store it is where it is kept already.
    """
    if store is None:
        yield trials / f"{number:05d}", lambda: None
        return
    with tempfile.TemporaryDirectory(prefix=f"longspan-{number:05d}-") as folder:
        link = FolderLink(store, number, Path(folder))
        link.fetch()
        with _sent_now_and_then(link):
            yield link.folder, link.send


@contextmanager
def _sent_now_and_then(link: FolderLink) -> Iterator[None]:
    ended = threading.Event()

    def send() -> None:
        while not ended.wait(SECONDS_BETWEEN_SENDS):
            link.send()

    sender = threading.Thread(target=send, name="sender", daemon=True)
    sender.start()
    try:
        yield
    finally:
        ended.set()
        sender.join()


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file below, by its path; not of those being written."""
    found = {}
    for path in folder.rglob("*"):
        if is_being_written(path):
            continue
        try:
            state = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = (state.st_size, state.st_mtime_ns)
    return found


def _require_inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"{name!r} does not lie in the trial's folder")
    return name
