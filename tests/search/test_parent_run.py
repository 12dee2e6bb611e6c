"""The run of a search itself in MLflow: it tells how far the search is, and what came of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from search.disk.folder import SearchFolder
from search.disk.ranking import fronts
from search.disk.record import Record
from search.recording.notes.of_search import note
from search.recording.notes.of_trial import LONGEST, NOTE_TAG
from search.recording.parent import asked, telling
from search.recording.parent.progress import progress, unsent
from search.recording.points import status, tags, title
from search.recording.tracker import Tracker
from search.spec.extension import extended
from tests.search.review.trials import spec, trial

SPEC = spec().model_copy(update={"search": spec().search.model_copy(update={"trials": 4})})
MADE = [
    replace(trial(0, 16), ended_ms=3000),
    replace(trial(1, 32, "lstm", ended_by="pruned"), ended_ms=1000),
    replace(trial(2, 0, ended_by="error", error="RuntimeError: no"), ended_ms=2000),
    trial(3, 8, ended_by=None),
]


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    folder = SearchFolder(tmp_path, "made")
    folder.create(SPEC.to_yaml())
    return folder


@pytest.fixture(autouse=True)
def _few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report and its pictures take seconds; `test_recording` has them."""
    monkeypatch.setattr(telling, "report", lambda *_: b"")
    monkeypatch.setattr(telling, "stills", lambda *_: [])


def parent_of(folder: SearchFolder) -> tuple[MlflowClient, Any]:
    client = MlflowClient(f"sqlite:///{folder.runs / 'mlflow.db'}")
    found = client.search_runs(["1"], "tags.`mlflow.parentRunId` IS NULL")
    (parent,) = (run for run in found if "longspan.trial" not in run.data.tags)
    return client, parent


def history(client: MlflowClient, run: Any, key: str) -> list[tuple[int, float]]:
    told = client.get_metric_history(run.info.run_id, key)
    return sorted((metric.step, metric.value) for metric in told)


def test_it_tells_while_it_runs_and_nothing_twice(folder: SearchFolder) -> None:
    tracker = Tracker(SPEC, folder)
    for record in MADE[1:]:
        tracker.send(record)
    tracker.tell(MADE[1:])
    client, parent = parent_of(folder)
    assert parent.info.status == "RUNNING"
    assert "2 of 4 trials have ended." in parent.data.tags[NOTE_TAG]
    assert history(client, parent, "trials_ended") == [(0, 0.0), (1, 1.0), (2, 2.0)]
    for driver in (tracker, Tracker(SPEC, folder)):
        for record in MADE:
            driver.send(record)
        driver.tell(MADE)
    client, parent = parent_of(folder)
    assert history(client, parent, "best_reach") == [(0, 0.0), (1, 32.0), (2, 32.0), (3, 32.0)]
    assert history(client, parent, "training_gflop") == [(0, 0.0), (1, 2.0), (2, 2.0), (3, 3.0)]
    assert parent.data.metrics["trials_ended"] == 3


def test_its_description_has_a_table_that_leads_to_the_trials(folder: SearchFolder) -> None:
    tracker = Tracker(SPEC, folder)
    for record in MADE:
        tracker.send(record)
    tracker.end(MADE, finished=False)
    _, parent = parent_of(folder)
    said = parent.data.tags[NOTE_TAG]
    first, *_ = said.split("\n\n")
    assert first.startswith("Trial 1 (lstm 8 ")
    assert "|---|---|---|" in said  # one dash, and MLflow shows no table
    run = tracker.run_id(1)
    link = f"[1](#/experiments/1/runs/{run}?workflowType=machine_learning)"
    assert f"| 1&ensp; | {link}&ensp; | ≥ 32&ensp; |" in said
    assert "| failed at 32" in said
    address = f"get-artifact?path=forgetting_curves.png&run_uuid={parent.info.run_id}"
    assert f"![forgetting curves]({address})" in said
    assert "How trials ended:\n\n- " in said
    assert "What to try next:\n\n- " in said
    assert f" `{folder.command('certify')}`" in said


