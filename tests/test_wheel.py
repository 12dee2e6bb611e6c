"""What `pip wheel .` makes runs outside of the checkout, the quick start included."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.waiting import HANGS

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the checkout; with the setuptools of here."""
    copy, built = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("built")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = ("longspan", "search", "spaces", "trainables", "examples")
    for name in packages:
        shutil.copytree(
            ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", project["readme"], *project["license-files"]):
        shutil.copyfile(ROOT / name, copy / name)
    words = ["wheel", ".", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(built)]
    subprocess.run([*PIP, *words], cwd=copy, check=True, timeout=HANGS)
    (found,) = built.glob("longspan-*.whl")
    return found


TRY_IT = """
import pyarrow.parquet as pq
import longspan
from search.commands.searching import quickstart

rows = pq.read_table(quickstart().parent / "data" / "digits.parquet").slice(0, 200)
model = longspan.load("best/1-trial-00000")
told = model.predict(rows["pixels"].to_pylist())
print(longspan.__file__, sum(a == b for a, b in zip(told, rows["label"].to_pylist(), strict=True)))
"""


@pytest.mark.slow
def test_the_quick_start_runs_outside_of_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Its first two trials, from the search to a model that tells digits."""
    there = tmp_path / "installed"
    words = ["install", "--no-deps", "--no-index", "--target", str(there), str(wheel)]
    subprocess.run([*PIP, *words], check=True, timeout=HANGS)
    (tmp_path / "anywhere").mkdir()

    def said(*words: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(there), "COLUMNS": "200"}
        return subprocess.check_output(
            [sys.executable, *words],
            env=environment, cwd=tmp_path / "anywhere", text=True, timeout=HANGS,
        )  # fmt: skip

    where = "from search.commands.searching import quickstart; print(quickstart())"
    assert said("-c", where).strip() == str(there / "longspan" / "examples" / "quickstart.yaml")
    longspan = str(there / "bin" / "longspan")
    assert "1,797 rows" in said(longspan, "search", "--dry-run")
    found = said(longspan, "search", "--trials", "2")
    assert "Longest dependency learned" in found
    assert "lstm 32 · conv 17 · read-out attention · lr 4.5e-03" in found
    assert "finished, 2 of 2 trials ended" in said(longspan, "status", "quickstart")
    assert "report.html" in said(longspan, "report", "quickstart")
    assert "1-trial-00000" in said(longspan, "export", "quickstart", "--to", "best")
    file, right = said("-c", TRY_IT).split()
    assert file == str(there / "longspan" / "__init__.py")
    assert int(right) > 150


@pytest.mark.slow
def test_all_that_is_not_code_is_in_it(wheel: Path) -> None:
    """Pages, sources that are compiled, types: whatever git knows beside modules."""
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    words = ["git", "ls-files", "longspan", "search", "spaces", "trainables"]
    known = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = {name for name in known.split() if (ROOT / name).is_file()}
    assert len(files) > 100
    assert not files - names
