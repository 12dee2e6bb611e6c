"""The searcher: the study is the truth, and ledger and study agree after any crash."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.errors import UserError
from search.proposing.samplers import METRIC, make_sampler
from search.proposing.searcher import StudySearch
from search.proposing.study import open_study, restore_study
from spaces import SPACES, Space
from trainables.config import TrialConfig
from trainables.measure.records import MemberRung
from trainables.measure.report import Report


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    folder = SearchFolder(tmp_path, "study")
    folder.create("")
    return folder


def searcher(folder: SearchFolder, trials: int, sampler: str = "random") -> StudySearch:
    """As after the driver started anew: everything is read from disk."""
    ledger, space = Ledger(folder), SPACES["article"]
    study = restore_study(folder.journal, "study", space, ledger)
    return StudySearch(space, study, ledger, lambda n: make_sampler(sampler, 7, n), trials)


def result(progress: float, ended_by: str | None = "failed_rung") -> dict[str, object]:
    report = {"progress": progress, "reach": 8, "ended_by": ended_by, "rows": []}
    return {"progress": progress, "report": json.dumps(report), "training_iteration": 1}


@pytest.mark.parametrize("sampler", ["random", "tpe", "qmc"])
def test_proposals_do_not_depend_on_where_the_driver_died(tmp_path: Path, sampler: str) -> None:
    """Trial by trial, one driver and a new driver for every trial propose the same."""
    whole, pieces = SearchFolder(tmp_path, "whole"), SearchFolder(tmp_path, "pieces")
    whole.create("")
    pieces.create("")
    one = searcher(whole, 14, sampler)
    for number in range(14):
        other = searcher(pieces, 14, sampler)
        assert one.suggest(f"t{number}") == other.suggest(f"t{number}")
        for search in (one, other):
            search.on_trial_complete(f"t{number}", result(float(number % 5)))


def test_trials_cut_off_go_on_first(folder: SearchFolder) -> None:
    first = searcher(folder, 3)
    proposed = [first.suggest("a"), first.suggest("b")]
    first.on_trial_complete("a", result(3.0))
    second = searcher(folder, 3)
    assert second.left == 2
    assert second.suggest("x") == proposed[1]
    assert second.suggest("y")["number"] == 2
    assert second.suggest("z") is None


def test_a_trial_that_ended_before_optuna_was_told_is_told(folder: SearchFolder) -> None:
    """The driver died between ledger and study."""
    first = searcher(folder, 2)
    first.suggest("a")
    ledger = Ledger(folder)
    ledger.reported(0, Report.from_json(json.loads(str(result(4.5)["report"]))))
    ledger.finished(0, "failed_rung")
    assert searcher(folder, 2).left == 1
    (trial,) = open_study(folder.journal, "study").get_trials()
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 4.5)


def test_a_trial_stopped_by_the_scheduler_is_pruned_and_keeps_its_progress(
    folder: SearchFolder,
) -> None:
    search = searcher(folder, 1)
    search.suggest("a")
    search.on_trial_result("a", result(3.0, ended_by=None))
    search.on_trial_complete("a", result(3.5, ended_by=None))
    record = Ledger(folder).records[0]
    assert (record.ended_by, record.progress, record.censored) == ("pruned", 3.5, True)
    assert open_study(folder.journal, "study").trials[0].value == 3.5


@pytest.mark.parametrize(
    ("tasks", "end"),
    [
        ({"a": "failed_rung"}, "failed_rung"),
        ({"a": "top", "b": "memory"}, "memory"),
        ({"a": "failed_rung", "b": None}, "pruned"),
        ({"a": "top"}, "pruned"),
    ],
)
def test_one_that_had_failed_when_it_was_stopped_may_do_no_more(
    folder: SearchFolder, tasks: dict[str, str | None], end: str
) -> None:
    """The scheduler decides when a rung's last row is told, before the trial says that it ended."""
    search = searcher(folder, 1)
    search.suggest("a")
    said = result(3.5, ended_by=None)
    report = {**json.loads(str(said["report"])), "tasks_ended_by": tasks}
    search.on_trial_complete("a", {**said, "report": json.dumps(report)})
    record = Ledger(folder).records[0]
    assert (record.ended_by, record.censored) == (end, end != "failed_rung")


def test_people_who_look_at_the_study_see_what_came_of_a_trial(folder: SearchFolder) -> None:
    """In the journal as it is written, and as it is written anew from the ledger."""
    search = searcher(folder, 2)
    search.suggest("a")
    said = result(3.5, ended_by=None)
    rows = [
        MemberRung("recall", lag, member, end, rate, looks=1).to_json()
        for lag, member, end, rate in (
            (8, 0, "solved", 0.9),
            (8, 1, "solved", 0.8),
            (16, 0, "budget", 0.4),
        )
    ]
    report = {**json.loads(str(said["report"])), "rows": rows, "training_gflop": 2.5}
    search.on_trial_complete("a", {**said, "report": json.dumps(report)})
    search.suggest("b")
    for _ in range(2):
        study = open_study(folder.journal, "study")
        assert study.metric_names == [METRIC]
        trial, other = study.get_trials()
        shown = {key: trial.user_attrs[key] for key in ("ended by", "reach", "GFLOP", "members")}
        assert shown == {
            "ended by": "stopped", "reach": 8, "GFLOP": 2.5, "members": "8: 2 of 2, 16: 0 of 1",
        }  # fmt: skip
        assert trial.intermediate_values == {8: pytest.approx(0.85), 16: 0.4}
        assert other.user_attrs == {}
        searcher(folder, 2)


