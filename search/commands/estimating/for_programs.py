"""An estimate as plain values, for a program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search.commands.estimating.costs import LIKELY
from search.commands.estimating.estimate import Estimate
from search.commands.estimating.timing import Seconds
from search.spec import Spec
from trainables.tasks.task import Task


def plain_estimate(spec: Spec, tasks: Mapping[str, Task], found: Estimate) -> dict[str, Any]:
    """What `search --dry-run` says in words; each key names its unit."""
    steps = spec.ladder.start, spec.ladder.stop
    return {
        "name": spec.name,
        "tasks": {
            name: {"account": task.account, "steps": [task.length(lag) for lag in steps]}
            for name, task in tasks.items()
        },
        "trials": spec.search.trials,
        "tried_first": spec.search.first_from,
        "side_by_side": found.side_by_side,
        "lags": spec.ladder.rungs,
        "members": spec.ladder.members,
        "gflop": {"likely": [share * found.gflop for share in LIKELY], "at_most": found.gflop},
        "seconds": _seconds(found.seconds),
        "ends_after": {"hours": spec.search.hours, "gflop": spec.search.gflop},
        "memory_bytes": found.memory_bytes,
        "memory_bytes_of_a_trial": found.memory_of_a_trial,
        "share_by_lag": found.by_lag,
        "depends_on": found.choices,
        "timed": {"kinds": list(found.tried.values()), "share": found.tried_share},
    }


def _seconds(found: Seconds | None) -> dict[str, Any] | None:
    return None if found is None else {"likely": list(found.likely), "at_most": found.at_most}
