"""A search on several tasks: the reach is the least, and every table says that on each."""

from __future__ import annotations

import io
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from search.disk.certificates import certified_words, standing
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.disk.record import Record
from search.recording.points import points
from search.results.card import card_of
from search.results.export import Wanted, export
from search.results.leaderboard import leaderboard, leaderboard_markdown
from search.spec import Spec
from tests.trainables.training.stand_ins import CPU, trial_config
from trainables.measure.records import Limits
from trainables.trial import TrialSpec, run_trial

SPEC = Spec.model_validate(
    {
        "name": "two",
        "space": "quick",
        "tasks": [{"kind": "recall", "alphabet": 2}, {"kind": "recall", "alphabet": 3}],
        "ladder": {"start": 4, "stop": 8, "members": 2, "quorum": 2, "success": 0.7,
                   "sequences": 1600, "test_sequences": 64},
    }
)  # fmt: skip
ALIKE = "recall ≥ 8, recall-2 ≥ 8"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> SearchFolder:
    """A finished trial that climbed both tasks to the top, laid without Ray."""
    folder = SearchFolder(tmp_path_factory.mktemp("runs"), "two")
    folder.create(SPEC.to_yaml())
    config = trial_config("lstm", {"kind": "incremental", "rehearsal_fraction": 0.2})
    trial = TrialSpec(config, SPEC.tasks_by_name, SPEC.ladder, SPEC.search.seed)
    report = run_trial(trial, folder.trial(0), lambda *_: None, CPU)
    ledger = Ledger(folder)
    ledger.started(0, {}, config.model_dump(mode="json"), config.digest)
    ledger.reported(0, report)
    ledger.finished(0, report.ended_by or "")
    return folder


@pytest.fixture(scope="module")
def record(folder: SearchFolder) -> Record:
    return Ledger(folder).records[0]


@pytest.fixture(scope="module")
def unlike(record: Record) -> Record:
    """The same had it failed the second task's last rung."""
    report = replace(
        record.report,
        reach=4,
        reaches={"recall": 8, "recall-2": 4},
        tasks_ended_by={"recall": "top", "recall-2": "failed_rung"},
    )
    return replace(record, ended_by="failed_rung", report=report)


def shown(record: Record, width: int = 160, certified: dict[str, str] | None = None) -> str:
    """The leaderboard as it is printed."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(leaderboard([record], certified=certified, width=width))
    return console.export_text()


def test_the_leaderboard_has_the_reach_on_every_task(record: Record, unlike: Record) -> None:
    """Each with its own ≥: a ladder that was climbed says nothing of the other task."""
    assert ALIKE in shown(record)
    assert ALIKE in leaderboard_markdown([record])
    assert "recall ≥ 8, recall-2 4" in shown(unlike)
    assert "| 4 | recall ≥ 8, recall-2 4 |" in leaderboard_markdown([unlike])


def test_it_is_read_on_eighty_columns(record: Record) -> None:
    """A trial is one line, with what is said of each task."""
    _, _, line, *caption = shown(record, 80, {record.digest: "recall 8, recall-2 4"}).splitlines()
    assert "recall 8, recall-2 4  ≥ 8/≥ 8" in line
    assert "by task: recall/recall-2" in " ".join(" ".join(caption).split())


def test_of_one_task_nothing_is_said_twice(record: Record) -> None:
    alone = replace(record, report=replace(record.report, reaches={"recall": 8}))
    assert "recall ≥ 8" not in shown(alone)
    assert "by task" not in leaderboard_markdown([alone])


def test_a_trial_that_was_stopped_is_censored_where_it_had_not_failed(unlike: Record) -> None:
    """Stopped on the second task after it had failed the first: that one's reach stands."""
    report = replace(unlike.report, tasks_ended_by={"recall": "failed_rung", "recall-2": None})
    stopped = replace(unlike, ended_by="pruned", report=report)
    assert [task.censored for task in stopped.tasks] == [False, True]


def test_mlflow_has_the_reach_of_every_task(unlike: Record) -> None:
    found = {p.key: p.value for p in points(unlike, SPEC) if p.key.startswith("reach")}
    assert found == {"reach": 4.0, "reach/recall": 8.0, "reach/recall-2": 4.0}


def test_a_trial_reports_what_limits_it_on_every_task(record: Record) -> None:
    """Before it is trained, and as it is read from disk."""
    limits = Limits(24, math.inf, 2.0**23, math.inf, math.inf)
    assert record.report.limits == {"recall": limits, "recall-2": limits}


def test_certificates_of_several_tasks_are_told_apart(tmp_path: Path) -> None:
    """On the leaderboard; the worst of a task counts, and a single one needs no name."""

    def place(sha256: str, task: str, lag: int, seed: int) -> None:
        trial = "ab".index(sha256)
        folder = tmp_path / "certificates" / f"seed-{seed}" / f"trial-{trial:05d}-{task}"
        folder.mkdir(parents=True)
        rungs = [{"lag": each, "passed": each <= lag} for each in (4, 8)]
        found = {"configuration_sha256": sha256, "task": task, "lag": lag, "seed": seed,
                 "trial": trial, "ended_ms": seed, "claim": "", "configuration": {}, "plan": {},
                 "rungs": rungs, "search_reach": 8}  # fmt: skip
        (folder / "certificate.json").write_text(json.dumps(found))

    place("a", "recall", 4, 0)
    place("a", "recall", 8, 1)
    place("a", "recall-2", 0, 0)
    place("b", "recall", 4, 0)
    place("b", "recall", 4, 2)
    assert standing(tmp_path)["b", "recall"]["seed"] == 2
    assert certified_words(tmp_path) == {"a": "recall 4, recall-2 none", "b": "4"}


def test_cards_name_every_task(folder: SearchFolder, tmp_path: Path) -> None:
    """A folder a task, and each says what the same trial reached on the other."""
    cards = [card_of(target) for target in export(folder, SPEC, Wanted(), tmp_path)]
    assert len(cards) == 2
    for card, task in zip(cards, ("recall", "recall-2"), strict=True):
        assert f"**at least 8 steps** on `{task}`" in card
        assert f"| reach by task, of the same trial | {ALIKE} |\n| parameters |" in card
        assert "| known before training, by limit | gradient 24, precision 8,388,608, " in card


def test_a_card_says_how_its_own_task_ended(
    folder: SearchFolder, unlike: Record, tmp_path: Path
) -> None:
    """Not how another's did, beside a reach that the ladder alone bounds."""
    other = SearchFolder(shutil.copytree(folder.path.parent, tmp_path / "runs"), folder.name)
    ledger = Ledger(other)
    ledger.reported(0, unlike.report)
    ledger.finished(0, str(unlike.ended_by))
    first, second = (card_of(to) for to in export(other, SPEC, Wanted(), tmp_path / "to"))
    assert "| how the trial ended | top, so reach is censored |" in first
    assert "| how the trial ended | failed_rung |" in second
