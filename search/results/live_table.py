"""What a search shows while it runs: a live table, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from search.disk.ledger import Ledger
from search.disk.ranking import rank
from search.disk.record import Record
from search.results.leaderboard import leaderboard
from search.results.one_line import Column, table_of
from search.results.words import in_words, reach_in_words
from search.spec import Spec
from trainables.description import describe
from trainables.messages import duration


class Display:
    """Follows a ledger. Give it to the ledger as a listener before the search starts."""

    def __init__(
        self, console: Console, spec: Spec, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console, self._spec, self._clock = console, spec, clock
        self._trials = spec.search.trials
        self._ledger: Ledger | None = None
        self._started = clock()
        self._done_before = 0
        self._spent_before = 0.0
        self._said: set[int] = set()
        self._stage = ""

    @contextmanager
    def following(self, ledger: Ledger) -> Iterator[None]:
        """Show the ledger until the block ends."""
        self._ledger = ledger
        self._started = self._clock()
        self._spent_before = ledger.training_gflop
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
            f"[{done}/{self._trials}] trial {record.number}: {in_words(record, self._spec.ladder)}"
            f"{by_task}{_skill(record)}: {describe(record.configuration)}"
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

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def certifying(self, what: str) -> None:
        """Say what is known of a candidate while the trials wait."""
        self._stage = what
        if not self._console.is_terminal:
            self._console.print(what, highlight=False, markup=False, soft_wrap=True)

    def _screen(self) -> Group:
        records = list(self._ledger.records.values()) if self._ledger else []
        running = [r for r in records if not r.finished]
        best = leaderboard(
            records,
            5,
            asked=self._spec.ladder,
            objectives=self._spec.search.objectives,
            width=self._console.width,
        )
        return Group(self._summary(records), self._running(running), best)

    def _summary(self, records: list[Record]) -> Text:
        ended = Counter(r.ended_by for r in records if r.finished)
        done = sum(ended.values())
        best = rank(records)[:1]
        parts = [
            f"best reach {reach_in_words(best[0], self._spec.ladder) if best else '–'}",
            f"{done} of {self._trials} trials ended, {ended['pruned']} of them stopped",
            f"{len(records) - done} running",
            self._stage or self.time_left(records),
        ]
        return Text("  ·  ".join(parts), style="bold")

    def time_left(self, records: Sequence[Record]) -> str:
        """How long the search has taken and how long it may take still, from the first rung on.

        Once trials have ended: those to come take as long, by so many at a time. Before that those
        under way have taken so long already, and they are so many of all: a lower bound. A budget
        of the spec may end the search sooner.
        """
        elapsed = self._clock() - self._started
        so_far = f"{duration(elapsed)} so far"
        done = sum(record.finished for record in records)
        fresh, left, bound = done - self._done_before, self._trials - done, "about"
        by_trials: float | None = None
        if fresh > 0:
            by_trials = elapsed / fresh * left
        elif any(record.reported for record in records if not record.finished):
            running = len(records) - done
            by_trials, bound = elapsed * max(0, left - running) / running, "over"
        budgets = list(self._until_budgets(elapsed))
        ends = [(seconds, bound) for seconds in [by_trials] if seconds is not None] + budgets
        if not ends:
            return so_far
        if bound == "over" and budgets:
            ends = budgets  # which says more than a lower bound
        seconds, word = min(ends)
        return f"{so_far}, {word} {duration(seconds)} left"

    def _until_budgets(self, elapsed: float) -> Iterator[tuple[float, str]]:
        limits = self._spec.search
        if limits.hours is not None:
            yield max(0.0, 3600 * limits.hours - elapsed), "at most"
        spent = self._ledger.training_gflop if self._ledger else 0.0
        if limits.gflop is not None and spent > self._spent_before:
            a_second = (spent - self._spent_before) / elapsed
            yield max(0.0, limits.gflop - spent) / a_second, "about"

    def _running(self, running: list[Record]) -> Table:
        last = [record.report.trace[-1] if record.report.trace else None for record in running]
        columns = [
            Column("trial", [str(record.number) for record in running]),
            Column("at lag", [str(record.report.lag or "–") for record in running]),
            Column("passed", [str(record.reach) for record in running]),
            Column("loss", [f"{point.loss:.3f}" if point else "–" for point in last]),
            Column("success", [f"{point.success_rate:.0%}" if point else "–" for point in last]),
            Column(
                "architecture", [describe(record.configuration) for record in running], left=True
            ),
        ]
        return table_of(columns, self._console.width, "Running")


def _skill(record: Record) -> str:
    if record.skill is None:
        return ""
    gap = "" if record.no_gap is None else f" ({record.no_gap:.1%} at no gap)"
    return f", skill {record.skill:.1%}{gap}"
