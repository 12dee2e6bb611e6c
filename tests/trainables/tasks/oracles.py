"""The rule of every generated task, told again in NumPy loops: what to answer from what is seen.

An oracle is shown one sequence with all steps hidden but the last few before a scored one. Hidden
symbols are -1, hidden numbers NaN. Where too little is seen it gives the best blind guess.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np

from trainables.tasks import TASKS
from trainables.tasks.task import Task

HIDDEN = -1
SYMBOLS_STREWN = 5
ASSOCIATIVE_VALUES = 8
CUE_STEPS, CODES = 14, 8


@dataclass(frozen=True)
class Case:
    """An example configuration of a task, with its oracle.

    Attributes:
        kind: key of the task
        config: what differs from its defaults; small alphabets, so that statistics are sharp
        lags: three lags; where parity matters, those at which the shortest true lag is the lag
        answer: (sequence with hidden steps, scored step, lag) -> class or number
        evidence: (whole sequence, scored step, lag) -> the farthest step the answer needs, and
            the step to which the task counts the lag: with nothing from there back, all is lost
        chance: lag -> success of the best blind guess with a memory of lag - 1

    """

    kind: str
    answer: Callable[[np.ndarray, int, int], float]
    evidence: Callable[[np.ndarray, int, int], tuple[int, int]]
    chance: Callable[[int], float]
    lags: tuple[int, int, int]
    config: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.kind, *(str(value) for value in self.config.values())])

    @property
    def task(self) -> Task:
        """The task of this configuration."""
        part: Any = TASKS[self.kind]
        task: Task = part(part.Config(**self.config))
        return task


def constantly(chance: float) -> Callable[[int], float]:
    return lambda lag: chance


def at_lag(row: np.ndarray, step: int, lag: int) -> tuple[int, int]:
    """One input is needed, or all, and the farthest is exactly ``lag`` back."""
    return step - lag, step - lag


def pair(first: int) -> tuple[int, int]:
    """Two neighbours are needed, and the lag is counted to the nearer."""
    return first, first + 1


def recall(seen: np.ndarray, step: int, lag: int) -> int:
    return max(seen[step - lag] - 1, 0)


def copying(seen: np.ndarray, step: int, lag: int) -> int:
    """Arjovsky et al. (2016): the (T + 10 + i)-th output is the i-th input."""
    source_length = lag - 10
    return max(seen[step - (source_length + 10)] - 2, 0)


def adding_halves(seen: np.ndarray, step: int, lag: int) -> float:
    marked = np.flatnonzero(seen[:, 1] == 1)
    return float(seen[marked, 0].sum() + 0.5 * (2 - len(marked)))


def adding_classic(seen: np.ndarray, step: int, lag: int) -> float:
    return float(0.5 + seen[seen[:, 1] == 1, 0].sum() / 4)


def first_mark(row: np.ndarray, step: int, lag: int) -> tuple[int, int]:
    first = int(np.flatnonzero(row[:, 1] == 1)[0])
    return first, first


def both_marks(row: np.ndarray, step: int, lag: int) -> tuple[int, int]:
    marked = np.flatnonzero(row[:, 1] == 1)
    return int(marked[0]), int(marked[-1])


def classic_chance(lag: int) -> float:
    """|X1 + X2| < 0.16, or |X| < 0.16 where the other number counts as zero, being first."""
    one_is_zero = 1 / 10 + 9 / 10 / (lag - 1)
    return (1 - one_is_zero) * (0.16 - 0.16**2 / 4) + one_is_zero * 0.16


def still_to_come(step: int, lag: int) -> int:
    return 2 * lag - step


def selective_copying(seen: np.ndarray, step: int, lag: int) -> int:
    shown = seen[seen > 1]
    back = still_to_come(step, lag)
    return int(shown[-back] - 2) if len(shown) >= back else 0


def strewn(row: np.ndarray, step: int, lag: int) -> tuple[int, int]:
    place = int(np.flatnonzero(row > 1)[-still_to_come(step, lag)])
    return place, place


def pair_of_key(row: np.ndarray, step: int) -> int | None:
    for place in range(0, step - 1, 2):
        if row[place] == row[step] and row[place + 1] >= ASSOCIATIVE_VALUES:
            return place
    return None


def associative_recall(seen: np.ndarray, step: int, lag: int) -> int:
    place = pair_of_key(seen, step)
    return 0 if place is None else int(seen[place + 1] - ASSOCIATIVE_VALUES)


def key_and_value(row: np.ndarray, step: int, lag: int) -> tuple[int, int]:
    place = pair_of_key(row, step)
    assert place is not None
    return pair(place)


def induction(seen: np.ndarray, step: int, lag: int) -> int:
    before = np.flatnonzero(seen[:step] == 0)
    return int(seen[before[0] + 1] - 1) if len(before) else 0


def special_and_next(row: np.ndarray, step: int, lag: int) -> tuple[int, int]:
    return pair(int(np.flatnonzero(row == 0)[0]))


def flip_flop(seen: np.ndarray, step: int, lag: int) -> int:
    """The bit after the last write, whatever was read since."""
    for place in range(step - 2, -1, -2):
        if seen[place] == 0:
            return int(seen[place + 1] - 3)
    return 0


def last_write_and_last_bit(row: np.ndarray, step: int, lag: int) -> tuple[int, int]:
    write = max(place for place in range(0, step, 2) if row[place] == 0)
    told = max(place for place in range(0, step, 2) if row[place] != 2)
    return write, told + 1


def temporal_order(marks: int) -> Callable[[np.ndarray, int, int], int]:
    def answer(seen: np.ndarray, step: int, lag: int) -> int:
        word = seen[(seen == 2) | (seen == 3)] - 2
        if len(word) < marks:
            return 0
        return int("".join(str(mark) for mark in word), 2)

    return answer


def all_marks(row: np.ndarray, step: int, lag: int) -> tuple[int, int]:
    places = np.flatnonzero((row == 2) | (row == 3))
    return int(places[0]), int(places[-1])


def parity(seen: np.ndarray, step: int, lag: int) -> int:
    odd = 0
    for bit in seen[: step + 1]:
        if bit == HIDDEN:
            return 0
        odd ^= bit
    return odd


def permutation_tracking(items: int) -> Callable[[np.ndarray, int, int], int]:
    elements = list(permutations(range(items)))

    def answer(seen: np.ndarray, step: int, lag: int) -> int:
        state = tuple(range(items))
        for number in seen[: step + 1]:
            if number == HIDDEN:
                return 0
            state = tuple(elements[number][item] for item in state)
        return elements.index(state)

    return answer


def delayed_pattern(seen: np.ndarray, step: int, lag: int) -> int:
    """The code nearest to the cue; the codes are Walsh functions."""
    cue = seen[:CUE_STEPS, 0]
    if np.isnan(cue).any():
        return 0
    codes = [
        [(-1) ** (number & (1 + place % 7)).bit_count() for place in range(CUE_STEPS)]
        for number in range(CODES)
    ]
    return int(np.argmin(((cue - np.array(codes)) ** 2).sum(1)))


def cue(row: np.ndarray, step: int, lag: int) -> tuple[int, int]:
    return 0, CUE_STEPS - 1


CASES = (
    Case("recall", recall, at_lag, constantly(1 / 4), (1, 8, 33), {"alphabet": 4}),
    Case(
        "recall", recall, at_lag, constantly(1 / 4), (1, 8, 33),
        {"alphabet": 4, "distractors": "same"},
    ),
    Case("copying", copying, at_lag, constantly(1 / 8), (11, 12, 40)),
    Case("adding", adding_halves, first_mark, constantly(0.08), (2, 9, 32)),
    Case(
        "adding", adding_halves, both_marks, constantly(0.08 - 0.04**2), (1, 8, 33),
        {"variant": "early"},
    ),
    Case(
        "adding", adding_classic, both_marks, classic_chance, (10, 15, 32), {"variant": "classic"}
    ),
    Case(
        "selective_copying", selective_copying, strewn, constantly(1 / 4), (5, 12, 33),
        {"symbols": SYMBOLS_STREWN, "vocabulary": 6},
    ),
    Case(
        "associative_recall", associative_recall, key_and_value,
        constantly(1 / ASSOCIATIVE_VALUES), (1, 8, 33), {"vocabulary": 2 * ASSOCIATIVE_VALUES},
    ),
    Case(
        "induction", induction, special_and_next, constantly(1 / 7), (2, 9, 32), {"vocabulary": 8}
    ),
    Case("flip_flop", flip_flop, last_write_and_last_bit, constantly(1 / 2), (1, 9, 33)),
    Case("temporal_order", temporal_order(2), all_marks, constantly(1 / 4), (4, 15, 40)),
    Case(
        "temporal_order", temporal_order(3), all_marks, constantly(1 / 8), (3, 12, 24),
        {"marks": 3},
    ),
    Case("parity", parity, at_lag, constantly(1 / 2), (1, 8, 33)),
    Case(
        "permutation_tracking", permutation_tracking(3), at_lag, constantly(1 / 6), (1, 8, 33),
        {"items": 3},
    ),
    Case("permutation_tracking", permutation_tracking(5), at_lag, constantly(1 / 120), (1, 8, 33)),
    Case("delayed_pattern", delayed_pattern, cue, constantly(1 / CODES), (1, 8, 33)),
)  # fmt: skip
