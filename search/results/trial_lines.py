"""All trials, one a line, by what one asks for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.table import Table

from search.disk.certificates import claimed
from search.disk.ranking import rank
from search.disk.record import Record
from search.results.words import end_in_words, reach_in_words
from trainables.description import describe
from trainables.measure.ladder_config import LadderConfig
from trainables.messages import duration

Figure = tuple[str, Callable[[Record], float | None], Callable[[float], str]]

SORTS: dict[str, Figure | None] = {
    "reach": None,
    "trial": None,
    "skill": ("skill", lambda r: None if r.skill is None else -r.skill, lambda x: f"{-x:.1%}"),
    "parameters": (
        "parameters",
        lambda r: r.rows[0].parameters if r.rows else None,
        lambda x: f"{x:,.0f}",
    ),
    "gflop": ("GFLOP", lambda r: r.report.training_gflop, lambda x: f"{x:,.0f}"),
    "time": ("time", lambda r: r.report.busy_seconds, duration),
}
"""What trials can be sorted by; the column that is shown for it, its number (the least first)."""

SEPARATOR, RATE = " · ", "lr "


def ordered(records: Iterable[Record], by: str, certified: Mapping[str, str]) -> list[Record]:
    """Every trial, also those that have reported nothing: they come last."""
    records = list(records)
    best = rank(records, claimed(certified))
    ranked = best + [record for record in records if not record.reported]
    shown = SORTS[by]
    if by == "trial":
        return sorted(ranked, key=lambda record: record.number)
    if shown is None:
        return ranked
    _, number, _ = shown

    def key(record: Record) -> float:
        found = number(record) if record.reported else None
        return math.inf if found is None else found

    return sorted(ranked, key=key)


def trial_lines(
    records: Sequence[Record], by: str, ladder: LadderConfig, on: Mapping[int, int] = {}
) -> Table:
    """A table of the records in their order, each on one line of eighty columns.

    Words of an architecture that all of them share stand in the caption alone; so does a regime.
    Where there are several objectives, ``on`` which Pareto front a trial is, by number.
    """
    shown = SORTS[by]
    words = [[r.regime, *describe(r.configuration).split(SEPARATOR)] for r in records]
    shared = set.intersection(*map(set, words)) if len(words) > 1 else {r.regime for r in records}
    rates = any(word.startswith(RATE) and word not in shared for word in itertools.chain(*words))
    heads = [
        *(["front"] if on else []),
        *([shown[0]] if shown else []),
        *(["lr"] if rates else []),
        "architecture",
    ]
    rows = [["trial", "reach", "then", *heads]]
    for record, each in zip(records, words, strict=True):
        apart = [word for word in each if word and word not in shared]
        rate = next((word.removeprefix(RATE) for word in apart if word.startswith(RATE)), "")
        rows.append(
            [
                str(record.number),
                reach_in_words(record, ladder),
                end_in_words(record, ladder),
                *([str(on.get(record.number, ""))] if on else []),
                *([_number(record, shown)] if shown else []),
                *([rate] if rates else []),
                SEPARATOR.join(word for word in apart if not word.startswith(RATE)),
            ]
        )
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True)
    for name, *cells in list(zip(*rows, strict=True))[:-1]:
        widest = max(map(len, (name, *cells)))
        table.add_column(name, justify="left" if name == "then" else "right", min_width=widest)
    table.add_column(rows[0][-1], no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows[1:]:
        table.add_row(*row)
    alike = [word for word in (words[0] if words else []) if word in shared and word]
    table.caption = "≥: it may do more"
    if alike:
        table.caption += f"; all: {SEPARATOR.join(alike)}"
    table.caption_justify = "left"
    return table


def _number(record: Record, shown: Figure) -> str:
    _, number, said = shown
    found = number(record) if record.reported else None
    return "" if found is None else said(found)
