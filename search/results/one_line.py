"""A trial on one line, however narrow the terminal: what there is room for, and what goes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from search.disk.record import Record
from trainables.description import describe

SEPARATOR, RATE, READ_OUT = " · ", "lr ", "read-out "
BETWEEN = 2
"""Blanks between two columns."""


@dataclass(frozen=True)
class Column:
    """A column of a table: its head, and the cell of each trial."""

    head: str
    cells: Sequence[str]
    left: bool = False

    @property
    def width(self) -> int:
        """What it takes to be shown whole."""
        return max(map(cell_len, (self.head, *self.cells)))


def table_of(columns: Sequence[Column], width: int, title: str | None = None) -> Table:
    """A line a trial; where the width is too small, the last column is cut, and ends with ``…``."""
    table = Table(
        title=title, title_justify="left", caption_justify="left",
        box=None, padding=(0, BETWEEN, 0, 0), pad_edge=False, expand=True,
    )  # fmt: skip
    for column in columns[:-1]:
        table.add_column(
            column.head,
            justify="left" if column.left else "right",
            no_wrap=True,
            min_width=column.width,
        )
    room = max(1, width - taken(columns[:-1]) - BETWEEN)
    table.add_column(columns[-1].head, no_wrap=True, overflow="ellipsis", max_width=room, ratio=1)
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, row))
    return table


def taken(columns: Sequence[Column]) -> int:
    """Columns of a terminal that they take side by side."""
    return sum(column.width for column in columns) + BETWEEN * (len(columns) - 1)


@dataclass(frozen=True)
class Apart:
    """Words on the architectures of trials: what tells them apart, and what they share.

    Attributes:
        columns: rate and regime, where they differ, and the rest of the words
        shared: words that all have, which stand nowhere else
    """

    columns: Sequence[Column]
    shared: Sequence[str]


def apart(records: Sequence[Record], is_short: bool) -> Apart:
    """What tells the trials apart; each is called by its cell, also where they share it.

    Args:
        records: of the trials
        is_short: ``lstm 32, conv 17, last`` for ``lstm 32 · conv 17 · read-out last``
    """
    words = [describe(record.configuration).split(SEPARATOR) for record in records]
    regimes = [record.regime for record in records]
    shared = set.intersection(*map(set, words)) if len(records) > 1 else set()
    shared -= {each[0] for each in words}
    told = [[word for word in each if word not in shared] for each in words]
    rates = [next((w.removeprefix(RATE) for w in each if w.startswith(RATE)), "") for each in told]
    rest = [[word for word in each if not word.startswith(RATE)] for each in told]
    if is_short:
        rates = [rate.replace("e-0", "e-") for rate in rates]
        rest = [[word.removeprefix(READ_OUT) for word in each] for each in rest]
    columns = [
        Column("lr", rates),
        Column("regime", regimes if len(set(regimes)) > 1 else [""] * len(regimes), left=True),
    ]
    between = ", " if is_short else SEPARATOR
    said = Column("architecture", [between.join(each) for each in rest], left=True)
    alike = [word for word in (words[0] if words else []) if word in shared]
    alike += [regimes[0]] if len(set(regimes)) == 1 and regimes[0] else []
    return Apart([*(column for column in columns if any(column.cells)), said], alike)
