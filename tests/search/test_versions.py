"""The commit of what measured something is Longspan's own, or none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from search.disk import versions


def repository(folder: Path) -> str:
    """A repository of somebody's with one commit; gives its name."""
    by = ["-c", "user.name=somebody", "-c", "user.email=some@body"]
    for words in (["init", "-q"], [*by, "commit", "-q", "--allow-empty", "-m", "theirs"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    found = subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    )
    return found.stdout.strip()


def test_a_checkout_of_its_own_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = repository(tmp_path)
    monkeypatch.setattr(versions, "CHECKOUT", tmp_path)
    assert versions.git_commit() == commit
    assert versions.versions()["commit"] == commit


def test_an_enclosing_repository_is_somebody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where Longspan is installed in an environment below a project of one's own."""
    repository(tmp_path)
    installed = tmp_path / ".venv" / "lib" / "site-packages"
    installed.mkdir(parents=True)
    monkeypatch.setattr(versions, "CHECKOUT", installed)
    assert versions.git_commit() is None
    assert "commit" not in versions.versions()


def test_where_there_is_no_repository_there_is_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "CHECKOUT", tmp_path)
    assert versions.git_commit() is None


def test_a_repository_without_a_commit_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "-C", str(tmp_path), "init", "-q"], check=True)
    monkeypatch.setattr(versions, "CHECKOUT", tmp_path)
    assert versions.git_commit() is None


def test_the_code_lies_in_the_folder_that_is_asked() -> None:
    assert Path(versions.__file__).is_relative_to(versions.CHECKOUT / "search")
