"""The user's own space, sampler, layer or task that ends the process, hangs or gives nonsense."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.spec import trying
from tests.search.conftest import in_process
from tests.search.test_refusals import spec_with

MODULE = """\
import os, sys, time
from typing import Literal

import optuna
import torch

from spaces.quick import quick
from trainables.models.cells.lstm import Lstm
from trainables.tasks.recall import Recall
from trainables.tasks.task import Batch


def space(trial):
    {space}
    return quick(trial)


def sampler(seed):
    {make}
    return Own(seed=seed)


class Own(optuna.samplers.RandomSampler):
    def sample_independent(self, *asked):
        {propose}
        return super().sample_independent(*asked)


class OwnTask(Recall):
    class Config(Recall.Config):
        kind: Literal["own"] = "own"

    def __init__(self, config):
        {init}
        super().__init__(config)

    @property
    def shortest_lag(self):
        {shortest}
        return 2

    def sample(self, *asked):
        {sample}
        return super().sample(*asked)


class OwnLayer(Lstm):
    class Config(Lstm.Config):
        kind: Literal["own"] = "own"

    def __init__(self, *given):
        {layer}
        super().__init__(*given)


TASKS, LAYERS = {{"own": OwnTask}}, {{"own": OwnLayer}}
"""

PLACES = ["space", "make", "propose", "init", "shortest", "sample", "layer"]

ENDINGS = {
    "os._exit(0)": "ends the process when it is called (exit code 0)",
    "os._exit(77)": "ends the process when it is called (exit code 77)",
    "os.abort()": "crashes when it is called: Aborted",
    "raise KeyboardInterrupt": "raises KeyboardInterrupt when it is called",
    "sys.exit(0)": "SystemExit: 0",
    "raise LookupError('mine')": "LookupError: mine",
}

NONSENSE = {
    ("space", "return [1]"): "the space gives [1]; allowed: a mapping",
    ("space", "return {1: 2}"): "the space gives {1: 2}; allowed: a mapping",
    ("space", "return {'model/cell': 3}"): "space: 'own_calls:space' gives no model: model.cell",
    ("make", "return 3"): "search.sampler: 'own_calls:sampler' gave no sampler of Optuna's: 3",
    ("propose", "return 'nonsense'"): "search.sampler: 'own_calls:sampler' proposes nothing: ",
    ("shortest", "return '2'"): "shortest_lag is '2'; allowed: a whole number from 1",
    ("sample", "return None"): "sample(2, 2) is None; allowed: a Batch",
    ("sample", "return Batch(*3 * [torch.zeros(2, 1)])"): "sample(2, 2).inputs is torch.float32",
    ("sample", "return Batch(*3 * [torch.zeros(3, 1, dtype=torch.long)])"): "has shape [3, 1]",
    ("init", "return"): "AttributeError: ",
}


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    from trainables.models.cells import LAYERS
    from trainables.tasks import TASKS

    yield
    sys.modules.pop("own_calls", None)
    for table in (LAYERS, TASKS):
        table.pop("own", None)


def refused(folder: Path, place: str, body: str) -> str:
    """The one line on a spec whose module does that at that place."""
    bodies = dict.fromkeys(PLACES, "pass") | {place: body}
    (folder / "own_calls.py").write_text(MODULE.format(**bodies))
    named: dict[str, object] = {
        "space": {"space": "own_calls:space"},
        "make": {"search": {"trials": 2, "sampler": "own_calls:sampler"}},
        "propose": {"search": {"trials": 2, "sampler": "own_calls:sampler"}},
        "layer": {"plugins": ["own_calls"], "space": "own.yaml"},
    }.get(place, {"plugins": ["own_calls"], "tasks": ["own"]})  # type: ignore[assignment]
    (folder / "own.yaml").write_text("{model/cell/kind: own, model/hidden_size: 8}")
    spec = spec_with(folder, **named)
    done = in_process("search", str(spec), "--dry-run", "--runs", str(folder / "runs"))
    assert done.returncode == 2, done.stderr
    assert not done.stdout
    (line,) = done.stderr.splitlines()
    key = {"make": "search.sampler", "propose": "search.sampler", "layer": "space"}
    assert (
        f"{key.get(place, 'tasks' if place in ('init', 'shortest', 'sample') else place)}: " in line
    )
    return line


@pytest.mark.parametrize("body", ENDINGS)
@pytest.mark.parametrize("place", PLACES)
def test_what_ends_the_process_is_told(
    place: str, body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(trying.LONGER, "120")
    assert ENDINGS[body] in refused(tmp_path, place, body)


@pytest.mark.parametrize("place", PLACES)
def test_what_never_comes_back_is_told(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(trying.LONGER, "2")
    assert "did not come back within 2 s when it was called" in refused(
        tmp_path, place, "time.sleep(9999)"
    )


@pytest.mark.parametrize(("place", "body"), NONSENSE)
def test_nonsense_is_told_as_whose_it_is(
    place: str, body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(trying.LONGER, "120")
    assert NONSENSE[place, body] in refused(tmp_path, place, body)
