"""What is said of the answers that the user's rows ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int8

from trainables.encoding.steps import TokenSteps
from trainables.tasks.accounts.account import AnswersRead, OfClass
from trainables.tasks.accounts.accounting import described, lengths_of, long_tail
from trainables.tasks.accounts.copies import Nearest, nearest
from trainables.tasks.accounts.hardly_meant import hardly_meant
from trainables.tasks.accounts.overlaps import RUN, overlapping
from trainables.tasks.asked.columns import ColumnLabels
from trainables.tasks.asked.places import NO_ANSWER, Places
from trainables.tasks.rows.fitting import Fitted
from trainables.tasks.rows.labels import Labels
from trainables.tasks.rows.reading import Rows
from trainables.tasks.split.partition import LEFT_OUT
from trainables.tasks.split.splitting import PARTS
from trainables.tasks.task import NumberAnswer


@dataclass(frozen=True, eq=False)
class Answered:
    """Rows with their parts and answers.

    Attributes:
        parts: the number in `PARTS` of each row's, or `LEFT_OUT`
        fitted: how they are shown
        labels: of all their answers
        places: whose each is
    """

    rows: Rows
    parts: Int8[np.ndarray, " R"]
    fitted: Fitted
    labels: Labels | ColumnLabels
    places: Places

    def a_row(self, used: Bool[np.ndarray, " R"]) -> tuple[int, int, int]:
        """Answers of the used rows: least, median, most."""
        counts = self.places.counts[used]
        return int(counts.min()), int(np.median(counts)), int(counts.max())


def answers_read(
    asked: Answered, target: str, file: str, sequence: str, is_padded: bool
) -> AnswersRead:
    """What is to be said of the answers, and of rows that tell them too easily.

    Args:
        asked: the rows
        target: the column of answers, for warnings; of several, each is named by itself
        file: its file
        sequence: the key and column of sequences and its file
        is_padded: whether all rows are padded to the longest
    """
    rows, labels = asked.rows, asked.labels
    used, train = asked.parts != LEFT_OUT, asked.parts == PARTS.index("train")
    if isinstance(labels, ColumnLabels):
        classes: tuple[OfClass, ...] = ()
        columns = {name: _classes(part, used, train) for name, part in labels.columns.items()}
        parts = {repr(name): part for name, part in labels.columns.items()}
        of_row = np.arange(len(rows))
    else:
        of_row, columns, parts = asked.places.of_row, {}, {target: labels}
        classes = _classes(labels, used[of_row], train[of_row])
    counted = [each.trained_on for some in (classes, *columns.values()) for each in some]
    near = nearest(rows, asked.parts, asked.fitted, int(np.median(counted)) if counted else None)
    right = _right_as_nearest(labels, asked.places, near)
    lengths = rows.lengths[used]
    steps = asked.fitted.steps
    symbols = frozenset(steps.vocabulary if isinstance(steps, TokenSteps) else ())
    warnings = [
        line
        for name, part in parts.items()
        for line in hardly_meant(part, used[of_row], train[of_row], f"{name} of {file}", symbols)
    ]
    if is_padded:
        padded = float(lengths.max() / lengths.mean())
        warnings += long_tail(lengths_of(rows, used), padded, sequence)
    if near.copies:
        warnings.append(
            f"{sequence}: {near.said('group' in rows.columns)}; the nearest training row's answer"
            f" is right for {right:.0%} of them all"
        )
    shared = overlapping(rows, asked.parts, asked.fitted)
    if shared:
        warnings.append(
            f"{sequence}: {shared:.0%} of the held-out rows have {RUN} steps or more in common with"
            " a row to train on: windows of one recording? allowed: `group: COLUMN` or a `split`"
            " keeps them on one side"
        )
    return AnswersRead(
        classes=classes,
        target=None if counted else described(labels.targets.numpy()[used[of_row]]),
        nearest=right,
        warnings=tuple(warnings),
        a_row=asked.a_row(used),
        columns=tuple(columns.items()),
    )


def _classes(
    labels: Labels, used: Bool[np.ndarray, " N"], train: Bool[np.ndarray, " N"]
) -> tuple[OfClass, ...]:
    """Each class with how many answers are its; none of numbers."""
    if not labels.classes:
        return ()
    targets, count = labels.targets.numpy(), len(labels.classes)
    seen = np.bincount(targets[used], minlength=count).tolist()
    trained = np.bincount(targets[train], minlength=count).tolist()
    return tuple(map(OfClass, labels.classes, seen, trained))


def _right_as_nearest(labels: Labels | ColumnLabels, places: Places, near: Nearest) -> float:
    """How often all answers of the nearest row are right, its last for the last and so on."""
    numbers, known = places.of(near.rows), places.of(near.nearest)
    there = numbers != NO_ANSWER
    right, guessed = labels.targets[numbers], labels.targets[known]
    if isinstance(labels.answer, NumberAnswer):
        same = (right - guessed).abs() < labels.answer.tolerance
    else:
        same = right == guessed
    both = there & (known != NO_ANSWER)
    return float((~there | (same.numpy() & both)).all(1).mean())
