"""A trial's folder on its way from one machine to another: the store stands for the head's disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray

from search.cluster import trial_folders
from search.cluster.trial_folders import FolderLink, FolderStore
from trainables.files.whole_files import aside_of


class Method:
    """A method as Ray's actors have them, done at once."""

    def __init__(self, method: object) -> None:
        self.remote = method


class Actor:
    """A store as a worker sees it."""

    def __init__(self, store: FolderStore) -> None:
        self.read, self.write = Method(store.read), Method(store.write)


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Actor:
    monkeypatch.setattr(ray, "get", lambda answer: answer)
    return Actor(FolderStore(str(tmp_path / "head")))


def link(head: Actor, folder: Path) -> FolderLink:
    folder.mkdir()
    found = FolderLink(head, 3, folder)
    found.fetch()
    return found


def test_what_one_worker_sent_the_next_has(head: Actor, tmp_path: Path) -> None:
    first = link(head, tmp_path / "first")
    (first.folder / "weights").mkdir()
    (first.folder / "weights" / "0.safetensors").write_bytes(b"w")
    (first.folder / "checkpoint.pt").write_bytes(b"1")
    first.send()
    second = link(head, tmp_path / "second")
    assert (second.folder / "weights" / "0.safetensors").read_bytes() == b"w"
    (second.folder / "checkpoint.pt").write_bytes(b"22")
    (second.folder / "weights" / "0.safetensors").unlink()
    second.send()
    third = link(head, tmp_path / "third")
    assert (third.folder / "checkpoint.pt").read_bytes() == b"22"
    assert not (third.folder / "weights" / "0.safetensors").exists()


def test_only_what_changed_is_sent(head: Actor, tmp_path: Path) -> None:
    sent: list[set[str]] = []
    write = head.write.remote

    def counted(number: int, changed: dict[str, bytes], gone: list[str]) -> None:
        sent.append(set(changed))
        write(number, changed, gone)

    head.write = Method(counted)
    worker = link(head, tmp_path / "worker")
    (worker.folder / "a").write_bytes(b"a")
    worker.send()
    (worker.folder / "b").write_bytes(b"b")
    worker.send()
    worker.send()
    assert sent == [{"a"}, {"b"}]


def test_what_is_being_written_is_not_sent(head: Actor, tmp_path: Path) -> None:
    worker = link(head, tmp_path / "worker")
    aside_of(worker.folder / "checkpoint").write_bytes(b"half")
    (worker.folder / "weights.new").write_bytes(b"half")
    (worker.folder / ".record.json.4711").write_bytes(b"half")
    worker.send()
    assert not list((tmp_path / "head").rglob("*half*"))
    assert head.read.remote(3) == {}


def test_a_checkpoint_is_never_newer_than_its_weights(
    head: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights are read after it and written before it, whatever the trial does meanwhile."""
    worker = link(head, tmp_path / "worker")
    (worker.folder / "weights").mkdir()
    (worker.folder / "weights" / "0").write_bytes(b"old")
    (worker.folder / "checkpoint").write_bytes(b"old")
    read_bytes = Path.read_bytes

    def saved_meanwhile(path: Path) -> bytes:
        content = read_bytes(path)
        if path.name == "checkpoint":
            (worker.folder / "weights" / "0").write_bytes(b"new")
        return content

    order: list[str] = []
    write_aside = trial_folders.write_aside
    monkeypatch.setattr(Path, "read_bytes", saved_meanwhile)
    monkeypatch.setattr(
        trial_folders,
        "write_aside",
        lambda path, content: (order.append(path.name), write_aside(path, content)),
    )
    worker.send()
    kept = head.read.remote(3)
    assert kept == {"weights/0": b"new", "checkpoint": b"old"}
    assert order == ["0", "checkpoint"]


@pytest.mark.parametrize("name", ["../elsewhere", "/etc/elsewhere", "a/../../elsewhere"])
def test_no_path_leads_out_of_the_folder(head: Actor, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="does not lie in the trial's folder"):
        head.write.remote(3, {name: b"x"}, [])
    with pytest.raises(ValueError, match="does not lie in the trial's folder"):
        head.write.remote(3, {}, [name])
