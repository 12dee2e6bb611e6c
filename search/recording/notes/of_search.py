"""The description of a search's run, in the Markdown that MLflow shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from search.disk.certificates import claimed, words_of
from search.disk.ranking import fronts_of, rank
from search.disk.record import Record
from search.recording.notes.of_trial import LONGEST
from search.recording.notes.tables import spaced
from search.results.leaderboard import leaderboard_markdown
from search.results.review import story
from search.spec import Spec
from trainables.description import describe

BEST = 10
MOST_LINES = 4
"""Of how trials ended, and of what to try next; the report has all."""
LONGEST_LINE = 200


def note(
    spec: Spec,
    records: Sequence[Record],
    decided: Sequence[Mapping[str, Any]],
    links: Mapping[int, str],
    pictures: Mapping[str, str],
    following: Sequence[tuple[str, str]] = (),
    mattered: str = "",
) -> str:
    """One paragraph, the leaderboard, the ``decided`` certificates, how trials ended, the pictures.

    The ``links`` lead by trial to its run's page, the ``pictures`` by what they show to where;
    ``following`` is what to try next, sentences with a command or key, ``mattered`` what is said of
    choices.
    """
    found = ""
    for top in range(BEST, 0, -1):
        parts = _parts(spec, records, decided, links, pictures, following, mattered, top)
        found = "\n\n".join(parts)
        if len(found) <= LONGEST:
            return found
    return found[:LONGEST]


def _parts(
    spec: Spec,
    records: Sequence[Record],
    decided: Sequence[Mapping[str, Any]],
    links: Mapping[int, str],
    pictures: Mapping[str, str],
    following: Sequence[tuple[str, str]],
    mattered: str,
    top: int,
) -> Iterator[str]:
    ended = [record for record in records if record.finished]
    yield " ".join([*_won(spec, ended, decided), *_so_far(spec, ended)])
    ranked = rank(ended, claimed(words_of(decided)))
    if ranked:
        on = fronts_of(ended, spec.search.objectives)
        yield spaced(leaderboard_markdown(ranked[:top], spec.ladder, links, on).strip())
        if len(ranked) > top:
            yield f"The best {top} of {len(ended)} trials that ended; below this run are all."
    yield from _certificates(decided, {r.digest: r for r in records}, links)
    if ended:
        lines = [line[:LONGEST_LINE] for line in story.how_it_ended(ended)[:MOST_LINES]]
        yield "\n".join(["How trials ended:\n", *(f"- {line}" for line in lines)])
    if mattered:
        yield mattered
    if following:
        lines = [f"- {said} `{command}`" for said, command in following[:MOST_LINES]]
        yield "\n".join(["What to try next:\n", *lines])
    for shown, address in pictures.items():
        yield f"![{shown}]({address})"


def _won(
    spec: Spec, ended: Sequence[Record], decided: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """What won, once something has, or nothing can any more."""
    if any(record.reach for record in ended) or len(ended) >= spec.search.trials:
        yield story.what_won(ended, spec, decided)


def _so_far(spec: Spec, ended: Sequence[Record]) -> Iterator[str]:
    wanted, ladder = spec.search.trials, spec.ladder
    if len(ended) < wanted:
        have = "has" if len(ended) == 1 else "have"
        yield f"{len(ended) or 'None'} of {wanted} trials {have} ended."
        if ended and not any(record.reach for record in ended):
            yield f"So far none has passed lag {ladder.start}."
    if not ended:
        yield (
            f"Asked of each: success {ladder.asked} by {ladder.quorum} of {ladder.members} "
            f"members, on lags {ladder.start} to {ladder.stop}."
        )


def _certificates(
    decided: Sequence[Mapping[str, Any]], by_digest: Mapping[str, Record], links: Mapping[int, str]
) -> Iterator[str]:
    """A line a certificate."""
    lines = []
    for found in decided:
        record = by_digest.get(found["configuration_sha256"])
        if record is not None:
            words = f"trial {record.number} ({describe(record.configuration)})"
            lines.append(
                f"- Certificate of {linked(words, links.get(record.number))}: {found['claim']}"
            )
    if lines:
        yield "\n".join(lines)


def linked(words: str, address: str | None) -> str:
    """Words that lead to an address, where there is one."""
    return f"[{words}]({address})" if address else words
