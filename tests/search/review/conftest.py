"""A search on disk, made up and not run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from search.disk import outcomes
from search.disk.folder import SearchFolder
from search.disk.record import Record
from tests.search.review.trials import spec, trial
from trainables.files.whole_files import write_json

MADE = [
    *(trial(number, 8 * 2 ** (number % 3), "lstm" if number % 2 else "gru") for number in range(9)),
    trial(9, 16, "rnn", ended_by="pruned"),
    trial(10, 0, "gru", ended_by="error", error="RuntimeError: <b>no</b>"),
]


@pytest.fixture
def made(tmp_path: Path) -> SearchFolder:
    """A search of eleven trials, called ``made``, of which one is stopped and one failed."""
    return search_of(MADE, tmp_path / "runs")


def search_of(records: Sequence[Record], runs: Path) -> SearchFolder:
    """A search called ``made`` as it lies on disk."""
    folder = SearchFolder(runs, "made")
    folder.create(spec().model_copy(update={"name": "made"}).to_yaml())
    for record in records:
        folder.trial(record.number).mkdir(parents=True)
        write_json(folder.trial(record.number) / "record.json", record.to_json())
        if record.rows:
            outcomes.write(
                folder.outcomes, record.number, record.digest, record.rows, record.parameters
            )
    return folder
