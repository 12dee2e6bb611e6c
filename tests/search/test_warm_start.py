"""What was found elsewhere is tried first, says so, and is measured here."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from search.checking.warm_start import with_priors
from search.disk import outcomes
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.errors import UserError
from search.proposing.samplers import make_sampler
from search.proposing.searcher import StudySearch
from search.proposing.study import restore_study
from search.recording.points import tags
from search.results.review.tables import trials
from search.spec import MOST_PRIORS, SearchConfig, Spec, read, take
from search.spec.spaces import find_space
from tests.search.test_older_version import KEPT, RECALL
from tests.trainables.training.stand_ins import trial_config
from trainables.measure.records import MemberRung
from trainables.measure.report import Report

SPACE = {
    "model/cell/kind": ["lstm", "gru", "rnn"],
    "model/hidden_size": [8, 16, 32],
    "training/learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
}
CONFIGURATION = trial_config().model_dump(mode="json")
GOOD = {"model/cell/kind": "gru", "model/hidden_size": 16, "training/learning_rate": 0.01}


def spec(*warm_start: str, **search: Any) -> Spec:
    content = {"name": "mine", "space": "mine.yaml", "choices": SPACE, "tasks": ["recall"]}
    return take(content | {"search": {"warm_start": list(warm_start), **search}})


def earlier(runs: Path, name: str, *found: dict[str, Any], task: str = "copying") -> None:
    """A search whose trials are these, the last the best."""
    folder = SearchFolder(runs, name)
    content = {"name": name, "space": "quick", "tasks": [task]}
    folder.create(take(content).to_yaml())
    ledger = Ledger(folder)
    for number, parameters in enumerate(found):
        ledger.started(number, parameters, CONFIGURATION, f"{number}")
        reach = 2 ** (number + 1)
        ledger.reported(number, Report(float(number + 1), reach, {task: reach}))
        ledger.finished(number, "failed_rung")


def origins(found: Spec) -> list[str]:
    return [prior.origin for prior in found.search.priors]


def test_the_best_of_an_earlier_search_come_first(tmp_path: Path) -> None:
    """On another task too; twice the same once; what was not reached, not at all."""
    other = {**GOOD, "model/hidden_size": 32}
    earlier(tmp_path, "before", other, GOOD, GOOD)
    found = with_priors(spec("before"), tmp_path)
    assert origins(found) == [
        "before, trial 2: reach 8 on copying; 3 of 3 parameters",
        "before, trial 0: reach 2 on copying; 3 of 3 parameters",
    ]
    assert found.search.first == [GOOD, other]
    elsewhere = with_priors(spec(str(tmp_path / "before")), tmp_path / "nowhere")
    assert elsewhere.search.priors == found.search.priors


def test_what_another_space_offers_counts_as_far_as_this_one_does(tmp_path: Path) -> None:
    """Of one trial the size is none here and more is not asked for; of the other only the rate."""
    size = {**GOOD, "model/hidden_size": 20, "model/depth": 3}
    rate = {"model/cell/kind": "ntm", "training/learning_rate": 0.01}
    earlier(tmp_path, "before", size, rate)
    (prior,) = with_priors(spec("before"), tmp_path).search.priors
    assert prior.origin.endswith("2 of 3 parameters")
    assert prior.parameters == {"model/cell/kind": "gru", "training/learning_rate": 0.01}


def test_sources_take_turns_and_there_are_not_too_many(tmp_path: Path) -> None:
    def rates(start: float) -> list[dict[str, Any]]:
        return [{**GOOD, "training/learning_rate": start + n * 1e-3} for n in range(10)]

    earlier(tmp_path, "one", *rates(0.01))
    earlier(tmp_path, "two", *rates(0.05))
    found = origins(with_priors(spec("one", "two"), tmp_path))
    assert [each[:3] for each in found] == ["one", "two"] * (MOST_PRIORS // 2)


def test_from_an_export(tmp_path: Path) -> None:
    """Of an earlier version; what its configuration says besides is not asked for here."""
    with tarfile.open(KEPT) as archive:
        archive.extractall(tmp_path, filter="data")
    found = with_priors(spec(str(tmp_path / "exports" / RECALL)), tmp_path)
    (prior,) = found.search.priors
    assert prior.parameters == {
        "model/cell/kind": "gru",
        "model/hidden_size": 8,
        "training/learning_rate": 0.006426192842625412,
    }
    assert " on recall; " in prior.origin


def test_from_outcome_files(tmp_path: Path) -> None:
    """A file, or a folder of them, without their search; the longest lag most members solved."""

    def measured(*reaches: int) -> list[MemberRung]:
        return [
            MemberRung(task, lag, member, "solved" if lag <= reach else "budget")
            for task in ("recall", "copying")
            for member, reach in enumerate(reaches)
            for lag in (8, 16, 32)
            if lag <= max(8, 2 * reach)
        ]

    rates = [{**GOOD, "training/learning_rate": rate} for rate in (0.01, 0.02, 0.03)]
    for number, (rate, reaches) in enumerate(
        zip(rates, ((8, 8, 8), (16, 8, 16), (0, 0, 8)), strict=True)
    ):
        outcomes.write(tmp_path / "kept", number, "digest", measured(*reaches), rate)
    found = with_priors(spec(str(tmp_path / "kept")), tmp_path)
    assert found.search.first == [rates[1], rates[0]]
    assert origins(found)[0] == (
        f"{tmp_path / 'kept'}, trial 1: lag 16 on copying, recall; 3 of 3 parameters"
    )
    one = with_priors(spec(str(tmp_path / "kept" / "00000.parquet")), tmp_path)
    assert one.search.first == [rates[0]]


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_from_a_study_of_ones_own(kind: str, tmp_path: Path) -> None:
    """The best by its own direction; failed trials and parameters of other names do not count."""
    file = tmp_path / "study.db"
    url = f"sqlite:///{file}" if kind == "sqlite" else str(file)
    storage = RDBStorage(url) if kind == "sqlite" else JournalStorage(JournalFileBackend(url))
    study = optuna.create_study(study_name="losses", storage=storage, direction="minimize")
    for size, value in ((8, 0.5), (32, 0.1), (16, None)):
        study.enqueue_trial({"model/hidden_size": size})
        trial = study.ask({
            "model/hidden_size": optuna.distributions.CategoricalDistribution([8, 16, 32]),
            "model/cell/kind": optuna.distributions.CategoricalDistribution(["gru"]),
            "mine": optuna.distributions.FloatDistribution(0, 1),
        })  # fmt: skip
        study.tell(trial, value, state=None if value else TrialState.FAIL)
    found = with_priors(spec(f"optuna:{url}"), tmp_path)
    assert [each["model/hidden_size"] for each in found.search.first] == [32, 8]
    assert origins(found)[0] == "study 'losses', trial 1: 0.1; 2 of 3 parameters"
    optuna.create_study(study_name="more", storage=storage)
    with pytest.raises(UserError, match=r"holds 2 studies; .*#NAME: 'losses', 'more'"):
        with_priors(spec(f"optuna:{url}"), tmp_path)
    assert with_priors(spec(f"optuna:{url}#losses"), tmp_path) != spec()
    if isinstance(storage, RDBStorage):
        storage.engine.dispose()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("before", "'before' is no search under"),
        ("none.parquet", "no such file"),
        ("rows.parquet", "holds other rows than outcomes"),
        ("other.parquet", "other.parquet: damaged: "),
        ("optuna:none.db", "no such file"),
        ("optuna:sqlite:///none.db", "no such file"),
        ("optuna:sqlite:///other.db", "cannot be read"),
        ("nothing", "gives half of what the space asks for"),
    ],
)
def test_what_is_no_source_is_refused_in_one_line(
    source: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("other.db", "other.parquet"):
        (tmp_path / name).write_text("no database")
    pq.write_table(pa.table({"lag": [1]}), tmp_path / "rows.parquet")
    earlier(tmp_path, "nothing", {"model/depth": 2})
    with pytest.raises(UserError, match=r"search\.warm_start: .*") as refused:
        with_priors(spec(source), tmp_path)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "none.db").exists()


def test_what_is_tried_first_is_a_trial_like_any_other_and_says_where_it_is_from(
    tmp_path: Path,
) -> None:
    """After `start_with`; nothing is in the study that was not measured here; a resume goes on."""
    earlier(tmp_path, "before", GOOD)
    start = {**GOOD, "model/cell/kind": "rnn"}
    warm = with_priors(spec("before", start_with=[start]), tmp_path)
    folder = SearchFolder(tmp_path, "mine")
    folder.create(warm.to_yaml())
    warm = read(folder.spec)
    space = find_space(warm)

    def searcher() -> StudySearch:
        ledger = Ledger(folder)
        study = restore_study(folder.journal, "mine", space, ledger, warm.search.first)
        assert not study.get_trials(states=[TrialState.COMPLETE])
        return StudySearch(space, study, ledger, lambda n: make_sampler("random", 7, n), 4,
                           origin=warm.search.origin_of)  # fmt: skip

    first = searcher()
    for name in "ab":
        first.suggest(name)
    again = searcher()
    assert [again.suggest(name)["number"] for name in "abc"] == [0, 1, 2]
    records = Ledger(folder).records
    assert [records[n].parameters for n in (0, 1)] == [start, GOOD]
    origin = "before, trial 0: reach 2 on copying; 3 of 3 parameters"
    assert [records[n].origin for n in range(3)] == ["", origin, ""]
    assert (tags(records[1], warm)["origin"], "origin" in tags(records[0], warm)) == (origin, False)
    table = trials(records.values())
    assert sorted(table["origin"].fillna("")) == ["", "", origin]
    plain = json.loads((folder.trial(0) / "record.json").read_text())
    assert "origin" not in json.dumps(plain), "as earlier versions read it"


def test_a_search_without_is_recorded_as_before() -> None:
    assert not {"warm_start", "priors"} & SearchConfig().model_dump().keys()


def uncountable(kind: pa.DataType) -> pa.Array:
    return pa.array([2**31 - 1], pa.int32()).cast(kind)


def no_text() -> pa.Array:
    return pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers())


ROW = {"trial": [0], "task": ["recall"], "lag": [8], "member": [0], "solved": [True]}


@pytest.mark.parametrize(
    ("column", "value"),
    [("mine", uncountable(pa.date32())), ("model/cell/kind", uncountable(pa.date32())),
     ("mine", no_text()), ("model/cell/kind", no_text()), ("task", no_text())],
    ids=["day", "day-cell", "bytes", "bytes-cell", "bytes-task"],
)  # fmt: skip
def test_values_that_no_python_value_can_be(column: str, value: pa.Array, tmp_path: Path) -> None:
    """Whatever columns somebody has put beside: they ended the command with the last resort."""
    file = tmp_path / "odd.parquet"
    pq.write_table(pa.table({**ROW, column: value}), file)
    with pytest.raises(UserError, match=r"odd\.parquet'? ?.*(cannot be read|damaged)") as refused:
        with_priors(spec(str(file)), tmp_path)
    assert "\n" not in str(refused.value)


def test_files_whose_columns_do_not_go_together(tmp_path: Path) -> None:
    for number, kind in enumerate((pa.array([2**64 - 1], pa.uint64()), pa.array([-1]))):
        pq.write_table(pa.table({**ROW, "mine": kind}), tmp_path / f"{number}.parquet")
    with pytest.raises(UserError, match="cannot be read"):
        with_priors(spec(str(tmp_path)), tmp_path)


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + ".parquet", "/".join(["d" * 200] * 30)])
def test_a_name_too_long_is_no_traceback(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name too long"):
        with_priors(spec(str(tmp_path / name)), tmp_path)


@pytest.mark.parametrize("inside", [False, True])
def test_a_pipe_is_no_outcome_file(inside: bool, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    os.mkfifo(file)
    with pytest.raises(UserError, match="no such file"):
        with_priors(spec(str(tmp_path if inside else file)), tmp_path)
