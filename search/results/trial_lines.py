"""All trials, one a line, by what one asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from rich.table import Table

from search.disk.certificates import claimed
from search.disk.ranking import rank
from search.disk.record import Record
from search.results.one_line import SEPARATOR, Column, apart, table_of, taken
from search.results.words import (
    FRONT,
    IN_A_WORD,
    TOP_IN_SHORT,
    WORDS_IN_SHORT,
    end_in_a_word,
    end_in_words,
    reach_in_words,
)
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
    records: Sequence[Record],
    by: str,
    ladder: LadderConfig,
    on: Mapping[int, int] = {},
    width: int = 80,
) -> Table:
    """A table of the records in their order, each on one line.

    Words of an architecture that all of them share stand in the caption alone; so does a regime.
    Where there are several objectives, ``on`` which Pareto front a trial is, by number. Where the
    ``width`` is too small, words are shortened, then how each ended is said in a word; what is
    still too long is cut.
    """
    for shorter in range(3):
        found = apart(records, is_short=shorter >= 1)
        columns = [*_columns(records, by, ladder, on, shorter >= 2), *found.columns]
        if taken(columns) <= width:
            break
    table = table_of(columns, width)
    table.caption = "≥: it may do more"
    if shorter >= 1:
        table.caption += f"; {WORDS_IN_SHORT}"
    if any(IN_A_WORD["top"] in column.cells for column in columns[:3]):
        table.caption += f"; {TOP_IN_SHORT}"
    if on:
        table.caption += f"; {FRONT}"
    if found.shared:
        table.caption += f"; all: {SEPARATOR.join(found.shared)}"
    return table


def _columns(
    records: Sequence[Record], by: str, ladder: LadderConfig, on: Mapping[int, int], is_short: bool
) -> Iterator[Column]:
    yield Column("trial", [str(record.number) for record in records])
    yield Column("reach", [reach_in_words(record, ladder) for record in records])
    ends = [end_in_a_word(r) if is_short else end_in_words(r, ladder) for r in records]
    yield Column("then", ends, left=True)
    if on:
        yield Column("front", [str(on.get(record.number, "")) for record in records])
    shown = SORTS[by]
    if shown:
        yield Column(shown[0], [_number(record, shown) for record in records])


def _number(record: Record, shown: Figure) -> str:
    _, number, said = shown
    found = number(record) if record.reported else None
    return "" if found is None else said(found)
