"""A few searches come to what they came to when the golden file was made, bit by bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.golden.make import GOLDEN, STOP, TRIALS
from tests.golden.searches import (
    PROPOSED,
    TWO_TASKS,
    cut_off_and_resumed,
    in_peace,
    made_longer,
    processor,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(GOLDEN.read_text())
    if kept["processor"] != processor():
        pytest.skip(f"floats are those of {kept['processor']}; this machine is {processor()}")
    return kept


def differences(kept: Any, found: Any, at: str = "") -> Iterator[str]:
    """Every field that is not what it was, by its path."""
    if isinstance(kept, dict) and isinstance(found, dict):
        for key in sorted(kept.keys() | found.keys()):
            yield from differences(kept.get(key), found.get(key), f"{at}/{key}")
    elif isinstance(kept, list) and isinstance(found, list) and len(kept) == len(found):
        for index, pair in enumerate(zip(kept, found, strict=True)):
            yield from differences(*pair, f"{at}/{index}")
    elif kept != found or type(kept) is not type(found):
        yield f"{at}: {kept!r} became {found!r}"


def assert_same(kept: Any, found: Any) -> None:
    told = list(differences(kept, json.loads(json.dumps(found))))
    assert not told, f"{len(told)} fields differ:\n" + "\n".join(told[:20])


def test_cut_off_resumed_and_made_longer(golden: dict[str, Any], tmp_path: Path) -> None:
    """Killed in the middle, it comes to what it was in peace; then to more trials and lags."""
    assert_same(golden["in_peace"], cut_off_and_resumed(tmp_path, TWO_TASKS, after=2))
    assert_same(golden["made_longer"], made_longer(tmp_path, TWO_TASKS, TRIALS, STOP))


def test_proposals_that_learn(golden: dict[str, Any], tmp_path: Path) -> None:
    assert_same(golden["proposed"], in_peace(tmp_path, PROPOSED))


def test_every_difference_is_told() -> None:
    kept = {"a": [[1, 2.0]], "b": {"c": True}}
    assert not list(differences(kept, {"a": [[1, 2.0]], "b": {"c": True}}))
    told = list(differences(kept, {"a": [[1, 2.5]], "b": {}, "d": 1}))
    assert told == ["/a/0/1: 2.0 became 2.5", "/b/c: True became None", "/d: None became 1"]
