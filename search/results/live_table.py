"""What a search shows while it runs: a live table, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from search.disk.ledger import Ledger
from search.disk.ranking import rank
from search.disk.record import Record
from search.results.leaderboard import leaderboard
from trainables.description import describe


class Display:
    """Follows a ledger. Give it to the ledger as a listener before the search starts."""

    def __init__(self, console: Console, trials: int) -> None:
        self._console, self._trials = console, trials
        self._ledger: Ledger | None = None
        self._started = time.monotonic()
        self._done_before = 0
        self._said: set[int] = set()
        self._stage = ""

    @contextmanager
    def following(self, ledger: Ledger) -> Iterator[None]:
        """Show the ledger until the block ends."""
        self._ledger = ledger
        self._started = time.monotonic()
        self._said = {r.number for r in ledger.records.values() if r.finished}
        self._done_before = len(self._said)
        if not self._console.is_terminal:
            yield
            return
        with Live(
            console=self._console, get_renderable=self._screen, refresh_per_second=2, transient=True
        ):
            yield

    def __call__(self, record: Record) -> None:
        """One plain line for each trial that ends, where there is no terminal."""
        if self._console.is_terminal or not record.finished or record.number in self._said:
            return
        self._said.add(record.number)
        done = len(self._said)
        by_task = f" ({record.tasks_text})" if len(record.tasks) > 1 else ""
        self._console.print(
            f"[{done}/{self._trials}] trial {record.number}: reach {record.reach_text}{by_task}, "
            f"ended by {record.ended_by}{_skill(record)}: {describe(record.configuration)}"
            f"{f' (from {record.origin})' if record.origin else ''}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    def measuring(self, done: int, total: int) -> None:
        """Say how many of the stopped trials have their forgetting curve."""
        self._stage = f"forgetting curves of stopped trials: {done} of {total}"
        if not self._console.is_terminal and done == 0:
            self._console.print(f"Measuring the forgetting curves of {total} stopped trials")

    def certifying(self, what: str) -> None:
        """Say what is known of a candidate while the trials wait."""
        self._stage = what
        if not self._console.is_terminal:
            self._console.print(what, highlight=False, markup=False, soft_wrap=True)

    def _screen(self) -> Group:
        records = list(self._ledger.records.values()) if self._ledger else []
        running = [r for r in records if not r.finished]
        return Group(self._summary(records), self._running(running), leaderboard(records, top=5))

    def _summary(self, records: list[Record]) -> Text:
        ended = Counter(r.ended_by for r in records if r.finished)
        done = sum(ended.values())
        best = rank(records)[:1]
        parts = [
            f"best reach {best[0].reach_text if best else '–'}",
            f"{done}/{self._trials} trials ended",
            f"{ended['pruned']} pruned",
            f"{len(records) - done} running",
            self._stage or self._time_left(done),
        ]
        return Text("  ·  ".join(parts), style="bold")

    def _time_left(self, done: int) -> str:
        elapsed = time.monotonic() - self._started
        fresh = done - self._done_before
        if not fresh:
            return f"{elapsed:.0f} s so far"
        left = elapsed / fresh * (self._trials - done)
        return f"{elapsed:.0f} s so far, about {left:.0f} s left"

    @staticmethod
    def _running(running: list[Record]) -> Table:
        table = Table(title="Running", title_justify="left")
        for name in ("trial", "at lag", "passed", "loss", "success", "architecture"):
            table.add_column(name, justify="left" if name == "architecture" else "right")
        for record in running:
            last = record.report.trace[-1] if record.report.trace else None
            table.add_row(
                str(record.number),
                str(record.report.lag or "–"),
                str(record.reach),
                f"{last.loss:.3f}" if last else "–",
                f"{last.success_rate:.0%}" if last else "–",
                describe(record.configuration),
            )
        return table


def _skill(record: Record) -> str:
    return "" if record.skill is None else f", skill {record.skill:.1%}"
