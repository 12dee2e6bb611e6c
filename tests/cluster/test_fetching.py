"""What comes from a head as an export: taken whole, and nowhere but where it was asked for."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from search.cluster.fetching import fetch_export
from search.errors import UserError


def head(*members: tarfile.TarInfo, code: int = 0, said: bytes = b"") -> SimpleNamespace:
    """A cluster whose head answers with an archive of these members, each holding ``x``."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for member in members:
            member.size = 1 if member.isreg() else 0
            tar.addfile(member, io.BytesIO(b"x"))
    done = subprocess.CompletedProcess((), code, archive.getvalue(), said)
    return SimpleNamespace(run=lambda *_, **__: done)


def a_file(name: str) -> tarfile.TarInfo:
    return tarfile.TarInfo(name)


def a_link(name: str, target: str) -> tarfile.TarInfo:
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, target
    return link


def test_folders_come_whole(tmp_path: Path) -> None:
    to = tmp_path / "best"
    first, second = fetch_export(
        head(a_file("./1-a/CARD.md"), a_file("./2-b/CARD.md")), "x", {"top": 2}, to
    )
    assert (first, second) == (to / "1-a", to / "2-b")
    assert sorted(to.iterdir()) == [first, second]
    assert (first / "CARD.md").read_bytes() == b"x"


@pytest.mark.parametrize(
    "member",
    [
        a_file("../outside"),
        a_file("1-a/../../outside"),
        a_link("1-a", "../.."),
        a_link("1-a/model.safetensors", "/etc/passwd"),
    ],
    ids=lambda member: member.name,
)
def test_nothing_leads_out_of_the_folder(tmp_path: Path, member: tarfile.TarInfo) -> None:
    to = tmp_path / "there" / "best"
    with pytest.raises(UserError, match="the head's archive is refused") as refused:
        fetch_export(head(member), "x", {"top": 1}, to)
    assert "\n" not in str(refused.value)
    assert not any(to.iterdir())
    assert not (tmp_path / "there" / "outside").exists()


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    (tmp_path / "2-b").mkdir()
    with pytest.raises(UserError, match="2-b is there already"):
        fetch_export(head(a_file("1-a/CARD.md"), a_file("2-b/CARD.md")), "x", {"top": 2}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["2-b"]


def test_what_the_head_refuses_is_said_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^name: no search 'x'$"):
        fetch_export(
            head(code=2, said=b"longspan: name: no search 'x'\n"), "x", {"top": 1}, tmp_path
        )