def test_with_several_aims_each_run_says_its_front(folder: SearchFolder) -> None:
    """Where it passed a rung; in the parent's table too."""
    aims = ["progress", "gflop_to_reach"]
    search = SPEC.search.model_copy(update={"objectives": aims})
    tracker = Tracker(SPEC.model_copy(update={"search": search}), folder)
    for record in MADE:
        tracker.send(record)
    tracker.end(MADE, finished=False)
    client, parent = parent_of(folder)
    tags = [client.get_run(tracker.run_id(number)).data.tags for number in range(4)]
    on = fronts(MADE, aims)
    assert [each.get(telling.FRONT) for each in tags] == [
        str(on[number]) if number in on else None for number in range(4)
    ]
    assert 2 not in on
    assert (
        "| #&ensp; | trial&ensp; | reach&ensp; | front&ensp; | progress"
        in parent.data.tags[NOTE_TAG]
    )
    assert "; front: 1 if no other trial is as good" in parent.data.tags[NOTE_TAG]
    single = Tracker(SPEC, folder)
    single.end(MADE, finished=False)
    assert "| front&ensp; |" not in parent_of(folder)[1].data.tags[NOTE_TAG]


def test_words_are_told_at_every_end_and_pictures_wait_until_the_last_are_paid_for(
    folder: SearchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, drawn, described = [0.0], list[int](), list[int]()
    client: Any = SimpleNamespace(get_metric_history=lambda *_: [], log_batch=lambda *_, **__: None)
    run = telling.ParentRun(client, "1", "run", SPEC, folder, lambda: now[0])

    def draw(_: telling.ParentRun, records: list[Record]) -> None:
        drawn.append(len(records))
        now[0] += 5.0

    def describe(
        _: telling.ParentRun, records: list[Record], runs: dict[int, str], at_last: bool
    ) -> None:
        described.append(len(records))

    monkeypatch.setattr(telling.ParentRun, "_draw", draw)
    monkeypatch.setattr(telling.ParentRun, "_describe", describe)
    run.tell([], {})
    run.tell(MADE[:1], {})
    assert (described, drawn) == ([0, 1], [])  # one that is over sooner is drawn at its end alone
    now[0] = 30.0
    run.tell(MADE[:1], {})
    assert (described, drawn) == ([0, 1, 1], [1])  # with the pictures
    now[0] = 134.0
    run.tell(MADE[:2], {})
    assert (described, drawn) == ([0, 1, 1, 2], [1])  # they took 5 s, and so wait for 100
    now[0] = 135.0
    run.tell(MADE[:1], {})
    assert drawn == [1]  # nothing has ended since
    run.tell(MADE[:2], {})
    run.tell(MADE[:3], {}, at_last=True)
    assert drawn == [1, 2, 3]
    assert described[-1] == 3


def test_before_a_trial_has_ended_it_says_what_is_asked(folder: SearchFolder) -> None:
    """Whoever looks at once sees no empty page."""
    Tracker(SPEC, folder).tell([])
    client, parent = parent_of(folder)
    said = "None of 4 trials have ended. Asked of each: success 0.8 by 2 of 2 members, on lags"
    assert parent.data.tags[NOTE_TAG].startswith(said)
    tracker = Tracker(SPEC, folder)
    tracker.send(MADE[3])
    tracker.tell(MADE[3:])
    client, parent = parent_of(folder)
    assert history(client, parent, "trials_ended") == [(0, 0.0)]


def test_it_says_which_choices_carry_reach(folder: SearchFolder) -> None:
    """Once enough trials made one; a newcomer need open no picture for it."""
    records = [
        replace(trial(n, 32 if kind == "lstm" else 8), ended_ms=n, parameters={"model/cell": kind})
        for n, kind in enumerate(["lstm", "gru"] * 5)
    ]
    tracker = Tracker(SPEC, folder)
    for record in records:
        tracker.send(record)
    tracker.end(records, finished=True)
    said = parent_of(folder)[1].data.tags[NOTE_TAG]
    assert "What carries reach: of the spread of progress model/cell explains 100% (" in said
    few = note(SPEC, records[:2], [], {}, {})
    assert "What carries reach" not in few


def test_while_none_has_a_reach_it_says_so_and_gives_up_on_nothing() -> None:
    said = note(SPEC, [trial(0, 0)], [], {}, {})
    assert said.startswith("1 of 4 trials has ended. So far none has passed lag 8.\n\n")
    assert "| below&nbsp;8&ensp; |" in said
    over = note(SPEC, [trial(number, 0) for number in range(4)], [], {}, {})
    assert over.startswith("No trial has passed the first rung, lag 8: nothing was learned")


def test_words_keep_the_pictures_that_an_earlier_driver_drew(folder: SearchFolder) -> None:
    tracker = Tracker(SPEC, folder)
    for record in MADE:
        tracker.send(record)
    tracker.end(MADE, finished=False)
    Tracker(SPEC, folder).tell(MADE)
    _, parent = parent_of(folder)
    assert (
        "![forgetting curves](get-artifact?path=forgetting_curves.png"
        in (parent.data.tags[NOTE_TAG])
    )
    assert "What to try next" not in parent.data.tags[NOTE_TAG]  # the search itself goes on


def test_a_long_description_keeps_the_best(folder: SearchFolder) -> None:
    records = [trial(number, 16) for number in range(12)]
    links = dict.fromkeys(range(12), "#" + "x" * 400)
    said = note(SPEC, records, [], links, {})
    assert len(said) <= LONGEST
    assert "The best 7 of 12 trials that ended" in said


def test_a_step_that_was_told_stays_and_the_last_is_put_right() -> None:
    """Trials that went on up a longer ladder end again, later, and elsewhere in the order."""
    before = list(progress(MADE[:2]))
    newest = {metric.key: (metric.step, metric.value) for metric in before}
    assert unsent(before, newest) == []
    farther = replace(trial(1, 64, ended_by="top"), ended_ms=9000)
    fresh = unsent(progress([MADE[0], farther]), newest)
    assert [(m.key, m.step, m.value) for m in fresh] == [("best_reach", 2, 64.0)]


def test_what_a_resume_changes_is_a_tag(folder: SearchFolder) -> None:
    """MLflow's params never change."""
    Tracker(SPEC, folder).begin()
    _, parent = parent_of(folder)
    assert parent.data.params["ladder/success"] == "0.8"
    assert parent.data.params["tasks/recall/kind"] == "recall"
    longer = extended(SPEC, trials=8, stop=128, hours=2.0)
    longer = longer.model_copy(update={"controls": "warn"})  # as by a hand
    Tracker(longer, folder).begin()
    _, parent = parent_of(folder)
    found = {key: parent.data.tags[key] for key in ("ladder/stop", "search/trials", "search/hours")}
    assert found == {"ladder/stop": "128", "search/trials": "8", "search/hours": "2.0"}
    assert parent.data.params["controls"] == "refuse"
    assert parent.data.tags["controls"] == "warn"
    assert not asked.params(SPEC).keys() & asked.tags(longer).keys()


@pytest.mark.parametrize(
    ("record", "name", "word", "state"),
    [
        (trial(0, 16), "16 · gru 8", "failed a rung", "FINISHED"),
        (trial(0, 16, ended_by="pruned"), "≥16 · gru 8", "stopped", "FINISHED"),
        (trial(0, 0, ended_by="pruned"), "stopped · gru 8", "stopped", "FINISHED"),
        (trial(0, 0), "below 8 · gru 8", "failed a rung", "FINISHED"),
        (
            trial(0, 0, ended_by="error", error="no"),
            "failed by error · gru 8",
            "failed by error",
            "FAILED",
        ),
        (trial(0, 8, ended_by=None), "unfinished · gru 8", "unfinished", None),
    ],
)
def test_names_and_words_read_by_themselves(
    record: Record, name: str, word: str, state: str | None
) -> None:
    assert title(record, SPEC) == name
    assert tags(record, SPEC)["ended_by"] == word
    assert (status(record) if record.finished else None) == state
