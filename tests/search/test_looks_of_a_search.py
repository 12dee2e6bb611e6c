"""A search that begins now looks by stages; one that was begun goes on as it was begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from search import spec as specs
from search.commands.searching import overridden
from search.disk.folder import SearchFolder
from search.errors import UserError

SPEC: dict[str, Any] = {"name": "small", "space": "quick", "tasks": [{"kind": "recall"}]}


def test_what_a_spec_leaves_open_is_sequential_in_a_new_search() -> None:
    begun = overridden(specs.take(SPEC), None, None, None)
    assert begun.ladder.looks == "sequential"
    assert yaml.safe_load(begun.to_yaml())["ladder"]["looks"] == "sequential"


def test_what_a_spec_says_stays() -> None:
    for looks in ("whole", "sequential"):
        begun = overridden(specs.take({**SPEC, "ladder": {"looks": looks}}), None, None, None)
        assert begun.ladder.looks == looks


def test_ahead_is_to_a_rung_of_the_ladder() -> None:
    steps = {"start": 8, "stop": 64}
    assert specs.take({**SPEC, "ladder": {**steps, "ahead": 32}}).ladder.ahead == 32
    with pytest.raises(UserError, match=r"ladder\.ahead: 33 is no rung.*allowed: 8, 16, 32, 64"):
        specs.take({**SPEC, "ladder": {**steps, "ahead": 33}})


def test_a_search_that_was_begun_before_goes_on_with_whole_looks(tmp_path: Path) -> None:
    """Its spec, with every default of its time written out, does not name them."""
    written = specs.take(SPEC).to_yaml()
    assert "looks" not in written
    folder = SearchFolder(tmp_path, "small")
    folder.create(written)
    kept = folder.look()
    assert kept.ladder.looks is None
    assert kept.ladder.ends_of_a_look == 1
    assert kept.to_yaml() == written
