"""The leaderboard: the best trials, in a terminal or in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table

from search.disk.certificates import claimed
from search.disk.ranking import fronts_of, places, rank
from search.disk.record import Record
from search.results.one_line import SEPARATOR, Column, apart, table_of, taken
from search.results.words import (
    FRONT,
    IN_A_WORD,
    TOP_IN_SHORT,
    WORDS_IN_SHORT,
    beside,
    end_in_a_word,
    end_in_words,
    judged_in_words,
    reach_in_words,
    skill_in_words,
)
from trainables.description import describe
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.skill import BY_SKILL

STAR = "*"
"""Behind the skill of a trial that it limits."""


def leaderboard(
    records: Iterable[Record],
    top: int = 10,
    certified: Mapping[str, str] | None = None,
    asked: LadderConfig | None = None,
    ended_early: str | None = None,
    objectives: Sequence[str] = (),
    width: int = 120,
) -> Table:
    """A line for each of the best trials; ≥ marks a reach that may be more, = a shared place.

    A reach is shown with its skill next to it: how often its best member was right at the shortest
    rung. On several tasks the reach is the least, and a column says that on each. ``certified``
    holds, by configuration digest, what certificates say; a column if it holds any. With several
    ``objectives`` a column says which Pareto front a trial is on. The caption says what a rung
    ``asked`` for, and why the search ``ended_early``, if it did.

    Where the ``width`` is too small for all of it, what stands beside the skill goes first; then
    words that all trials share stand in the caption, the others are shortened, how each ended is
    said in a word, and the skill goes. Reach, learning rate and regime stay.
    """
    digests = claimed(certified or {})
    ranked = rank(records, digests)
    best = ranked[:top]
    on = fronts_of(ranked, objectives)
    claims = [(certified or {}).get(record.digest, "") for record in best]
    of_all = [
        *([Column("certified", claims)] if any(claims) else []),
        *([Column("front", [str(on.get(record.number, "")) for record in best])] if on else []),
    ]
    limits = [None if asked is None else record.limited_by(asked) for record in best]
    for shorter in range(SHORTEST + 1):
        columns, about = _laid_out(best, asked, limits, of_all, shorter)
        columns.insert(0, Column("#", places(ranked, digests)[: len(best)]))
        if taken(columns) <= width:
            break
    table = table_of(columns, width, "Longest dependency learned")
    table.caption = "≥: it may do more, the ladder or the trial ended first; =: a tie"
    if asked is not None:
        table.caption += (
            f"; a reach is by {asked.quorum} of {asked.members} members, success {asked.asked}"
        )
        judged = judged_in_words(asked)
        table.caption += f"; {judged}" if judged else ""
    table.caption += "".join(f"; {word}" for word in about)
    if on:
        table.caption += f"; front: 1 if no other trial is as good in {', '.join(objectives)}"
    if ended_early:
        table.caption += f"; the search ended before all of its trials had: {ended_early}"
    return table


SHORTEST = 6
"""How far `_laid_out` can shorten a line."""


def _laid_out(
    best: Sequence[Record],
    asked: LadderConfig | None,
    limits: Sequence[str | None],
    of_all: Sequence[Column],
    shorter: int,
) -> tuple[list[Column], list[str]]:
    """The columns behind the place, and what the caption is to say of them.

    Args:
        best: the trials
        asked: of a rung
        limits: what each trial is limited by
        of_all: columns that are always there
        shorter: how many things are left out or shortened, up to `SHORTEST`
    """
    columns = [
        Column("trial", [str(record.number) for record in best]),
        Column("reach", [reach_in_words(record, asked) for record in best]),
    ]
    about = []
    if shorter < 5:
        skills = [_skill(record, limit) for record, limit in zip(best, limits, strict=True)]
        columns.append(Column("skill", skills))
        about += [f"skill: {skill_in_words(asked)}"] if asked else []
        about += [f"{STAR}: limited by {BY_SKILL}"] if BY_SKILL in limits else []
    for one in beside(best) if shorter < 1 else ():
        columns.append(Column(one.head, [one.cell(record) for record in best]))
        about.append(f"{one.head}: {one.about}")
    columns += of_all
    if any(len(record.tasks) > 1 for record in best):
        if shorter < 6:
            reaches = [_by_task(record, shorter < 2) for record in best]
            columns.append(Column("by task", reaches, left=True))
            about += [f"by task: {'/'.join(best[0].report.reaches)}"] if shorter >= 2 else []
        else:
            about.append("the reach is the least on a task: --json has all")
    ends = [
        end_in_a_word(record)
        if shorter >= 4
        else _ended(end_in_words(record, asked), record, limit)
        for record, limit in zip(best, limits, strict=True)
    ]
    columns.append(Column("then", ends, left=True))
    about += [TOP_IN_SHORT] if IN_A_WORD["top"] in ends else []
    if shorter < 2:
        regimes = {record.regime for record in best}
        words = [
            SEPARATOR.join([describe(record.configuration), *[record.regime] * (len(regimes) > 1)])
            for record in best
        ]
        columns.append(Column("architecture", words, left=True))
        about += [f"trained by regime {regimes.pop()}"] if len(regimes) == 1 else []
        return columns, about
    found = apart(best, is_short=shorter >= 3)
    about += [WORDS_IN_SHORT] if shorter >= 3 else []
    about += [f"all: {SEPARATOR.join(found.shared)}"] if found.shared else []
    return [*columns, *found.columns], about


def _by_task(record: Record, has_names: bool) -> str:
    """The reach on each of several tasks: ``recall ≥ 8, parity 4``, or ``≥ 8/4`` in their order."""
    return record.tasks_text if has_names else "/".join(on.text for on in record.tasks)


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
    regimes = {r.regime for r in best}
    by_regime = " regime |" if len(regimes) > 1 else ""
    head = (
        f"| # | trial | reach |{by_task} progress | {skill} |{by_regime} ended by | architecture |"
    )
    lines = [head, "|---" * (head.count("|") - 1) + "|"]
    for place, r in zip(places(best), best, strict=True):
        reach = reach_in_words(r, asked)
        reach += f" | {r.tasks_text}" if several else ""
        if on:
            reach += f" | {on.get(r.number, '')}"
        words = describe(r.configuration)
        limit = None if asked is None else r.limited_by(asked)
        end = end_in_words(r, asked)
        ended = f"{_ended(end, r, limit)}, limited by {limit}" if limit else end
        trial = f"[{r.number}]({links[r.number]})" if links and r.number in links else r.number
        cells = [f"{r.progress:.2f}", _skill(r, None), *(column.cell(r) for column in known)]
        numbers = " | ".join(cells)
        numbers += f" | {r.regime}" if by_regime else ""
        lines.append(f"| {place} | {trial} | {reach} | {numbers} | {ended} | {words} |")
    if asked is not None:
        front = f"; {FRONT}" if on else ""
        judged = judged_in_words(asked)
        regime = "" if by_regime or not any(regimes) else f"; trained by regime {best[0].regime}"
        lines.append(
            f"\nA reach is by {asked.quorum} of {asked.members} members, success {asked.asked};"
            f" skill: {skill_in_words(asked)}"
            f"{''.join(f'; {column.head}: {column.about}' for column in known)}"
            f"{front}{f'; {judged}' if judged else ''}{regime}."
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
