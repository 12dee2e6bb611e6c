"""`verify` counts as right what `predict` answers as the file has it, also of several a row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import trainables
from tests.search.untrained import of_file, write
from trainables.exports import exported
from trainables.tasks import TASKS, make_task
from trainables.tasks.split.splitting import PARTS

LAG = 3


def asked_of(row: Any) -> Iterator[tuple[int, Any]]:
    """Places among a row's answers, and what is right there, by what the file says."""
    if "hot" in row:  # columns of labels
        yield from enumerate((row.y, row.hot))
        return
    for place, label in enumerate(row.y):
        if "asks" not in row:  # labels after the gap
            yield from [(place, label)] if label != -100 else []
        elif row.asks[place] and LAG <= row.back[place] < 2 * LAG:  # a label a step
            yield place, label


@pytest.mark.parametrize("name", ["a label a step", "labels after the gap", "columns of labels"])
def test_verify_counts_what_predict_answers(tmp_path: Path, name: str) -> None:
    asked = replace(of_file(tmp_path, name), lag=LAG)
    folder = write(tmp_path / "export", asked, "rnn", gain=30.0)
    table = pd.read_parquet(tmp_path / "rows.parquet")
    held_out = table[asked.task.parts == PARTS.index("test")]
    answers = trainables.load(folder).predict(held_out)
    right = [
        [answer[place] == label for place, label in asked_of(row)]
        for answer, (_, row) in zip(answers, held_out.iterrows(), strict=True)
    ]
    right = [row for row in right if row]
    tally = exported.measure(exported.read(folder), seed=1, task=asked.task)
    assert (tally.successes, tally.sequences) == (sum(map(all, right)), len(right))
    assert (tally.answers_right, tally.answers) == (sum(map(sum, right)), sum(map(len, right)))
    assert 0 < tally.answers_right < tally.answers


def test_a_length_is_not_called_a_dependency(tmp_path: Path) -> None:
    """Answers within rows whose author says no lag, and the papers' protocols; else it is one."""
    asked = of_file(tmp_path, "a label a step")
    told = {"lag": exported.read(write(tmp_path / "lag", asked, "gru")).learned}
    config = asked.task.config.model_copy(update={"lag": None, "mask": None})
    task = type(asked.task)(config)
    told["none"] = exported.read(write(tmp_path / "none", replace(asked, task=task), "gru")).learned
    for protocol in ("lag", "paper"):
        task = make_task(TASKS["copying"].Config(protocol=protocol))
        folder = write(tmp_path / f"of {protocol}", replace(asked, task=task), "gru")
        told[f"copying {protocol}"] = exported.read(folder).learned
    a_dependency = {name for name, said in told.items() if "a dependency of **8 steps**" in said}
    assert a_dependency == {"lag", "copying lag"}
    assert "Learned sequences of **8 steps**" in told["none"]
    assert told["none"] == told["copying paper"]
