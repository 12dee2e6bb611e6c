"""A ``success`` that the held-out rows cannot tell, or that needs no memory, is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.trainables.tasks.labelled import DIGITS, digits, task_of, write
from trainables.measure.reliability import look_confidence, lower_bound
from trainables.tasks import TASKS
from trainables.tasks.held_out import most_alike, require_held_out
from trainables.tasks.task import ClassAnswer, NumberAnswer

LAGS = (1, 8)


def test_the_rows_it_takes_are_named() -> None:
    """The 408 held-out digits establish what 408 right of 408 establish, and nothing above."""
    task = digits()
    held_out = task.split("test").distinct_sequences(1)
    assert held_out == 408
    most = lower_bound(held_out, held_out, look_confidence(1))
    require_held_out(task, most - 1e-6, LAGS)
    with pytest.raises(ValueError, match="success") as caught:
        require_held_out(task, 0.995, LAGS)
    assert str(caught.value) == (
        "success: 0.995 cannot be established on the 408 different held-out rows of"
        f" {DIGITS} at lag 1; it takes at least 736 rows held out, about 3680 in all"
    )
    with pytest.raises(ValueError, match="it takes at least 409 rows"):
        require_held_out(task, lower_bound(409, 409, look_confidence(1)) - 1e-9, LAGS)


def test_repeated_rows_count_once(tmp_path: Path) -> None:
    """A thousand copies of 60 rows are 60 rows."""
    file = write(tmp_path / "f", [[row] for row in range(60)] * 1000, [0, 1] * 30_000, 10_000)
    with pytest.raises(ValueError, match="different held-out rows"):
        require_held_out(task_of(file), 0.9, LAGS)


def test_generated_sequences_never_run_out() -> None:
    """Tasks that draw without end are not refused."""
    recall = TASKS["recall"]
    require_held_out(recall(recall.Config(kind="recall")), 0.999, LAGS)


def test_a_success_that_one_answer_reaches_is_refused(tmp_path: Path) -> None:
    """19 of 20 rows are of one class: at 0.9 no memory is needed, at 0.98 it is."""
    labels = ["rare" if row % 20 == 0 else "common" for row in range(2000)]
    task = task_of(write(tmp_path / "f", [[row] for row in range(2000)], labels, 500))
    with pytest.raises(ValueError, match=r"success: 0\.9 is reached on .* without looking"):
        require_held_out(task, 0.9, LAGS)
    require_held_out(task, 0.98, LAGS)


def test_the_best_constant_answer() -> None:
    """The most frequent class; the fullest open window of twice the tolerance."""
    assert most_alike(torch.tensor([0, 2, 2, 1]), ClassAnswer(3)) == 2
    numbers = torch.tensor([9.0, 0.0, 1.0, 1.9, 2.0, 8.0])
    assert most_alike(numbers, NumberAnswer(1.0)) == 3
    assert most_alike(numbers, NumberAnswer(1.01)) == 4
    assert most_alike(numbers, NumberAnswer(100.0)) == 6
