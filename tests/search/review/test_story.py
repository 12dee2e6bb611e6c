"""The sentences follow from the outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from search.disk.folder import SearchFolder
from search.disk.record import Record
from search.results.review import story
from tests.search.review.trials import spec, trial


def certificate(record: Record, claim: str, lag: int) -> dict[str, Any]:
    sha256 = record.digest
    rungs = [{"lag": lag, "passed": True}]
    return {"configuration_sha256": sha256, "task": "recall", "claim": claim, "lag": lag,
            "rungs": rungs}  # fmt: skip


MADE = SearchFolder(Path("runs"), "made")


def following(
    records: list[Record],
    certificates: list[dict[str, Any]] | None = None,
    folder: SearchFolder = MADE,
    **ladder: Any,
) -> str:
    asked = spec(**ladder).model_copy(update={"space": "quick"})
    found = story.what_next(records, asked, folder, certificates or [])
    return "\n".join(map(" ".join, found))


def test_what_won_and_why_it_may_be_believed() -> None:
    records = [trial(0, 8), trial(1, 32, "lstm"), trial(2, 16)]
    told = story.what_won(records, spec(), [])
    assert "Trial 1 (lstm 8" in told
    assert "over 32 steps: 2 of 2 members" in told
    assert "The next reached 16 (trial 2)" in told
    assert "best of 3 trials on the seeds it was chosen by" in told
    claim = certificate(records[1], "Learns lag 16.", 16)
    failed = [{"lag": 16, "passed": False}]
    worse = {**claim, "claim": "Learns nothing.", "lag": 0, "rungs": failed}
    assert "Learns nothing." in story.what_won(records, spec(), [claim, worse])
    assert "Learns lag 16." in story.what_won(records, spec(), [claim])


def test_a_tie_is_said_and_a_bound_is_a_bound() -> None:
    told = story.what_won([trial(0, 16, ended_by="pruned"), trial(1, 16)], spec(), [])
    assert "not decided" in told
    assert "at least 16 steps" in told


def test_nothing_learned() -> None:
    assert "passed the first rung, lag 8" in story.what_won([trial(0, 0)], spec(), [])
    assert "start lower" in following([trial(0, 0)])


def test_ends_and_errors_are_counted() -> None:
    records = [trial(0, 8), trial(1, 8), trial(2, 0, error="RuntimeError: no", ended_by="error")]
    assert story.how_it_ended(records) == [
        "2 failed a rung",
        "1 failed by error: RuntimeError: no",
    ]


def test_a_search_that_was_stopped_is_to_go_on() -> None:
    """Not one whose trials have all ended, however."""
    asked = spec()
    few = asked.model_copy(update={"search": asked.search.model_copy(update={"trials": 2})})
    for count, goes_on in ((1, True), (2, False)):
        records = [trial(number, 8) for number in range(count)]
        *_, (said, command) = story.what_next(records, few, MADE, [])
        assert (said == "The search was stopped with one trial to go.") == goes_on
        assert (command == "longspan resume made") == goes_on


def test_what_to_try_follows_from_what_was_seen() -> None:
    assert "longspan resume made --stop 256" in following([trial(0, 64, ended_by="top")])
    assert "sequences: 200000" in following([trial(0, 8, last=("budget", "budget"))])
    assert "members: 3, quorum: 3" in following([trial(0, 8, last=("solved", "stalled"))])
    assert "longspan certify made" in following([trial(0, 8)])
    certified = [certificate(trial(0, 8), "x", 8)]
    assert following([trial(0, 8)], certified).startswith("Never tried: model/cell/kind ")
    late = [trial(number, 8 if number < 7 else 16) for number in range(8)]
    assert "longspan resume made --trials 128" in following(late)


def test_commands_name_the_runs_folder_so_that_they_can_be_pasted() -> None:
    (_, command), *_ = story.what_next(
        [trial(0, 8)], spec(), SearchFolder(Path("/a b/runs"), "made"), []
    )
    assert command == "longspan certify made --runs '/a b/runs'"


def test_a_choice_that_nobody_made_is_named() -> None:
    """Not those that somebody did, nor of parameters that are ranges."""
    (line,) = [line for line in following([trial(0, 8, "lstm")]).splitlines() if "Never" in line]
    choices = line.partition("Never tried: model/cell/kind ")[2].partition(".")[0].split(", ")
    assert choices == ["rnn", "gru", "transformer"]
    assert "learning_rate" not in line
    assert line.endswith("longspan resume made --trials 128")


def test_a_budget_that_is_used_up_is_asked_for_more(tmp_path: Path) -> None:
    """Of a member, the sequences and, where it has one, the GFLOP; of the search, its own."""
    ran_out = trial(0, 8, last=("budget", "budget"))
    assert "ladder: {sequences: 200000}" in following([ran_out])
    assert "ladder: {sequences: 200000, gflop: 40}" in following([ran_out], gflop=10)
    folder = SearchFolder(tmp_path, "made")
    folder.path.mkdir()
    folder.note_early_end("search.gflop: 5 are used up")
    first = following([trial(0, 8)], folder=folder).splitlines()[0]
    assert "search.gflop: 5 are used up" in first
    assert f"longspan resume made --runs {tmp_path} --gflop GFLOP" in first


def test_rungs_that_nobody_trained_on_are_said_to_be_judged() -> None:
    record = trial(0, 32, last=("untrained", "untrained"))
    told = story.what_won([record], spec(train_to=16), [])
    assert "They trained on lags up to 16; above, they were judged without training." in told
    assert "judged" not in story.what_won([record], spec(), [])
    assert "ended on a rung that nobody trained on" in following([record], train_to=16)
    assert "{train_to: 64}" in following([record], train_to=16)


def test_a_skill_is_of_what_a_look_shows() -> None:
    won = [story.what_won([trial(0, 16)], spec(looks=looks), []) for looks in ("whole", None)]
    assert all("success at lag 8, is 90.0%" in told for told in won)
    told = story.what_won([trial(0, 16)], spec(looks="sequential"), [])
    assert "success at lag 8, of the 64 to 512 sequences that a look shows, is 90.0%" in told


def test_with_several_aims_the_first_front_is_told() -> None:
    asked = spec()
    search = asked.search.model_copy(update={"objectives": ["progress", "parameters"]})
    asked = asked.model_copy(update={"search": search})
    large, small = trial(5, 32), trial(1, 16)
    told = story.what_won([large, small, trial(6, 16)], asked, [])
    assert "By progress and parameters together, trials 5, 1 are on the first front." in told
    alone = story.what_won([trial(1, 32), trial(6, 16)], asked, [])
    assert "it is alone on the first front" in alone
    assert "front" not in story.what_won([large, small], spec(), [])
