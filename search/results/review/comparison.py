"""Two searches side by side: in what their specs differ, and what came of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.disk.certificates import claimed
from search.disk.ranking import rank
from search.disk.record import Record
from search.spec import Outline
from trainables.description import describe

MEANING = ("tasks", "ladder")
"""Sections of a spec that say what a reach means."""

WHERE = ("name", "import_from", "plugins", "tracking")
"""Sections that say where things are."""


@dataclass(frozen=True)
class Side:
    """One of the two.

    Attributes:
        certified: by configuration digest, the lags that certificates show, in words

    """

    name: str
    spec: Outline
    records: Sequence[Record]
    certified: Mapping[str, str]


Row = tuple[str, Any, Any]
"""A key, or what was measured; what one has there; what the other has."""


def differences(one: Side, other: Side) -> list[Row]:
    """The keys of the specs, by path, whose values differ; None where a spec has no such key."""
    left, right = _leaves(one.spec), _leaves(other.spec)
    keys = dict.fromkeys([*left, *right])
    return [(k, left.get(k), right.get(k)) for k in keys if left.get(k) != right.get(k)]


def unlike(found: Sequence[Row]) -> list[str]:
    """Of the keys that differ, those that give a reach another meaning."""
    return [key for key, *_ in found if key.partition(".")[0] in MEANING and key != "ladder.stop"]


def results(one: Side, other: Side) -> list[Row]:
    """What came of each, of its best trial first."""
    left, right = _result(one), _result(other)
    return [(key, left[key], right[key]) for key in left]


def _leaves(spec: Outline) -> dict[str, Any]:
    plain = spec.model_dump(mode="json", exclude=set(WHERE))
    return dict(_flat(plain, ""))


def _flat(value: Any, path: str) -> list[tuple[str, Any]]:
    """Every value that is no mapping or list, by its path."""
    if isinstance(value, Mapping):
        steps = [(str(key), inner) for key, inner in value.items()]
    elif isinstance(value, list) and value:
        steps = [(str(place), inner) for place, inner in enumerate(value)]
    else:
        return [(path, value)]
    return [leaf for key, inner in steps for leaf in _flat(inner, f"{path}.{key}".lstrip("."))]


def _result(side: Side) -> dict[str, Any]:
    ranked = [r for r in rank(side.records, claimed(side.certified)) if r.reach > 0]
    best = ranked[0] if ranked else None
    ended = [record for record in side.records if record.finished]
    return {
        "reach": best.reach_text if best else None,
        "certified": side.certified.get(best.digest) if best else None,
        "skill": best.skill if best else None,
        "at no gap": best.no_gap if best else None,
        "progress": best.progress if best else None,
        "trial": best.number if best else None,
        "architecture": describe(best.configuration) if best else None,
        "trials ended": len(ended),
        "passed a rung": len(ranked),
        "failed by error": sum(record.ended_by == "error" for record in ended),
        "training GFLOP": sum(float(r.report.training_gflop) for r in side.records),
        "hours of workers": sum(float(r.report.busy_seconds) for r in side.records) / 3600,
    }
