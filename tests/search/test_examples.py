"""The specs under `examples/`: each is taken as it stands, with its space and where it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from search import spec as specs
from search.checking.preflight import check

SPECS = sorted(
    path
    for path in [*Path("examples").glob("*.yaml"), *Path("examples/long").glob("*.yaml")]
    if path.name != "mqar.yaml"  # its rows are made first: tests/trainables/tasks/test_mqar_example
)


def test_there_are_some() -> None:
    assert {path.name for path in SPECS} >= {"copying.yaml", "quickstart.yaml", "recall.yaml"}


@pytest.mark.parametrize("path", SPECS, ids=str)
def test_a_spec_may_be_searched_as_it_stands(path: Path) -> None:
    spec = specs.read(path)
    assert list(check(spec)) == [task.kind for task in spec.tasks]


@pytest.mark.parametrize("path", SPECS, ids=str)
def test_a_spec_says_first_what_it_asks(path: Path) -> None:
    assert path.read_text().startswith("# ")
    assert "?\n" in path.read_text().partition("\nname:")[0]
