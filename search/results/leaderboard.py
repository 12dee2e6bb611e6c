"""The leaderboard: the best trials, in a terminal or in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table

from search.disk.certificates import claimed
from search.disk.ranking import fronts, places, rank
from search.disk.record import Record
from search.results.words import beside, end_in_words, reach_in_words
from trainables.description import describe
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.skill import BY_SKILL

STAR = "*"
"""Behind the skill of a trial that it limits."""


WIDE = 110
"""Columns of a terminal that shows more than the skill beside a reach."""


def leaderboard(
    records: Iterable[Record],
    top: int = 10,
    certified: Mapping[str, str] | None = None,
    asked: LadderConfig | None = None,
    ended_early: str | None = None,
    objectives: Sequence[str] = (),
    width: int = WIDE,
) -> Table:
    """A table of the best trials; ≥ marks a reach that may be more, = a place that is shared.

    A reach is shown with its skill next to it: how often its best member was right at the shortest
    rung. On several tasks the reach is the least, and a line under the architecture says that on
    each. A regime stands with each architecture, or, where all have one, in the caption.
    ``certified`` holds, by configuration digest, what certificates say; a column if it holds any,
    and on several tasks a line.
    What stands beside the skill has columns of its own where the ``width`` leaves room for them.
    With several ``objectives`` a column says which Pareto front a trial is on.
    The caption says what a rung ``asked`` for, and why the search ``ended_early``, if it did.
    """
    digests = claimed(certified or {})
    ranked = rank(records, digests)
    best = ranked[:top]
    several = any(len(record.tasks) > 1 for record in best)
    regimes = {record.regime for record in best}
    table = Table(
        title="Longest dependency learned", title_justify="left", box=None, padding=(0, 2, 0, 0)
    )
    for name in ("#", "trial", "reach", "skill"):
        table.add_column(name, justify="right", no_wrap=True)
    known = beside(best) if width >= WIDE else []
    for column in known:
        table.add_column(column.head, justify="right", no_wrap=True)
    if certified and not several:
        table.add_column("certified", justify="right", no_wrap=True)
    on = fronts(ranked, objectives) if len(objectives) > 1 else {}
    if on:
        table.add_column("front", justify="right", no_wrap=True)
    table.add_column("then", no_wrap=True)
    table.add_column("architecture", overflow="fold", ratio=1)
    limits = [None if asked is None else record.limited_by(asked) for record in best]
    for place, record, limit in zip(places(ranked, digests), best, limits, strict=False):
        claim = (certified or {}).get(record.digest, "")
        lines = [describe(record.configuration)]
        if len(regimes) > 1:
            lines[0] += f" · {record.regime}"
        if several:
            lines += [record.tasks_text] + [f"certified {claim}"] * bool(claim)
        table.add_row(
            place,
            str(record.number),
            reach_in_words(record, asked),
            _skill(record, limit),
            *(column.cell(record) for column in known),
            *([claim] if certified and not several else []),
            *([str(on.get(record.number, ""))] if on else []),
            _ended(end_in_words(record, asked), record, limit),
            "\n".join(lines),
        )
    table.caption = "≥: it may do more, the ladder or the trial ended first; =: a tie"
    if asked is not None:
        table.caption += (
            f"; a reach is by {asked.quorum} of {asked.members} members, success {asked.asked};"
            f" skill: success at lag {asked.start}"
        )
        table.caption += "".join(f"; {column.head}: {column.about}" for column in known)
        if BY_SKILL in limits:
            table.caption += f"; {STAR}: limited by {BY_SKILL}"
    if len(regimes) == 1:
        table.caption += f"; trained by regime {regimes.pop()}"
    if on:
        table.caption += f"; front: 1 if no other trial is as good in {', '.join(objectives)}"
    if ended_early:
        table.caption += f"; the search ended before all of its trials had: {ended_early}"
    table.caption_justify = "left"
    return table


def leaderboard_markdown(
    best: Sequence[Record],
    asked: LadderConfig | None = None,
    links: Mapping[int, str] | None = None,
    on: Mapping[int, int] | None = None,
) -> str:
    """The best trials as a Markdown table, and under it what a rung ``asked`` for.

    The ``links`` are by trial, to its page; where there are several objectives, ``on`` which Pareto
    front a trial is.
    """
    several = any(len(r.tasks) > 1 for r in best)
    by_task = " reach by task |" if several else ""
    known = beside(best)
    skill = " | ".join(["skill", *(column.head for column in known)])
    by_task += " front |" if on else ""
    head = f"| # | trial | reach |{by_task} progress | {skill} | regime | ended by | architecture |"
    lines = [head, "|---" * (head.count("|") - 1) + "|"]
    for place, r in zip(places(best), best, strict=True):
        reach = f"{r.reach_text} | {r.tasks_text}" if several else r.reach_text
        if on:
            reach += f" | {on.get(r.number, '')}"
        words = describe(r.configuration)
        limit = None if asked is None else r.limited_by(asked)
        ended = f"{_ended(r.end_text, r, limit)}, limited by {limit}" if limit else r.end_text
        trial = f"[{r.number}]({links[r.number]})" if links and r.number in links else r.number
        cells = [f"{r.progress:.2f}", _skill(r, None), *(column.cell(r) for column in known)]
        numbers = " | ".join(cells)
        lines.append(
            f"| {place} | {trial} | {reach} | {numbers} | {r.regime} | {ended} | {words} |"
        )
    if asked is not None:
        lines.append(
            f"\nA reach is by {asked.quorum} of {asked.members} members, success {asked.asked};"
            f" skill: success at lag {asked.start}"
            f"{''.join(f'; {column.head}: {column.about}' for column in known)}."
        )
    return "\n".join(lines) + "\n"


def _ended(ended: str, record: Record, limit: str | None) -> str:
    """How it ended, and why, where one of the limits known before training explains it."""
    why = record.why(limit)
    return f"{ended}: {why}" if why and limit != BY_SKILL else ended


def _skill(record: Record, limit: str | None) -> str:
    """The skill; with a star, if that is what limits the trial."""
    if record.skill is None:
        return ""
    return f"{record.skill:.1%}{STAR if limit == BY_SKILL else ''}"
