"""The pictures of a search by name."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from search.disk.ranking import rank
from search.disk.record import Record
from search.errors import UserError
from search.results.review import charts, tables
from search.results.review.importance import importances
from search.spec import Spec

KINDS = (
    "forgetting_curves",
    "reach_over_time",
    "importance",
    "reach_by_choice",
    "pareto",
    "members_by_rung",
    "ends",
)


def figure(
    kind: str, records: Sequence[Record], spec: Spec, of: str | int | None, top: int
) -> go.Figure:
    """A picture of these trials; ``of`` and ``top`` as `longspan.Search.figure` takes them.

    Raises:
        UserError: in one line, if there is no such kind, parameter or trial.
    """
    table = tables.of_search(records, spec)
    success = spec.ladder.success
    if kind == "forgetting_curves":
        best = [record for record in rank(records) if record.report.curve][:top]
        names = {record.number: tables.name(record) for record in best}
        curves, chance = tables.forgetting_curves(best), tables.chance(best)
        return charts.forgetting_curves(curves, names, success, chance)
    if kind == "reach_over_time":
        return charts.reach_over_time(table)
    if kind == "importance":
        return charts.importance(importances(table, tables.parameters(table)))
    if kind == "reach_by_choice":
        return charts.reach_by_choice(table, _parameter(table, of))
    if kind == "pareto":
        return charts.pareto(table)
    if kind == "members_by_rung":
        return charts.members_by_rung(tables.members(_record(records, of)), success)
    if kind == "ends":
        return charts.ends(table)
    raise UserError(f"kind: {kind!r} is not known; allowed: {', '.join(KINDS)}")


def _parameter(table: pd.DataFrame, of: str | int | None) -> str:
    names = tables.parameters(table)
    if of is None and names:
        carried = importances(table, names)
        return carried[0].parameter if carried else names[0]
    if of not in names:
        raise UserError(f"of: {of!r} is no parameter; allowed: {', '.join(names) or 'none yet'}")
    return str(of)


def _record(records: Sequence[Record], of: str | int | None) -> Record:
    ranked = rank(records)
    if of is not None:
        ranked = [record for record in ranked if record.number == of]
    if not ranked:
        raise UserError(f"of: {of!r} is no trial that has measured anything")
    return ranked[0]
