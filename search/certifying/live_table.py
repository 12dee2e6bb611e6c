"""What certifying shows: a live table, or a plain line a member where there is no terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from search.certifying.candidates import Candidate
from search.certifying.climbing import Reached
from search.certifying.members import Climbed, Job
from trainables.description import describe
from trainables.measure.certificate import Plan, certified_lag, verdicts


class Display:
    """Follows the members of some candidates."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def following(
        self, candidates: Sequence[Candidate], plan: Plan, reached: Reached
    ) -> Iterator[None]:
        """Show how far the candidates are until the block ends."""
        if not self._console.is_terminal:
            yield
            return
        with Live(
            console=self._console,
            get_renderable=lambda: table(candidates, plan, reached),
            refresh_per_second=2,
            transient=True,
        ):
            yield

    def __call__(self, job: Job, climbed: Climbed) -> None:
        """One plain line for each member that has ended, where there is no terminal."""
        if self._console.is_terminal:
            return
        cause = f"; {climbed.error}" if climbed.error else ""
        self._console.print(
            f"{job.candidate.label}: member {job.member} learned lag {climbed.reach} of "
            f"{job.goal}, ended by {climbed.ended_by}{cause}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def table(candidates: Sequence[Candidate], plan: Plan, reached: Reached) -> Table:
    """How far each candidate is: per rung, members that learned it of those counted."""
    title = f"{plan.needed} of {plan.members} fresh members must learn a lag"
    found = Table(title=title, title_justify="left")
    for name in ("trial", "reach", "certified"):
        found.add_column(name, justify="right", no_wrap=True)
    found.add_column("by lag")
    found.add_column("architecture", overflow="fold")
    for candidate in candidates:
        rungs = verdicts(candidate.lags, plan, reached[candidate.label])
        decided = rungs[-1].passed is not None
        lag = certified_lag(rungs)
        found.add_row(
            str(candidate.trial) + (f" {candidate.task}" if len(candidates) > 1 else ""),
            str(candidate.reach),
            (str(lag) if lag else "none") if decided else "…",
            ", ".join(f"{v.lag}: {v.solved}/{v.tried}" for v in rungs),
            describe(candidate.configuration),
        )
    return found
