"""Declared spaces: what they draw, and what is refused in one line."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from pydantic import ValidationError

from search.proposing.draws import draw
from search.proposing.samplers import make_sampler
from search.spec.yaml_files import load_yaml
from spaces import SPACES
from spaces.declared import DeclaredSpace
from tests.spaces.test_spaces import learn_a_batch
from trainables.messages import one_line
from trainables.models.model import outline
from trainables.tasks.recall import Recall

EXAMPLES = sorted(Path("examples/spaces").glob("*.yaml"))
RECALL = Recall(Recall.Config())
CELL = {"model/cell/kind": ["lstm", "gru"]}


def declared(path: Path) -> DeclaredSpace:
    return DeclaredSpace.model_validate(load_yaml(path, "a space"))


def drawn(space: Any, sampler: str, count: int = 60) -> list[optuna.trial.FrozenTrial]:
    """Trials of a study that is told a number each time, so that TPE has something to learn."""
    study = optuna.create_study(direction="maximize")
    for number in range(count):
        study.sampler = make_sampler(sampler, 0, number)
        trial = study.ask()
        trial.set_user_attr("fixed", space(trial) or {})
        study.tell(trial, float(number % 7))
    return study.trials


def refusal(content: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        DeclaredSpace.model_validate(content)
    return one_line(caught.value)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_draw_of_an_example_learns_a_batch(path: Path) -> None:
    space = declared(path)
    learn_a_batch(draw(space, 50))
    taken = {name for trial in drawn(space, "random", 200) for name in trial.params}
    assert taken == {name for name, parameter in space.root.items() if parameter.is_chosen}


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_shipped_quick_space_declared_draws_the_same(sampler: str) -> None:
    """Same parameters, same distributions, same values, same constants, whatever samples."""
    mine = drawn(declared(Path("examples/spaces/quick.yaml")), sampler)
    theirs = drawn(SPACES["quick"], sampler)
    for one, other in zip(mine, theirs, strict=True):
        assert one.params == other.params
        assert one.distributions == other.distributions
        assert one.user_attrs == other.user_attrs


def test_a_declared_space_is_picklable() -> None:
    space = declared(EXAMPLES[0])
    again = pickle.loads(pickle.dumps(space))
    assert [t.params for t in drawn(again, "random")] == [t.params for t in drawn(space, "random")]


def test_ranges_are_those_written() -> None:
    space = DeclaredSpace.model_validate(
        {
            "a": {"low": 1, "high": 9, "step": 4},
            "b": {"low": 1, "high": 1000, "log": True},
            "c": {"low": 0, "high": 1.0},
            "d": {"low": "1e-3", "high": 1.0, "log": True},
            "e": {"low": 0.0, "high": 0.3, "step": 0.1},
        }
    )
    (trial,) = drawn(space, "random", 1)
    assert trial.distributions == {
        "a": IntDistribution(1, 9, step=4),
        "b": IntDistribution(1, 1000, log=True),
        "c": FloatDistribution(0.0, 1.0),
        "d": FloatDistribution(0.001, 1.0, log=True),
        "e": FloatDistribution(0.0, 0.3, step=0.1),
    }


def test_a_parameter_stands_only_where_all_its_conditions_hold() -> None:
    """Also where a condition names a parameter that was itself left out."""
    space = DeclaredSpace.model_validate(
        {
            "a": ["x", "y"],
            "b": {"low": 1, "high": 3, "when": {"a": "x"}},
            "c": {"choices": [True, None], "when": {"a": "x", "b": [2, 3]}},
            "d": {"value": 7, "when": {"b": 1}},
            "e": {"value": 8, "when": {"c": None}},
        }
    )
    seen = set()
    for trial in drawn(space, "random", 100):
        p, fixed = trial.params, trial.user_attrs["fixed"]
        assert ("b" in p) == (p["a"] == "x")
        assert ("c" in p) == (p.get("b") in (2, 3))
        waited_for = {"d": p.get("b") == 1, "e": "c" in p and p["c"] is None}
        assert {name: name in fixed for name in ("d", "e")} == waited_for
        seen |= {(name, value) for name, value in p.items()}
    assert {("b", 1), ("b", 2), ("b", 3), ("c", True), ("c", None)} <= seen


def after_cell(entry: Any) -> dict[str, Any]:
    return {**CELL, "x": entry}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({}, "{} is not allowed: dictionary should have at least 1 item"),
        (after_cell({"choises": [1]}), "x.choises: this key is not known"),
        (after_cell([]), "x.choices: [] is not allowed"),
        (after_cell([1, 2, 1]), "x.choices: 1 stands there twice"),
        (after_cell([1, [2]]), "x.choices.1"),
        (after_cell({"low": 3}), "x: give choices, value, or low and high (log, step); found low"),
        (after_cell({"choices": [1], "low": 1, "high": 2}), "x: give choices, value, or low and"),
        (after_cell({"when": {"model/cell/kind": "gru"}}), "x: give choices, value, or low and"),
        (after_cell({"low": 3, "high": 1}), "x: high: 1 is not allowed; low is 3"),
        (after_cell({"low": 0, "high": 1, "log": True}), "x: log: true is not allowed"),
        (after_cell({"low": 1, "high": 9, "log": True, "step": 2}), "x: log: true is not allowed"),
        (after_cell({"low": 1, "high": 9, "step": 0}), "x.step"),
        (after_cell({"low": 1, "high": 9, "step": 0.5}), "x: step: 0.5 is not allowed between"),
        (after_cell({"low": 1, "high": 9, "step": 5}), "x: step: 5 does not lead from 1 to 9"),
        (after_cell({"low": 0.0, "high": float("inf")}), "x.high"),
        (
            after_cell({"choices": [1], "when": {"model/cell/knid": "gru"}}),
            "x.when: 'model/cell/knid' is not chosen earlier; allowed: model/cell/kind",
        ),
        (
            after_cell({"choices": [1], "when": {"model/cell/kind": ["gru", "rnn"]}}),
            "x.when.model/cell/kind: 'rnn' is not among its values: 'lstm', 'gru'",
        ),
        (
            {"a": {"choices": [1], "when": {"b": 1}}, "b": {"choices": [1], "when": {"a": 1}}},
            "a.when: 'b' is not chosen earlier; allowed: none, it is the first",
        ),
        ({"a": {"choices": [1], "when": {"a": 1}}}, "a.when: 'a' is not chosen earlier"),
        ({"a": 1, "b": {"choices": [1], "when": {"a": 1}}}, "b.when: 'a' is not chosen earlier"),
        (
            {"a": {"low": 1, "high": 3}, "b": {"value": 1, "when": {"a": 4}}},
            "b.when.a: 4 is not among its values: 1 to 3 by 1",
        ),
        (
            {"a": {"low": 1.0, "high": 3.0}, "b": {"value": 1, "when": {"a": 1.0}}},
            "b.when.a: 1.0 is not among its values: nothing",
        ),
        ({"a": [1, 2], "b": {"value": 1, "when": {"a": True}}}, "b.when.a: True is not among"),
        ({"model/cell": ["lstm"], **CELL}, "model/cell: not allowed beside model/cell/kind"),
        ({"model//cell": ["lstm"]}, "'model//cell' is not a parameter's path"),
        ({7: ["lstm"]}, "7.[key]"),
        ([1], "[1] is not allowed"),
    ],
)
def test_a_refusal_names_the_parameter_and_what_is_allowed(content: Any, line: str) -> None:
    said = refusal(content)
    assert said.startswith(line)
    assert "\n" not in said


def test_the_page_shows_the_example_and_lists_every_shipped_space() -> None:
    page = Path("docs/spaces.md").read_text()
    assert Path("examples/spaces/gates_and_state_spaces.yaml").read_text() in page
    for name in SPACES:
        assert f"| `{name}` |" in page


def test_the_page_s_function_is_a_space() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", Path("docs/spaces.md").read_text(), re.DOTALL)
    module: dict[str, Any] = {}
    exec(code, module)
    for config in draw(module["wide_or_deep"], 20):
        outline(config.model, RECALL)
