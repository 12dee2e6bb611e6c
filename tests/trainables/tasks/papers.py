"""The papers' own protocols, told again in plain Python: a generator of each, and its answers.

Each draws one sequence with `random`, a step at a time as its paper says, with every answer that
the paper scores: a dict from a scored step to its class or number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from random import Random
from typing import Any

Drawn = tuple[list[Any], dict[int, float]]


@dataclass(frozen=True)
class Paper:
    """A protocol of a paper.

    Attributes:
        lag: at which ours is compared with it
        drawn: (a source of chance) -> a sequence, and its answers by step
        evidence: (sequence, scored step) -> the step of the youngest input without which nothing
            is known of the answer; None where nothing has to be remembered
        chance: the success of the best guess without it

    """

    kind: str
    lag: int
    drawn: Callable[[Random], Drawn]
    evidence: Callable[[list[Any], int], int | None]
    chance: float
    config: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.kind, *(str(value) for value in self.config.values())])


def copying(chance: Random) -> Drawn:
    """Arjovsky et al. (2016), 4.1: T = 30; ten symbols, T - 1 blanks, a marker, ten blanks."""
    symbols = [chance.randrange(8) for _ in range(10)]
    row = [2 + symbol for symbol in symbols] + [0] * 29 + [1] + [0] * 10
    answers = dict.fromkeys(range(40), 0) | {40 + i: 1 + s for i, s in enumerate(symbols)}
    return row, answers


def copied(row: list[int], step: int) -> int | None:
    return step - 40 if step >= 40 else None


def selective_copying(chance: Random) -> Drawn:
    """Gu & Dao (2023), 4.1.1: symbols anywhere among the noise, then as many markers."""
    places = sorted(chance.sample(range(24 - 4), 4))
    row = [0] * 20 + [1] * 4
    for place in places:
        row[place] = 2 + chance.randrange(6)
    return row, {20 + i: row[place] - 2 for i, place in enumerate(places)}


def strewn(row: list[int], step: int) -> int:
    return [place for place, symbol in enumerate(row) if symbol > 1][step - 20]


def induction(chance: Random) -> Drawn:
    """Gu & Dao (2023), 4.1.2: the special symbol once anywhere, and at the end."""
    row = [chance.randrange(1, 16) for _ in range(32)]
    place = chance.randrange(30)
    row[place] = row[31] = 0
    return row, {31: row[place + 1] - 1}


def after_special(row: list[int], step: int) -> int:
    return row.index(0) + 1


def flip_flop(chance: Random) -> Drawn:
    """Liu et al. (2023), definition 1: w, then w, r, i with 0.1, 0.1, 0.8, at last r; T = 64."""
    row: list[int] = []
    answers: dict[int, float] = {}
    stored = 0
    for pair in range(32):
        told = chance.choices([0, 1, 2], [0.1, 0.1, 0.8])[0]
        told = 0 if pair == 0 else 1 if pair == 31 else told
        bit = chance.randrange(2)
        if told == 0:
            stored = bit
        if told == 1:
            bit = stored
            answers[len(row)] = stored
        row += [told, 3 + bit]
    return row[:-1], answers


def last_told(row: list[int], step: int) -> int:
    """The bit after the last write or read: reads show it too."""
    return max(place for place in range(0, step, 2) if row[place] != 2) + 1


def permutation_tracking(chance: Random) -> Drawn:
    """Merrill et al. (2024), 5: uniform permutations, each prefix's product asked for."""
    elements = list(permutations(range(3)))
    state, row, answers = tuple(range(3)), [], {}
    for step in range(9):
        row.append(chance.randrange(6))
        state = tuple(elements[row[-1]][item] for item in state)
        answers[step] = elements.index(state)
    return row, answers


def first_factor(row: list[int], step: int) -> int:
    return 0


