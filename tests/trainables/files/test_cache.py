"""Where the user's cache lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainables.files.cache import cache_folder


def test_the_environment_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGSPAN_CACHE", str(tmp_path))
    assert cache_folder("kernels") == tmp_path / "kernels"
    monkeypatch.delenv("LONGSPAN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("mlflow") == tmp_path / "longspan" / "mlflow"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder("mlflow") == tmp_path / ".cache" / "longspan" / "mlflow"


def test_without_a_home_it_has_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LONGSPAN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def none() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", none)
    with pytest.raises(OSError, match="LONGSPAN_CACHE: must name a folder where there is no home"):
        cache_folder("kernels")
