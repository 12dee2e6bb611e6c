"""Samplers by name: what they draw, what they keep over a resume, which spaces they refuse."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import yaml
from optuna.samplers import RandomSampler

from search.checking.preflight import check
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.errors import UserError
from search.proposing import samplers
from search.proposing.new_study import new_study
from search.proposing.samplers import make_sampler, sampler_of
from search.proposing.searcher import StudySearch
from search.proposing.study import restore_study
from search.spec import Spec, read, sections
from tests.search.test_searcher import result


def numbers(trial: optuna.Trial) -> dict[str, Any]:
    trial.suggest_float("training/learning_rate", 1e-4, 1e-1, log=True)
    trial.suggest_int("model/hidden_size", 4, 64)
    return {"model/cell/kind": "gru"}


def branching(trial: optuna.Trial) -> dict[str, Any]:
    if trial.suggest_categorical("model/cell/kind", ["gru", "lstm", "rnn", "lru"]) == "gru":
        trial.suggest_float("training/learning_rate", 1e-4, 1e-1, log=True)
    trial.suggest_int("model/hidden_size", 8, 32, step=8)
    trial.suggest_int("model/depth", 1, 8, log=True)
    return {}


def drawn(kind: str, space: Any, count: int) -> list[dict[str, Any]]:
    study, found = new_study(), []
    for number in range(count):
        study.sampler = make_sampler(kind, 3, number)
        trial = study.ask()
        space(trial)
        found.append(trial.params)
        study.tell(trial, float(number))
    return found


def test_the_spec_and_the_table_name_the_same_samplers() -> None:
    assert tuple(samplers.SAMPLERS) == sections.SAMPLERS


def test_quasi_random_draws_take_every_choice_as_often_in_every_branch() -> None:
    """64 points of a Sobol sequence: 16 in each quarter of a coordinate, 4 in each of 4 x 4."""
    trials = drawn("qmc", branching, 64)
    assert set(Counter(t["model/cell/kind"] for t in trials).values()) == {16}
    rates = np.log10([t["training/learning_rate"] for t in trials if "training/learning_rate" in t])
    assert np.histogram(rates, 4, (-4, -1))[0].tolist() == [4] * 4
    others = [t["model/hidden_size"] for t in trials if t["model/cell/kind"] == "lstm"]
    assert Counter(others) == dict.fromkeys((8, 16, 24, 32), 4)
    assert {t["model/depth"] for t in trials} == set(range(1, 9))
    assert trials == drawn("qmc", branching, 64)


@pytest.mark.parametrize("kind", ["nsga2", "cmaes", "gp"])
def test_what_a_sampler_noted_outlasts_the_driver(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generation after generation, one driver and one anew for every trial propose the same."""
    monkeypatch.setattr(samplers, "POPULATION", 4)

    def searcher(folder: SearchFolder) -> StudySearch:
        ledger = Ledger(folder)
        study = restore_study(folder.journal, "study", numbers, ledger)
        return StudySearch(numbers, study, ledger, lambda n: make_sampler(kind, 7, n), 12)

    folders = [SearchFolder(tmp_path, name) for name in ("whole", "pieces")]
    for folder in folders:
        folder.create("")
    one = searcher(folders[0])
    for number in range(12):
        other = searcher(folders[1])
        proposed = one.suggest(f"t{number}")
        assert proposed == other.suggest(f"t{number}")
        size = proposed["configuration"]["model"]["hidden_size"]
        for search in (one, other):
            search.on_trial_complete(f"t{number}", result(float(size)))


def test_cma_es_climbs() -> None:
    study, found = new_study(), []
    for number in range(60):
        study.sampler = make_sampler("cmaes", 0, number)
        trial = study.ask()
        numbers(trial)
        found.append(trial.params["model/hidden_size"])
        study.tell(trial, float(found[-1]))
    assert np.mean(found[-12:]) > np.mean(found[:12]) + 10


