"""What looks hardly meant of a column of answers, a line each."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

import numpy as np
from jaxtyping import Bool

from trainables.encoding.answers import Label
from trainables.tasks.accounts.sentinels import is_code, said, suspects
from trainables.tasks.rows.labels import MANY, Labels

SOME, SEEN_ONCE = 20, 0.1
"""So many classes are hardly meant, if this share of them is seen in one row only."""

NAMED = 4

SYMBOLS = 0.9
"""Classes that are the sequences' own symbols, from this share of them on, are neither."""

NOTHING = frozenset(
    ("", "nan", "NaN", "None", "<NA>", "NaT", "null", "NULL", "NA", "N/A", "n/a", "#N/A")
)
"""What programs write for no value; ``none`` may be a class."""

FAR_BELOW = -9
"""A lone negative class from here on, such as -100, marks what is not to be asked."""


def hardly_meant(
    labels: Labels,
    used: Bool[np.ndarray, " R"],
    train: Bool[np.ndarray, " R"],
    name: str,
    symbols: Collection[Label] = (),
) -> Iterator[str]:
    """A line for classes that look like amounts, ids or no value, and those nothing is learned of.

    Of numbers, for those that look as if they stood for nothing. Where the sequences are of
    ``symbols`` and the classes too, as many are meant as there are.
    """
    targets = labels.targets.numpy()
    if not labels.classes:
        yield from _numbers(targets[used], name)
        return
    yield from _nothing(labels.classes, np.bincount(targets[used]), name)
    yield from _nearly_the_same(labels.classes, name)
    count = len(labels.classes)
    seen = np.bincount(targets[used], minlength=count)
    once = (seen == 1).sum() / count
    are_symbols = sum(value in symbols for value in labels.classes) >= SYMBOLS * count
    if not are_symbols and (count >= MANY or (count >= SOME and once >= SEEN_ONCE)):
        is_text = isinstance(labels.classes[0], str)
        allowed = "a column of few classes" if is_text else "`answer: number` with a `tolerance`"
        yield (
            f"target: {name} has {count:,} classes, {once:.0%} of them seen once: "
            f"{'ids' if is_text else 'amounts or ids'}? allowed: {allowed}"
        )
    untrained = np.flatnonzero((seen > 0) & (np.bincount(targets[train], minlength=count) == 0))
    if len(untrained):
        names = ", ".join(repr(labels.classes[number]) for number in untrained[:NAMED])
        more = f" and {len(untrained) - NAMED} more" if len(untrained) > NAMED else ""
        yield f"target: {name}: no row to train on of {names}{more}; they can only be wrong"


def _numbers(targets: np.ndarray, name: str) -> Iterator[str]:
    for each in suspects(targets):
        if not each.tail:
            yield (
                f"target: {name}: {100 * each.share:.2g} % of the answers are {said(each.value)},"
                f" {each.distance:,.0f} quartile ranges from the rest: missing values? allowed:"
                " rows that have an answer"
            )


def _nothing(classes: Sequence[Label], seen: np.ndarray, name: str) -> Iterator[str]:
    for number, value in enumerate(classes):
        rest = [other for other in classes if other != value]
        if value in NOTHING if isinstance(value, str) else _marks(value, rest):
            yield (
                f"target: {name}: {value!r} is a class of {seen[number]:,} answers, but looks as if"
                " it stood for nothing; allowed: rows that have an answer, or of lists,"
                " `ignore`"
            )


def _marks(value: Label, rest: Sequence[Label]) -> bool:
    """Whether an integer lies far from the other classes, and is one that marks something."""
    if isinstance(value, bool) or not isinstance(value, int):
        return False
    others = [int(other) for other in rest]
    low, high = min(others), max(others)
    is_mark = (is_code(value) and abs(value) >= 99) or (value <= FAR_BELOW and low >= 0)
    return is_mark and max(low - value, value - high) > max(high - low, 1)


def _nearly_the_same(classes: Sequence[Label], name: str) -> Iterator[str]:
    """Of texts that spaces, letters' case or ways to write an accent alone tell apart."""
    alike: dict[str, list[str]] = defaultdict(list)
    for value in classes:
        if isinstance(value, str) and value.strip():
            letters = unicodedata.normalize("NFKC", value)
            folded = letters.casefold() if len(letters.strip()) > 1 else letters
            alike[" ".join(folded.split())].append(value)
    found = [" and ".join(map(repr, values)) for values in alike.values() if len(values) > 1]
    if found:
        more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
        yield f"target: {name}: {'; '.join(found[:NAMED])}{more} are different classes; one each?"
