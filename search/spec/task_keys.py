"""Which keys each shipped task has, known without the tasks, which bring torch with them.

So that a slip of the pen in a task's entry is answered at once. A test holds them to the tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search.spec.sections import Outline

_ROWS = (
    "path sequence group_by order_by values scale missing missing_indicator group split split_seed "
    "test"
)
_LABELLED = "target lag nearness answer tolerance filler longest pad asked mask ignore"

TASK_KEYS: dict[str, frozenset[str]] = {
    kind: frozenset(["kind", *keys.split()])
    for kind, keys in {
        "recall": "alphabet distractors",
        "copying": "protocol symbols alphabet",
        "adding": "variant tolerance",
        "parquet": f"{_ROWS} {_LABELLED}",
        "stream": f"{_ROWS} context answers cut",
        "selective_copying": "protocol symbols vocabulary",
        "associative_recall": "protocol pairs vocabulary",
        "induction": "protocol vocabulary",
        "flip_flop": "protocol ignored",
        "temporal_order": "protocol marks",
        "parity": "",
        "permutation_tracking": "protocol items",
        "delayed_pattern": "classes repeats noise",
    }.items()
}


def require_task_keys(outline: Outline) -> None:
    """Refuse a kind or a key of a task that is not known; what plugins may bring is left alone.

    Raises:
        ValueError: in one line, as validating the task would.
    """
    for place, task in enumerate(outline.tasks):
        given: Mapping[Any, Any] = task if isinstance(task, Mapping) else {"kind": task}
        kind = given.get("kind")
        if isinstance(kind, str) and kind in TASK_KEYS:
            unknown = [key for key in given if key not in TASK_KEYS[kind]]
            if unknown:
                raise ValueError(f"tasks.{place}: {unknown[0]}: this key is not known")
        elif isinstance(kind, str) and not outline.plugins:
            allowed = ", ".join(TASK_KEYS)
            raise ValueError(f"tasks.{place}: kind: {kind!r} is not known; allowed: {allowed}")