def temporal_order(marks: int) -> Callable[[Random], Drawn]:
    """Hochreiter & Schmidhuber (1997), 5.6: both ends of each window may hold the mark."""
    windows = {2: [(10, 20), (50, 60)], 3: [(10, 20), (33, 43), (66, 76)]}[marks]

    def drawn(chance: Random) -> Drawn:
        steps = chance.randint(100, 110)
        row = [0, *(chance.randrange(4, 8) for _ in range(steps - 2)), 1]
        word = [chance.randrange(2) for _ in windows]
        for (low, high), mark in zip(windows, word, strict=True):
            row[chance.randint(low, high)] = 2 + mark
        row += [1] * (110 - steps)
        return row, {steps - 1: int("".join(map(str, word)), 2)}

    return drawn


def last_mark(row: list[int], step: int) -> int:
    return max(place for place, symbol in enumerate(row) if symbol in (2, 3))


def associative_recall(chance: Random) -> Drawn:
    """Arora et al. (2023), appendix E, and the generator published with it: power-law gaps."""
    steps, pairs, vocabulary, power = 32, 4, 64, 0.01
    keys = chance.sample(range(1, vocabulary // 2), pairs)
    values = chance.sample(range(vocabulary // 2, vocabulary), pairs)
    row = [chance.randrange(vocabulary) for _ in range(steps)]
    row[: 2 * pairs] = [token for both in zip(keys, values, strict=True) for token in both]
    free = list(range((steps - 2 * pairs) // 2))
    answers: dict[int, float] = {}
    for key, value in zip(keys, values, strict=True):
        gap = chance.choices(free, [power * (place + 1) ** (power - 1) for place in free])[0]
        free.remove(gap)
        row[2 * pairs + 2 * gap] = key
        answers[2 * pairs + 2 * gap] = value - vocabulary // 2
    return row, dict(sorted(answers.items()))


def value_of_key(row: list[int], step: int) -> int:
    return row[:8:2].index(row[step]) * 2 + 1


def adding_of_1997(chance: Random) -> Drawn:
    """Hochreiter & Schmidhuber (1997), 5.4: experiment 4, T = 40 to 44."""
    steps = chance.randint(40, 44)
    row = [[chance.uniform(-1, 1), 0.0] for _ in range(44)]
    row[0][1] = row[steps - 1][1] = -1.0
    first = chance.randrange(10)
    second = chance.choice([place for place in range(20) if place != first])
    total = 0.0
    for place in (first, second):
        if place > 0:
            row[place][1] = 1.0
            total += row[place][0]
    return row, {steps - 1: 0.5 + total / 4}


def adding_of_2016(chance: Random) -> Drawn:
    """Arjovsky et al. (2016), 4.2: T = 40, a mark in each half."""
    row = [[chance.random(), 0.0] for _ in range(40)]
    marked = chance.randrange(20), chance.randrange(20, 40)
    for place in marked:
        row[place][1] = 1.0
    return row, {39: sum(row[place][0] for place in marked)}


def first_marked(row: list[Any], step: int) -> int | None:
    return next((place for place, (_, mark) in enumerate(row) if mark == 1), None)


PAPER = {"protocol": "paper"}
PAPERS = (
    Paper("copying", 40, copying, copied, 1 / 8, PAPER),
    Paper(
        "selective_copying", 12, selective_copying, strewn, 1 / 6,
        {"symbols": 4, "vocabulary": 8, **PAPER},
    ),
    Paper("induction", 16, induction, after_special, 1 / 15, PAPER),
    Paper("flip_flop", 32, flip_flop, last_told, 1 / 2, PAPER),
    Paper(
        "permutation_tracking", 8, permutation_tracking, first_factor, 1 / 6,
        {"items": 3, **PAPER},
    ),
    Paper("temporal_order", 40, temporal_order(2), last_mark, 1 / 4, PAPER),
    Paper("temporal_order", 24, temporal_order(3), last_mark, 1 / 8, {"marks": 3, **PAPER}),
    Paper(
        "associative_recall", 16, associative_recall, value_of_key, 1 / 32,
        {"vocabulary": 64, **PAPER},
    ),
    Paper("adding", 20, adding_of_1997, first_marked, 0.0, {"variant": "classic"}),
    Paper("adding", 20, adding_of_2016, first_marked, 0.0, {"variant": "halves"}),
)  # fmt: skip
