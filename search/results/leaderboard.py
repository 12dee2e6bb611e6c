"""The leaderboard: the best trials, in a terminal or in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table

from search.disk.ranking import rank
from search.disk.record import Record
from trainables.config import describe


def leaderboard(
    records: Iterable[Record], top: int = 10, certified: Mapping[str, str] | None = None
) -> Table:
    """A table of the best trials; ≥ marks a reach that is censored.

    ``certified`` holds, by configuration digest, what certificates say; a column if it holds any.
    On several tasks the reach is the least, and a column says that on each.
    """
    best = rank(records)[:top]
    several = any(len(record.tasks) > 1 for record in best)
    table = Table(title="Longest dependency learned", title_justify="left")
    for name in ("#", "trial", "reach", "progress"):
        table.add_column(name, justify="right", no_wrap=True)
    if several:
        table.add_column("reach by task", overflow="fold")
    if certified:
        table.add_column("certified", justify="right", no_wrap=True)
    table.add_column("ended by", no_wrap=True)
    table.add_column("architecture", overflow="fold")
    table.add_column("params", justify="right", no_wrap=True)
    for place, record in enumerate(best, 1):
        table.add_row(
            str(place),
            str(record.number),
            record.reach_text,
            f"{record.progress:.2f}",
            *([record.tasks_text] if several else []),
            *([certified.get(record.digest, "")] if certified else []),
            record.ended_by or "running",
            describe(record.configuration),
            f"{_parameters(record):,}",
        )
    table.caption = "≥: censored, the ladder or the trial ended before the architecture did"
    table.caption_justify = "left"
    return table


def leaderboard_markdown(best: Sequence[Record]) -> str:
    """The best trials as a Markdown table."""
    several = any(len(r.tasks) > 1 for r in best)
    by_task = " reach by task |" if several else ""
    lines = [f"| # | trial | reach |{by_task} progress | ended by | architecture |"]
    lines.append("|-" * (7 if several else 6) + "|")
    for place, r in enumerate(best, 1):
        reach = f"{r.reach_text} | {r.tasks_text}" if several else r.reach_text
        words = describe(r.configuration)
        lines.append(
            f"| {place} | {r.number} | {reach} | {r.progress:.2f} | {r.ended_by} | {words} |"
        )
    return "\n".join(lines) + "\n"


def _parameters(record: Record) -> int:
    return record.rows[0].parameters if record.rows else 0
