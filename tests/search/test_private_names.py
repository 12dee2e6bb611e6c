"""Nothing of Ray, Optuna or MLflow is touched that they keep to themselves."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.proposing.bounded_study import BoundedStorage, BoundedStudy
from search.proposing.journal import Journal
from search.proposing.searcher import StudySearch
from search.scheduling.asha import SuccessiveHalving
from search.scheduling.retries import Retries

SEARCH = Path(__file__).parents[2] / "search"
FILES = sorted(SEARCH.rglob("*.py"))


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def touched(code: str) -> Iterator[str]:
    """Private names of anything but the object itself and this file."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case ast.Attribute(value=ast.Name(id="os"), attr="_exit"):
                pass  # Python documents it for a forked process
            case ast.Attribute(value=ast.Name(id="sys"), attr="_current_frames"):
                pass  # and this for seeing what a thread is at
            case ast.Attribute(attr=name) if private(name):
                yield name
            case ast.Import(names=names) if any(
                private(p) for n in names for p in n.name.split(".")
            ):
                yield names[0].name
            case ast.ImportFrom(module=str(module), names=names):
                if any(private(part) for part in [*module.split("."), *(n.name for n in names)]):
                    yield module


@pytest.mark.parametrize(
    "code",
    [
        "study._storage",
        "self.study._storage",
        "from ray.autoscaler._private import commands",
        "import optuna.study._tell",
        "from optuna.study.study import _logger",
    ],
)
def test_what_is_private_is_seen(code: str) -> None:
    assert list(touched(code))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SEARCH)))
def test_no_private_name_is_touched(file: Path) -> None:
    assert not list(touched(file.read_text()))


OURS = (BoundedStorage, BoundedStudy, Journal, Retries, StudySearch, SuccessiveHalving)


@pytest.mark.parametrize("ours", OURS, ids=lambda ours: ours.__name__)
def test_a_class_of_theirs_is_extended_by_its_public_names(ours: type) -> None:
    """No private attribute or method of ours is one of theirs, read, set or overridden."""
    theirs = {name for base in ours.__mro__[1:] if base is not object for name in named(base)}
    assert not named(ours) & theirs


def named(kind: type) -> set[str]:
    """The private names that a class defines, or reads and sets on itself."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except TypeError:  # built in
        return set()
    found = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return {name for name in found if private(name)}