@pytest.fixture
def module(tmp_path: Path) -> Iterator[str]:
    """A module of the user's beside the spec."""
    name = "own_of_test_samplers"
    (tmp_path / f"{name}.py").write_text(
        "from optuna.samplers import RandomSampler\n"
        "def choice(trial):\n"
        "    trial.suggest_float('training/learning_rate', 1e-4, 1e-1)\n"
        "    return {'model/cell/kind': 'gru', 'model/hidden_size': 8}\n"
        "def sometimes(trial):\n"
        "    if trial.suggest_int('model/hidden_size', 7, 8) == 8:\n"
        "        trial.suggest_float('training/learning_rate', 1e-4, 1e-1)\n"
        "    return {'model/cell/kind': 'gru'}\n"
        "class Counting(RandomSampler):\n"
        "    made = []\n"
        "    def __init__(self, seed):\n"
        "        super().__init__(seed)\n"
        "        self.made.append(seed)\n"
        "def none(seed):\n"
        "    return 'tpe'\n"
        "def broken(seed):\n"
        "    raise RuntimeError('no licence\\nfound')\n"
        "nothing = 3\n"
    )
    path, before = list(sys.path), set(sys.modules)
    yield name
    sys.path[:] = path
    for added in set(sys.modules) - before:
        if added == name:
            del sys.modules[added]


def spec_of(folder: Path, space: str = "quick", **search: Any) -> Spec:
    """As read from a file; modules are found beside it."""
    content = {
        "name": "s",
        "space": space,
        "tasks": [{"kind": "recall"}],
        "ladder": {"start": 8, "stop": 16},
        "search": search,
    }
    (folder / "spec.yaml").write_text(yaml.safe_dump(content))
    return read(folder / "spec.yaml")


def test_ones_own_sampler_is_made_once_a_run_from_the_seed_and_the_trial(
    module: str, tmp_path: Path
) -> None:
    made = sampler_of(spec_of(tmp_path, sampler=f"{module}:Counting", seed=5))
    first = made(4)
    assert isinstance(first, RandomSampler)
    assert made(5) is first
    assert sampler_of(spec_of(tmp_path, sampler=f"{module}:Counting", seed=5))(9) is not first
    seeds = sys.modules[module].Counting.made
    assert len(seeds) == len(set(seeds)) == 2


@pytest.mark.parametrize(
    ("sampler", "said"),
    [
        ("nothing", "is no function"),
        ("absent", "cannot be imported: AttributeError"),
        ("none", "gave no sampler of Optuna's: 'tpe'"),
        ("broken", "proposes nothing: RuntimeError: no licence found"),
    ],
)
def test_what_is_no_sampler_is_refused_in_one_line(
    module: str, tmp_path: Path, sampler: str, said: str
) -> None:
    with pytest.raises(UserError) as refused:
        check(spec_of(tmp_path, sampler=f"{module}:{sampler}"))
    assert str(refused.value).startswith(f"search.sampler: '{module}:{sampler}'")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ("quick", "model/cell/kind is a choice and no number; allowed here: tpe, gp"),
        ("MODULE:choice", "it takes at least two numbers"),
        ("MODULE:sometimes", "training/learning_rate is there for some proposals only"),
    ],
)
def test_cma_es_refuses_what_it_cannot_take(
    module: str, tmp_path: Path, space: str, said: str
) -> None:
    space = space.replace("MODULE", module)
    with pytest.raises(UserError, match=r"search\.sampler: cmaes cannot take") as refused:
        check(spec_of(tmp_path, space, sampler="cmaes"))
    assert said in str(refused.value)


@pytest.mark.parametrize("key", ["sampler", "scheduler"])
def test_a_name_that_is_not_there_is_refused_with_what_is_allowed(tmp_path: Path, key: str) -> None:
    allowed = {"sampler": sections.SAMPLERS, "scheduler": sections.SCHEDULERS}[key]
    with pytest.raises(UserError) as refused:
        spec_of(tmp_path, **{key: "grid"})
    assert f"search.{key}: 'grid' is not known; allowed: {', '.join(allowed)}" in str(refused.value)
