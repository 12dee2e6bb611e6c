"""What is said of the answers that the user's rows ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int8

from trainables.tasks.accounts.account import AnswersRead, OfClass
from trainables.tasks.accounts.accounting import described, lengths_of, long_tail
from trainables.tasks.accounts.copies import Nearest, nearest
from trainables.tasks.asked.places import NO_ANSWER, Places
from trainables.tasks.rows.fitting import Fitted
from trainables.tasks.rows.labels import Labels, hardly_meant
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
    labels: Labels
    places: Places

    def a_row(self, used: Bool[np.ndarray, " R"]) -> tuple[int, int, int]:
        """Answers of the used rows: least, median, most."""
        counts = self.places.counts[used]
        return int(counts.min()), int(np.median(counts)), int(counts.max())


def answers_read(asked: Answered, target: str, sequence: str, is_padded: bool) -> AnswersRead:
    """What is to be said of the answers, and of rows that tell them too easily.

    Args:
        asked: the rows
        target: the column of answers and its file, for warnings
        sequence: the key and column of sequences and its file
        is_padded: whether all rows are padded to the longest
    """
    rows, labels = asked.rows, asked.labels
    used, train = asked.parts != LEFT_OUT, asked.parts == PARTS.index("train")
    of_row = asked.places.of_row
    used_answers, trained_on = used[of_row], train[of_row]
    targets, count = labels.targets.numpy(), len(labels.classes)
    seen = np.bincount(targets[used_answers], minlength=count) if count else np.zeros(0, np.int64)
    trained = np.bincount(targets[trained_on], minlength=count) if count else seen
    near = nearest(rows, asked.parts, asked.fitted, int(np.median(trained)) if count else None)
    right = _right_as_nearest(labels, asked.places, near)
    lengths = rows.lengths[used]
    warnings = list(hardly_meant(labels, used_answers, trained_on, target))
    if is_padded:
        padded = float(lengths.max() / lengths.mean())
        warnings += long_tail(lengths_of(rows, used), padded, sequence)
    if near.copies:
        warnings.append(
            f"{sequence}: {near.said('group' in rows.columns)}; the nearest training row's answer"
            f" is right for {right:.0%} of them all"
        )
    return AnswersRead(
        classes=tuple(
            OfClass(name, int(rows_of), int(trained_on))
            for name, rows_of, trained_on in zip(labels.classes, seen, trained, strict=True)
        ),
        target=None if count else described(targets[used_answers]),
        nearest=right,
        a_row=asked.a_row(used),
        warnings=tuple(warnings),
    )


def _right_as_nearest(labels: Labels, places: Places, near: Nearest) -> float:
    """How often all answers of the nearest row are right, its last for the last and so on."""
    numbers, others = places.of(near.rows), places.of(near.nearest)
    most = min(numbers.shape[1], others.shape[1])
    there = numbers != NO_ANSWER
    known = np.full_like(numbers, NO_ANSWER)
    known[:, numbers.shape[1] - most :] = others[:, others.shape[1] - most :]
    right, guessed = labels.targets[numbers], labels.targets[known]
    if isinstance(labels.answer, NumberAnswer):
        same = (right - guessed).abs() < labels.answer.tolerance
    else:
        same = right == guessed
    both = there & (known != NO_ANSWER)
    return float((~there | (same.numpy() & both)).all(1).mean())
