"""A file that became another between two runs of a search: refused, or meant and written down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from search import spec as specs
from search.checking.preflight import check_tasks
from search.disk import outcomes
from search.disk.folder import SearchFolder
from search.disk.kept_tasks import record_other_data, require_same_data
from search.spec.extension import extended
from tests.search.conftest import in_process
from tests.search.searched import LSTM, climb, searched

SPEC = """\
name: chg
space: quick
tasks: [{{kind: parquet, path: d.parquet, sequence: x, target: y, filler: blank{options}}}]
ladder: {{start: 4, stop: 8, ratio: 2, members: 1, quorum: 1, success: 0.6, sequences: 3000,
         test_sequences: 200}}
search: {{trials: 1, scheduler: none, sampler: random}}
"""


def write_data(folder: Path, kind: str, flip: bool = False) -> None:
    """Rows of which a glance at one step tells the answer; flipped, the labels were redone."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 900)
    values = rng.normal(0, 1, (900, 10))
    values[:, 3] += 6 * y
    labels = np.random.default_rng(1).permutation(y) if flip else y
    x: list[object] = values.tolist()
    if kind == "tokens":
        letters = rng.choice(list("abcdef"), (900, 10))
        letters[:, 3] = np.where(y, "y", "n")
        x = letters.tolist()
    elif kind == "features":
        x = np.stack([values, -values], -1).tolist()
    target = [("no", "yes")[label] for label in labels] if kind == "tokens" else labels
    pd.DataFrame({"x": x, "y": target}).to_parquet(folder / "d.parquet")


@pytest.mark.parametrize("kind", ["numbers", "tokens", "features"])
def test_the_same_path_with_other_labels(tmp_path: Path, kind: str) -> None:
    """A rung that was measured on other data says so; those before it keep what they say."""
    options = ", values: tokens" if kind == "tokens" else ""
    (tmp_path / "chg.yaml").write_text(SPEC.format(options=options))
    write_data(tmp_path, kind)
    runs = tmp_path / "runs"
    folder = searched(tmp_path / "chg.yaml", runs)
    before = told(folder)
    assert set(before) == {4, 8}
    write_data(tmp_path, kind, flip=True)
    for command in (["resume", "chg", "--stop", "16"], ["certify", "chg"]):
        done = in_process(*command, "--runs", str(runs))
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "the data is another than was measured" in done.stderr
        assert "--other-data" in done.stderr
        assert told(folder) == before

    spec = extended(specs.read(folder.spec), None, 16)
    record_other_data(folder, require_same_data(folder, check_tasks(spec), is_meant=True))
    climb(spec, folder, [LSTM])
    after = told(folder)
    assert {lag: after[lag] for lag in before} == before
    assert after[16] not in before.values()
    assert len(set(before.values())) == 1


def told(folder: SearchFolder) -> dict[int, str]:
    """By rung, the data that it was measured on."""
    return {row["lag"]: row["data"] for row in outcomes.read(folder.outcomes).to_pylist()}
