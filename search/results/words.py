"""What became of a trial, in words that need no glossary; the words of records are a program's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from search.disk.record import Record
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.looks.sizes import sizes

MOST_ERRORS = 3
"""That are told under a table."""


def reach_in_words(record: Record, ladder: LadderConfig | None) -> str:
    """``512``; ``≥ 512`` of a trial that may do more; ``below 8`` where the first rung failed.

    A dash, where nothing was passed and nothing failed.
    """
    if record.reach:
        return record.reach_text
    if record.censored or ladder is None:
        return "–" if record.censored else "0"
    return f"below {ladder.start}"


def end_in_words(record: Record, ladder: LadderConfig | None) -> str:
    """How it ended, and on which rung: ``failed at 1024``, ``stopped at 8``; ``passed the top``.

    Without the rung where the ladder is not known.
    """
    if ladder is None or record.ended_by in ("top", "error"):
        return record.end_text
    tried = next((lag for lag in ladder.rungs if lag > record.reach), ladder.stop)
    return f"{record.end_text.removesuffix(' a rung')} at {tried}"


def skill_in_words(ladder: LadderConfig) -> str:
    """What a skill is: ``success at lag 8``, and of how many sequences, where looks end early.

    Such a look shows the fewest to whoever is right in all of them: 100 % is then of 64.
    """
    ends = sizes(ladder.test_sequences) if ladder.ends_of_a_look > 1 else ()
    of = f", of the {ends[0]} to {ends[-1]} sequences that a look shows" if ends else ""
    return f"success at lag {ladder.start}{of}"


FRONT = "front: 1 if no other trial is as good in all that the search aims at"
"""What a caption says of Pareto fronts."""


def judged_in_words(ladder: LadderConfig) -> str:
    """``rungs above 32 are judged without training``; nothing where members train on all."""
    if ladder.train_to is None or ladder.trained_rungs == ladder.rungs:
        return ""
    return f"rungs above {ladder.trained_rungs[-1]} are judged without training"


IN_A_WORD = {
    "top": "top",
    "failed_rung": "failed",
    "pruned": "stopped",
    "length": "positions",
    "error": "error",
    "running": "unfinished",
}
"""How a trial ended, where there is no room for more; what is missing is one word already."""


TOP_IN_SHORT = "top: it passed the ladder's top"
WORDS_IN_SHORT = "architecture: cell and width, front end, positions, read-out"
"""What a caption says where an end is told in a word, and an architecture in shortened words."""


def end_in_a_word(record: Record) -> str:
    """How it ended, without the rung: ``failed``, ``stopped``, ``top``, ``memory``."""
    end = record.ended_by or "running"
    return IN_A_WORD.get(end, end)


def in_words(record: Record, ladder: LadderConfig) -> str:
    """Both: ``reach ≥ 512, stopped at 1024, may do more``; ``below 8``."""
    end = end_in_words(record, ladder)
    more = ", may do more" if record.ended_by in ("pruned", "top") else ""
    if record.reach:
        return f"reach {record.reach_text}, {end}{more}"
    return reach_in_words(record, ladder) if not record.censored else f"{end}{more}"


def errors_in_words(records: Iterable[Record]) -> Iterator[str]:
    """A line for each error that has ended trials, the most frequent first; of many, the first."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for record in records:
        if record.error:
            numbers[record.error].append(record.number)
    often = sorted(numbers.items(), key=lambda of: -len(of[1]))
    for error, those in often[:MOST_ERRORS]:
        more = f" and {len(those) - 1} more" if len(those) > 1 else ""
        yield f"trial {those[0]}{more} failed by error: {error}"
    if len(often) > MOST_ERRORS:
        yield f"and {len(often) - MOST_ERRORS} other errors: `longspan report` has them all"


@dataclass(frozen=True)
class Beside:
    """A column of rates.

    Attributes:
        of: a trial's, None where it has none
        said: as it is written
        about: what it is, for a caption
    """

    head: str
    of: Callable[[Record], float | None]
    said: Callable[[float], str]
    about: str

    def cell(self, record: Record) -> str:
        """As it is written, or nothing."""
        rate = self.of(record)
        return "" if rate is None else self.said(rate)


def small(rate: float) -> str:
    """In per cent, to two digits: 0.012%."""
    return f"{100 * rate:.2g}%"


COLUMNS = (
    Beside(
        "no gap",
        lambda record: record.no_gap,
        "{:.1%}".format,
        "of the same weights where the question follows at once",
    ),
    Beside(
        "wrong",
        lambda record: record.wrong_answers,
        small,
        "of all single answers at the reach (of flip-flop's reads: the glitch rate)",
    ),
)


def beside(records: Sequence[Record]) -> list[Beside]:
    """The columns in which one of the records has something."""
    return [one for one in COLUMNS if any(one.of(record) is not None for record in records)]