def test_a_trial_that_ended_without_a_last_word_is_kept_as_it_was_heard(
    folder: SearchFolder,
) -> None:
    """Tune repeats the last result, or has none, or one of its own without a report."""
    search = searcher(folder, 3)
    for life, last in (("a", None), ("b", {"training_iteration": 1}), ("c", result(2.0, "error"))):
        search.suggest(life)
        said = result(2.0, "error")
        said["report"] = json.dumps(json.loads(str(said["report"])) | {"error": "the sky fell"})
        search.on_trial_result(life, said)
        search.on_trial_complete(life, said if life == "c" else last)
    for record in Ledger(folder).records.values():
        assert (record.ended_by, record.error) == ("error", "the sky fell")


def test_only_a_trial_that_has_not_ended_is_under_way(folder: SearchFolder) -> None:
    search = searcher(folder, 1)
    assert not search.is_under_way("a")
    search.suggest("a")
    assert search.is_under_way("a")
    search.on_trial_complete("a", result(1.0))
    assert not search.is_under_way("a")
    search.on_trial_complete("a", result(2.0))
    assert Ledger(folder).records[0].progress == 1.0


def test_what_is_handed_out_is_kept_with_its_digest_as_plain_values(
    folder: SearchFolder,
) -> None:
    proposed = searcher(folder, 1).suggest("a")
    record = Ledger(folder).records[0]
    config = TrialConfig.model_validate(record.configuration)
    assert record.digest == config.digest
    assert proposed["configuration"] == record.configuration == config.model_dump(mode="json")


def test_tune_is_told_what_is_best(folder: SearchFolder) -> None:
    search = searcher(folder, 1)
    assert (search.metric, search.mode) == (METRIC, "max")


def test_there_is_nothing_to_save_or_to_restore(folder: SearchFolder, tmp_path: Path) -> None:
    """The study and the ledger are on disk; Tune wants a file all the same."""
    search = searcher(folder, 1)
    search.save(str(tmp_path / "saved"))
    assert json.loads((tmp_path / "saved").read_text()) == {}
    search.restore(str(tmp_path / "saved"))
    assert pickle.loads(pickle.dumps(search)).__dict__ == {}


def test_a_space_that_proposes_no_model_is_named_in_one_line(folder: SearchFolder) -> None:
    def broken(trial: optuna.Trial) -> dict[str, object]:
        trial.suggest_categorical("model/cell/kind", ["rnn"])
        return {"model/hidden_size": -1}

    ledger = Ledger(folder)
    study = restore_study(folder.journal, "study", broken, ledger)
    search = StudySearch(broken, study, ledger, lambda n: make_sampler("random", 7, n), 1)
    with pytest.raises(
        UserError, match=r"^space: proposes what gives no model: .*hidden_size"
    ) as e:
        search.suggest("a")
    assert "\n" not in str(e.value)


def test_a_trial_whose_worker_is_gone_has_not_ended(folder: SearchFolder) -> None:
    """Tune completes it with an error; it goes on when it is handed out again, as it was."""
    search = searcher(folder, 2)
    first = search.suggest("a")
    search.on_trial_complete("a", None, error=True)
    assert not Ledger(folder).records[0].finished
    search.hand_out_again("a", alone=False)
    assert search.left == 2
    assert search.suggest("b") == first
    search.hand_out_again("b", alone=True)
    assert search.suggest("c") == {**first, "whole_device": True}
    assert not search.suggest("d")["whole_device"]
    assert search.suggest("e") is None, "both are under way"


def test_a_trial_is_ended_for_what_it_did_to_its_workers(folder: SearchFolder) -> None:
    search = searcher(folder, 1)
    search.suggest("a")
    search.on_trial_complete("a", None, error=True)
    search.end("a", "error", "its worker died 3 times")
    record = Ledger(folder).records[0]
    assert (record.ended_by, record.error) == ("error", "its worker died 3 times")
    assert open_study(folder.journal, "study").trials[0].state == TrialState.FAIL
    assert search.suggest("b") == Searcher.FINISHED
    assert searcher(folder, 1).left == 0


def test_a_trial_cut_off_goes_on_as_it_was_started(folder: SearchFolder) -> None:
    """Also where the space would give its parameters another meaning by now."""
    proposed = searcher(folder, 1).suggest("a")

    def other(trial: optuna.Trial) -> dict[str, object]:
        SPACES["article"](trial)
        return {"training/batch_size": 7}

    ledger = Ledger(folder)
    study = restore_study(folder.journal, "study", other, ledger)
    search = StudySearch(other, study, ledger, lambda n: make_sampler("random", 7, n), 1)
    assert search.suggest("b") == proposed


