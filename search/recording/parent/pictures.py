"""The pictures of a search on its own run: the report, to hover over and to sort, and PNGs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from search.checking.unanswered import own_modules
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.disk.record import Record
from search.errors import UserError
from search.spec import Spec

REPORT = "report.html"
FOLDER = "pictures"
"""Of the artifacts."""
TITLES = {
    "reach_over_time": "Reach, trial by trial",
    "importance": "What carries reach: the part of the spread of progress, with 90 % intervals",
    "reach_by_choice": "Reach by the choice that explains most",
    "pareto": "Reach against its price",
    "members_by_rung": "Members of the best, by rung",
    "ends": "Why trials ended",
}


def report(spec: Spec, folder: SearchFolder, decided: Sequence[Mapping[str, Any]]) -> bytes:
    """The page that ``longspan report`` writes: plotly's pictures, which need no network.

    A space of the user's own is not asked: it is called by the search alone, in one thread.
    """
    from search.results.review.page import page  # takes long to import, and not every search draws

    asks_space = not own_modules(spec)
    return page(folder, spec, Ledger(folder), decided, asks_space).encode()


def stills(records: Sequence[Record], spec: Spec) -> Iterator[tuple[str, bytes]]:
    """A PNG of each of the report's pictures, by name; of what has nothing to show, none."""
    from search.results.review.figures import figure
    from search.results.review.still import png

    if not any(record.reported for record in records):
        return
    for kind, title in TITLES.items():
        try:
            drawn = figure(kind, records, spec, None, top=0)
        except UserError:  # of a space without choices, or where no trial has measured anything
            continue
        if any(len(trace.x) for trace in drawn.data):
            yield f"{kind}.png", png(drawn, title)
