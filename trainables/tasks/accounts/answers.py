"""What is said of the answers that the user's rows ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int8

from trainables.tasks.accounts.account import AnswersRead, OfClass
from trainables.tasks.accounts.accounting import described, lengths_of, long_tail
from trainables.tasks.accounts.copies import Nearest, nearest
from trainables.tasks.rows.fitting import Fitted
from trainables.tasks.rows.labels import Labels, hardly_meant
from trainables.tasks.rows.reading import Rows
from trainables.tasks.split.partition import LEFT_OUT
from trainables.tasks.split.splitting import PARTS
from trainables.tasks.task import NumberAnswer


@dataclass(frozen=True, eq=False)
class Asked:
    """Rows with their parts and answers.

    Attributes:
        parts: the number in `PARTS` of each row's, or `LEFT_OUT`
        fitted: how they are shown
    """

    rows: Rows
    parts: Int8[np.ndarray, " R"]
    fitted: Fitted
    labels: Labels


def answers_read(asked: Asked, target: str, sequence: str, is_padded: bool) -> AnswersRead:
    """What is to be said of the answers, and of rows that tell them too easily.

    Args:
        asked: the rows
        target: the column of answers and its file, for warnings
        sequence: the key and column of sequences and its file
        is_padded: whether all rows are padded to the longest
    """
    rows, labels = asked.rows, asked.labels
    used, train = asked.parts != LEFT_OUT, asked.parts == PARTS.index("train")
    targets, count = labels.targets.numpy(), len(labels.classes)
    seen = np.bincount(targets[used], minlength=count) if count else np.zeros(0, np.int64)
    trained = np.bincount(targets[train], minlength=count) if count else seen
    near = nearest(rows, asked.parts, asked.fitted, int(np.median(trained)) if count else None)
    right = _right_as_nearest(labels, near)
    lengths = rows.lengths[used]
    warnings = list(hardly_meant(labels, used, train, target))
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
        target=None if count else described(targets[used]),
        nearest=right,
        warnings=tuple(warnings),
    )


def _right_as_nearest(labels: Labels, near: Nearest) -> float:
    right = labels.targets[torch.from_numpy(near.rows)]
    guessed = labels.targets[torch.from_numpy(near.nearest)]
    if isinstance(labels.answer, NumberAnswer):
        return float(((right - guessed).abs() < labels.answer.tolerance).float().mean())
    return float((right == guessed).float().mean())