def test_importing_sets_no_log_level() -> None:
    """A level that somebody chose is kept until a study is opened."""
    code = (
        "import optuna; optuna.logging.set_verbosity(optuna.logging.DEBUG);"
        "import search.proposing.searcher, search.proposing.draws as draws;"
        "print(optuna.logging.get_verbosity() == optuna.logging.DEBUG);"
        "draws.draw(__import__('spaces').SPACES['quick'], 1);"
        "print(optuna.logging.get_verbosity() == optuna.logging.WARNING)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_studies_of_different_names_do_not_mix(tmp_path: Path) -> None:
    """Ray's default is one study name for all."""
    journal = tmp_path / "journal"
    open_study(journal, "one").ask()
    assert open_study(journal, "two").trials == []


def test_each_trial_has_the_sampler_of_its_number(folder: SearchFolder) -> None:
    """Whether it was asked for, refused, waits since a crash or is new."""
    asked = [{"model/cell/kind": "rnn"}, {"model/cell/kind": "lstm"}]
    made, expected = list[int](), list[int]()
    for left in (6, 4):
        ledger, space = Ledger(folder), SPACES["quick"]
        study = restore_study(folder.journal, "study", space, ledger, asked)
        search = StudySearch(
            space,
            study,
            ledger,
            lambda n: made.append(n) or make_sampler("random", 7, n),  # type: ignore[func-returns-value]
            6,
            exceeded=lambda config: {"max_parameters": 1.0} if made[-1] == 3 else {},
        )
        assert search.left == left
        for life in ("a", "b"):
            expected.append(search.suggest(life)["number"])
            search.on_trial_complete(life, result(1.0))
    search.suggest("c")
    assert expected == [0, 1, 2, 4]
    assert made == [0, 1, 2, 3, 4, 5]


def test_a_parameter_beyond_a_range_that_has_narrowed_is_left_out(folder: SearchFolder) -> None:
    """The sampler cannot learn from it; the trial stays, and nothing is warned of."""

    def ranging(high: float) -> Space:
        def space(trial: optuna.Trial) -> dict[str, object]:
            SPACES["quick"](trial)
            trial.suggest_float("training/clip_norm", 0.5, high)
            return {}

        return space

    ledger, wide = Ledger(folder), ranging(10.0)
    study = restore_study(folder.journal, "study", wide, ledger)
    search = StudySearch(wide, study, ledger, lambda n: make_sampler("random", 7, n), 4)
    for number in range(4):
        search.suggest(f"t{number}")
        search.on_trial_complete(f"t{number}", result(1.0))
    norms = [record.parameters["training/clip_norm"] for record in ledger.records.values()]
    middle = sorted(norms)[2]
    restore_study(folder.journal, "study", ranging(middle), Ledger(folder))
    trials = open_study(folder.journal, "study").get_trials()
    assert [t.value for t in trials] == [1.0] * 4
    kept = ["training/clip_norm" in t.params for t in trials]
    assert kept == [norm <= middle for norm in norms]
    assert all("model/cell/kind" in t.params for t in trials)


def test_samplers_of_different_trials_differ() -> None:
    drawn = set()
    for number in range(20):
        study = optuna.create_study(sampler=make_sampler("random", 0, number))
        drawn.add(study.ask().suggest_float("x", 0, 1))
    assert len(drawn) == 20


def test_a_search_starts_with_what_it_is_told(folder: SearchFolder) -> None:
    """The first trials are those asked for, once, also when the driver dies in between."""
    start = [{"model/cell/kind": "rnn", "model/hidden_size": 16}, {"model/cell/kind": "lstm"}]
    proposed = []
    for number in range(3):
        ledger, space = Ledger(folder), SPACES["quick"]
        study = restore_study(folder.journal, "study", space, ledger, start)
        search = StudySearch(space, study, ledger, lambda n: make_sampler("random", 7, n), 3)
        assert search.left == 3 - number
        proposed.append(search.suggest(f"t{number}"))
        search.on_trial_complete(f"t{number}", result(1.0))
    models = [p["configuration"]["model"] for p in proposed]
    assert models[0]["cell"]["kind"] == "rnn"
    assert models[0]["hidden_size"] == 16
    assert models[1]["cell"]["kind"] == "lstm"
    assert [p["number"] for p in proposed] == [0, 1, 2]


def test_a_stopped_trial_is_told_as_the_lower_bound_that_it_is(folder: SearchFolder) -> None:
    search = searcher(folder, 2)
    report = {"progress": 4.2, "censored_progress": 4.9, "reach": 16, "rows": []}
    for name, ended_by in (("a", None), ("b", "failed_rung")):
        search.suggest(name)
        told = json.dumps({**report, "ended_by": ended_by})
        search.on_trial_complete(name, {"report": told, "training_iteration": 1})
    values = [trial.value for trial in search._study.get_trials()]
    assert values == [4.9, 4.2]
    again = restore_study(folder.journal, "study", SPACES["article"], Ledger(folder))
    assert [trial.value for trial in again.get_trials()] == values
