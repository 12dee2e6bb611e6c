"""``report.html``: a search on one page, which needs no network and prints as it is."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from search.disk.certificates import claimed, words_of
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.disk.ranking import rank
from search.disk.record import ENDS
from search.results.review import charts, story, tables
from search.results.review.importance import importances
from search.results.words import judged_in_words, skill_in_words, small
from search.spec import Spec
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.looks.sizes import sizes

OVERLAID = 6
"""Curves that one picture can tell apart."""
CHOICES = 4
"""Choices that get a picture of their own, those that explain most."""


@dataclass(frozen=True)
class Picture:
    """A picture with what it shows, in words that need no picture."""

    title: str
    about: str
    html: str


def page(
    folder: SearchFolder,
    spec: Spec,
    ledger: Ledger,
    decided: Sequence[Mapping[str, Any]],
    asks_space: bool = True,
) -> str:
    """The whole page of a search and its decided certificates; ``asks_space`` as of `what_next`."""
    records = list(ledger.records.values())
    certified = words_of(decided)
    table = tables.of_search(records, spec, certified)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True
    )
    return environment.get_template("page.html").render(
        name=folder.name,
        spec=spec,
        spec_yaml=spec.to_yaml(),
        aims=spec.search.objectives,
        skill=skill_in_words(spec.ladder),
        judged=judged_in_words(spec.ladder),
        won=story.what_won(records, spec, decided),
        ended=story.how_it_ended(records),
        damaged=ledger.warnings,
        refused=len(ledger.refused),
        certificates=decided,
        columns=_columns(table),
        parameters={*tables.parameters(table)},
        rows=_rows(table, spec.ladder.start),
        pictures=_pictures(records, spec, table, claimed(certified)),
        following=list(story.what_next(records, spec, folder, decided, asks_space)),
        plotly=get_plotlyjs(),
    )


def _pictures(
    records: Sequence[Any], spec: Spec, table: pd.DataFrame, certified: Collection[str]
) -> list[Picture]:
    if table.empty:
        return []
    ranked = [record for record in rank(records, certified) if record.reach > 0]
    best = ranked[:OVERLAID]
    words = {record.number: tables.name(record) for record in best}
    found = []
    curves = tables.forgetting_curves(best)
    success = spec.ladder.success
    if len(curves):
        about = "Where each of the best forgets: its best member's final weights at every lag."
        found.append(
            _picture(
                "Forgetting curves",
                f"{about} They were trained on the longest last, and may have lost shorter ones. "
                "Hollow: lags that were not trained on.",
                charts.forgetting_curves(curves, words, success, tables.chance(best)),
            )
        )
    found.append(
        _picture(
            "Reach, trial by trial",
            "When the best was found, and whether it still got better.",
            charts.reach_over_time(table),
        )
    )
    carried = importances(table, tables.parameters(table))
    if carried:
        found.append(
            _picture(
                "What carries reach",
                "The part of the spread of progress that each choice explains alone (epsilon "
                "squared), with 90 % intervals over resampled trials. The sampler prefers good "
                "choices, so this is a hint and no experiment.",
                charts.importance(carried),
            )
        )
        found += [
            _picture(
                f"Reach by {one.parameter}",
                f"Each of {one.trials} trials is a dot.",
                charts.reach_by_choice(table, one.parameter),
            )
            for one in carried[:CHOICES]
        ]
    if ranked:
        found.append(
            _picture(
                "Reach against its price",
                "The line joins what nothing beats: as far for less, or farther for as much.",
                charts.pareto(table),
            )
        )
        found.append(
            _picture(
                f"Members of trial {ranked[0].number}",
                "What each member showed at its last look on every rung; filled: it solved it."
                f"{_shares(spec.ladder)}",
                charts.members_by_rung(tables.members(ranked[0]), success),
            )
        )
    found.append(_picture("Why trials ended", "All of them.", charts.ends(table)))
    return found


def _shares(ladder: LadderConfig) -> str:
    """What is to be known of these shares where looks end early, and where nobody trains."""
    ends = sizes(ladder.test_sequences)
    early = (
        f" A look that is decided ends, after {ends[0]} of {ends[-1]} sequences at the earliest, so"
        " shares of solved rungs are of what was shown, and high."
    )
    judged = judged_in_words(ladder)
    judged = f" {judged[0].upper()}{judged[1:]}." if judged else ""
    return (early if ladder.ends_of_a_look > 1 else "") + judged


def _picture(title: str, about: str, figure: go.Figure) -> Picture:
    html = figure.to_html(
        include_plotlyjs=False,
        full_html=False,
        config={"displayModeBar": False, "responsive": True},
    )
    return Picture(title, about, html)


HEADINGS = {
    "trial": "trial",
    "reach": "reach",
    "certified": "certified",
    "front": "front",
    "architecture": "architecture",
    "progress": "progress",
    "skill": "skill",
    "no_gap": "at no gap",
    "wrong_answers": "answers wrong",
    "limited_by": "limited by",
    "why": "why",
    "ended_by": "ended",
    "members": "members",
    "parameters": "parameters",
    "state_bytes": "state, bytes",
    "training_gflop": "GFLOP",
    "flops_per_step": "FLOP a step",
    "latency": "latency, s",
    "gflop_to_reach": "GFLOP to reach",
    "busy_seconds": "minutes",
}
IF_KNOWN = ("certified", "no_gap", "wrong_answers", "limited_by", "why")
"""Columns that are left out where they are empty."""


def _columns(table: pd.DataFrame) -> list[str]:
    return [HEADINGS.get(name, name) for name in _names(table)]


def _names(table: pd.DataFrame) -> list[str]:
    """The columns that are shown: what is known of any trial, then the parameters."""
    there = [name for name in HEADINGS if name in table]
    known = [name for name in there if name not in IF_KNOWN or table[name].notna().any()]
    by_task = [name for name in table if name.startswith("reach/")]
    return [*known, *by_task, *tables.parameters(table)]


def _rows(table: pd.DataFrame, start: int) -> list[list[tuple[str, Any]]]:
    """Of every trial, each column's text and what it is sorted by; ``start`` is the first lag."""
    names = _names(table)
    return [[_cell(name, row, start) for name in names] for row in table.to_dict("records")]


def _cell(name: str, row: Mapping[str, Any], start: int) -> tuple[str, Any]:
    value = row[name]
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return "", ""
    if name == "reach":
        passed = f"≥ {value}" if row["censored"] else str(value)
        return passed if value else "–" if row["censored"] else f"below {start}", value
    if name in ("skill", "no_gap"):
        return f"{value:.1%}", value
    if name == "wrong_answers":
        return small(value), value
    if name == "ended_by":
        return ENDS.get(value, value), value
    if name == "busy_seconds":
        return f"{value / 60:.1f}", value
    if isinstance(value, bool | str):
        return str(value), value
    if float(value).is_integer():
        return f"{int(value):,}", value
    return f"{value:.4g}", value
