"""Success at no gap: the shortest rung's weights where the question follows at once."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from rich.console import Console

from search.disk.record import Record
from search.results.leaderboard import leaderboard, leaderboard_markdown
from search.results.review import tables
from tests.trainables.training.stand_ins import CPU, ladder, no_tick, recall, trial_config
from trainables.measure.records import MemberRung
from trainables.measure.report import Report
from trainables.measure.skill import no_gap_of
from trainables.tasks import TASKS, make_task
from trainables.tasks.parquet import Parquet
from trainables.training.climber import Climber

NO_GAP = {
    "recall": 1,
    "copying": 11,
    "selective_copying": 16,
    "associative_recall": 1,
    "delayed_pattern": 1,
}


@pytest.mark.parametrize("kind", [kind for kind in TASKS if kind not in ("parquet", "stream")])
def test_which_generated_tasks_have_a_gap(kind: str) -> None:
    config = TASKS[kind].Config.model_validate({"kind": kind})
    assert make_task(config).no_gap == NO_GAP.get(kind)
    if kind in ("copying", "selective_copying", "associative_recall"):
        paper = TASKS[kind].Config.model_validate({"kind": kind, "protocol": "paper"})
        assert make_task(paper).no_gap is None


def test_a_row_without_its_gap_is_asked_at_its_last_step(tmp_path: Path) -> None:
    rows = {"x": [[float(n), 1.0, 2.0] for n in range(40)], "y": [n % 2 for n in range(40)]}
    pq.write_table(pa.table({**rows, "back": [2] * 40}), tmp_path / "rows.parquet")
    keys = {"path": tmp_path / "rows.parquet", "sequence": "x", "target": "y"}
    task = Parquet(Parquet.Config.model_validate(keys))
    assert task.no_gap == 0
    batch = task.sample(0, 4, torch.Generator().manual_seed(0))
    assert batch.inputs.shape == (4, 3, 1)
    assert batch.scored.tolist() == [[2]] * 4
    assert Parquet(Parquet.Config.model_validate({**keys, "lag": "back"})).no_gap is None


def test_the_first_rungs_weights_are_tried_at_no_gap(tmp_path: Path) -> None:
    """Once a member, on as many sequences as a look; on no later rung."""
    measured: list[MemberRung] = []
    steps = ladder(start=4, stop=8, members=2, quorum=1, success=0.2, sequences=800)
    task = recall()
    Climber(
        trial_config(), "recall", task, task.config, steps, 7, tmp_path, CPU, no_tick,
        measured.append,
    ).climb()  # fmt: skip
    first = [row for row in measured if row.lag == 4]
    assert [row.no_gap_sequences for row in first] == [steps.test_sequences] * len(first)
    assert max(row.no_gap_rate for row in first) > 0.2
    assert {row.no_gap_sequences for row in measured if row.lag > 4} == {0}


def rung(rate: float, sequences: int, task: str = "recall") -> MemberRung:
    return MemberRung(
        task, 8, 0, "solved", 0.9, test_sequences=100,
        no_gap_rate=rate, no_gap_sequences=sequences,
    )  # fmt: skip


def test_it_is_the_best_members_and_the_least_of_the_tasks() -> None:
    assert no_gap_of([rung(0.0, 0)]) is None
    assert no_gap_of([rung(0.7, 100), rung(0.8, 100)]) == 0.8
    assert no_gap_of([rung(0.7, 100), rung(0.0, 0, "parity"), rung(0.6, 100, "copying")]) == 0.6


def test_it_stands_beside_the_skill() -> None:
    report = Report(3, 8, {"recall": 8}, rows=(rung(0.947, 100),))
    record = Record(0, {}, trial_config().model_dump(mode="json"), "", 0, 1, "top", None, report)
    assert "| 90.0% | 94.7% |" in leaderboard_markdown([record])
    reads = replace(rung(0.9, 100), answers=20, answer_rate=0.9988)
    several = replace(record, report=replace(report, rows=(reads,)))
    assert "| 90.0% | 90.0% | 0.12% |" in leaderboard_markdown([several])
    (trial,) = tables.trials([several]).to_dict("records")
    assert trial["wrong_answers"] == pytest.approx(0.0012)
    silent = replace(record, report=replace(report, rows=(rung(0.0, 0),)))
    assert not {"no gap", "wrong"} & set(leaderboard_markdown([silent]).split(" | "))
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(leaderboard([record]))
    assert "94.7%" in console.export_text()
