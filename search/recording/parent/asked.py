"""The spec in the words of MLflow: what stays are params, what a resume may change are tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from search.spec import Spec

CHANGEABLE = (
    "ladder/stop",
    "search/trials",
    "search/hours",
    "search/gflop",
    "tracking",
    "import_from",
)
"""MLflow's params never change; these `longspan resume` changes, or a hand does."""


def params(spec: Spec) -> dict[str, str]:
    """What a search keeps from its start to its end, by path."""
    return {key: value for key, value in _flat(spec) if not key.startswith(CHANGEABLE)}


def tags(spec: Spec) -> dict[str, str]:
    """What may be another when it goes on, by path."""
    return {key: value for key, value in _flat(spec) if key.startswith(CHANGEABLE)}


def _flat(spec: Spec) -> Iterator[tuple[str, str]]:
    """Every value of the spec by its path; what is not set is left out."""
    found = spec.model_dump(mode="json")
    tasks = dict(zip(spec.tasks_by_name, found.pop("tasks"), strict=False))
    yield from _leaves("", {**found, "tasks": tasks})


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(f"{path}/{key}" if path else str(key), inner)
    elif value not in (None, [], {}):
        yield path, str(value)
