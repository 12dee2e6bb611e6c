"""The largest space, end to end: whatever is proposed is built, trained and recorded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from tests.search.conftest import longspan

SPEC = """\
name: everything
space: everything
tasks: [{kind: recall, alphabet: 4}]
ladder: {start: 8, stop: 16, members: 2, quorum: 2, sequences: 300, gflop: 5, test_sequences: 64}
search: {trials: 24, sampler: tpe, scheduler: none, seed: 1}
controls: off
"""


@pytest.mark.slow
def test_two_dozen_trials_and_none_in_error(tmp_path: Path) -> None:
    spec = tmp_path / "everything.yaml"
    spec.write_text(SPEC)
    done = longspan("search", str(spec), "--runs", str(tmp_path / "runs"))
    assert done.returncode == 0, done.stderr + done.stdout
    records = Ledger(SearchFolder(tmp_path / "runs", "everything")).records.values()
    ended = Counter(record.ended_by for record in records)
    assert sum(ended.values()) == 24
    assert set(ended) <= {"top", "failed_rung"}, [r.error for r in records if r.error]
    kinds = {record.configuration["model"]["cell"]["kind"] for record in records}
    assert len(kinds) >= 10
