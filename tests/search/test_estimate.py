"""What a search may cost, said before it runs: by its budgets, in time as probed."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch

from search import spec as specs
from search.checking.portfolio import of_portfolio
from search.checking.preflight import check_tasks
from search.commands.estimating.as_in_a_worker import as_in_a_worker
from search.commands.estimating.costs import Attempt, Drawn, drawn, shares, shown_of
from search.commands.estimating.estimate import choices, summed
from search.commands.estimating.timing import (
    LONGEST_STEP,
    SECONDS,
    Rate,
    Seconds,
    by_training,
    measure,
    memory_at_the_top,
    seconds_of,
)
from search.commands.estimating.words import lines, rests_on
from search.proposing.constraints import Constraints
from search.proposing.draws import draw
from search.spec import ResourcesConfig, Spec
from search.spec.spaces import find_space
from spaces import SPACES
from tests.search.conftest import in_process
from tests.search.test_refusals import spec_with
from tests.trainables.training.stand_ins import CPU
from trainables.config import TrialConfig
from trainables.measure.looks.stages import Stages
from trainables.messages import duration
from trainables.trial import TrialSpec, run_trial

LADDER = {"start": 4, "stop": 16, "members": 2, "quorum": 2, "sequences": 300}


def small(folder: Path, **search: object) -> Spec:
    return specs.read(spec_with(folder, ladder=LADDER, search={"trials": 6, **search}))


def of_cost(kind: str, gflop: float, lags: tuple[int, ...] = (8, 64), **more: object) -> Drawn:
    """A draw whose sequences all cost ``gflop``; ten on each rung, and no tests."""
    config = TrialConfig.model_validate(
        {"model": {"cell": kind, "hidden_size": 8},
         "training": {"batch_size": 1, "learning_rate": 1e-3}}
    )  # fmt: skip
    attempts = tuple(Attempt("recall", lag, gflop, 10, 0) for lag in lags)
    return Drawn({"model/cell/kind": kind, **more}, config, attempts, 1)


@pytest.mark.parametrize("gflop", [None, 0.05])
def test_a_trial_costs_no_more_than_the_most(tmp_path: Path, gflop: float | None) -> None:
    """Also where its members use their whole budget: success 0.999 is out of reach."""
    ladder = {"start": 4, "stop": 4, "members": 2, "quorum": 1, "sequences": 300, "gflop": gflop,
              "success": 0.99, "stall": None}  # fmt: skip
    spec = specs.read(spec_with(tmp_path, ladder=ladder))
    first = drawn(spec, check_tasks(spec), find_space(spec), 1)[0]
    trial = TrialSpec(first.config, spec.tasks_by_name, spec.ladder, 0)
    ended = run_trial(trial, tmp_path / "trial", lambda *_: None, CPU)
    assert {row.ended_by for row in ended.rows} == {"budget"}
    assert ended.training_gflop <= first.gflop * (1 + 1e-9)
    assert ended.training_gflop >= (1 if gflop is None else 0.5) * first.gflop * (1 - 1e-9)


def test_members_that_train_out_are_told_of(tmp_path: Path) -> None:
    """By its rung's part of the cost: the only one whose whole budget is used for certain."""
    ladder = {**LADDER, "train_to": 8, "train_out": True}
    spec = specs.read(spec_with(tmp_path, ladder=ladder))
    draws = [of_cost("rnn", 0.1, (4, 8))]
    found = summed(spec, draws, {}, 2, 1.0, 2.0)
    assert found.trained_out == pytest.approx(0.5)
    assert "uses its whole budget there (ladder.train_out), 50% of the most" in rests_on(found)
    assert ", trained to 8, there until done" in dict(lines(spec, {}, found))["rungs"]
    plain = summed(small(tmp_path), draws, {}, 2, 1.0, 2.0)
    assert plain.trained_out == 0
    assert "train_out" not in rests_on(plain)


def test_rungs_that_are_only_judged_cost_no_training(tmp_path: Path) -> None:
    """Nor is a step there among those that are timed, or that memory is counted of."""
    budget = {"sequences": 300, "train_to": 4}
    ladder = {"start": 4, "stop": 4096, "ratio": 32, "members": 2, "quorum": 1, **budget}
    spec = specs.read(spec_with(tmp_path, ladder=ladder))
    tasks = check_tasks(spec)
    first = drawn(spec, tasks, find_space(spec), 1)[0]
    assert [(a.lag, a.sequences > 0, a.tests) for a in first.attempts] == [
        (4, True, 256 + 2 * 512), (128, False, 2 * 512), (4096, False, 2 * 512)
    ]  # fmt: skip
    assert shares([first]) == {4: 1.0, 128: 0.0, 4096: 0.0}
    asked = list[int]()

    def probe(draw: Drawn, task: str, lag: int) -> float:
        asked.append(lag)
        return 1e-9

    measure([first], probe)
    assert set(asked) == {4}
    alone = specs.read(spec_with(tmp_path, ladder={**ladder, "stop": 4}))
    short = drawn(alone, tasks, find_space(alone), 1)
    assert memory_at_the_top([first], tasks) == memory_at_the_top(short, tasks) > 0


def test_sequences_that_are_read_for_their_states_alone_cost_too(tmp_path: Path) -> None:
    """A third of a training pass each; what is held out is passed once."""
    fixed = {"training/regime/kind": "state_passing", "training/regime/passed_fraction": 0.6}
    spec = small(tmp_path)
    tasks, space = check_tasks(spec), find_space(spec)
    (plain,) = drawn(spec, tasks, space, 1)
    (passed,) = drawn(spec, tasks, lambda trial: {**space(trial), **fixed}, 1)
    assert passed.gflop == pytest.approx(1.2 * plain.gflop)
    assert passed.attempts[0].a_test == pytest.approx(plain.attempts[0].a_test)


def test_draws_keep_the_constraints(tmp_path: Path) -> None:
    spec = specs.read(spec_with(tmp_path, constraints={"max_parameters": 4000}))
    found = drawn(spec, check_tasks(spec), find_space(spec), 16)
    assert 0 < len(found) < 16
    assert {each.config.model.hidden_size for each in found} == {16}


def test_constraints_that_few_draws_keep_are_estimated_by_those(tmp_path: Path) -> None:
    """Where none of those looked at first does, by all that preflight looks at."""
    spec = specs.read(spec_with(tmp_path, constraints={"max_parameters": 2100}))
    tasks, space = check_tasks(spec), find_space(spec)
    kept = [each.parameters for each in drawn(spec, tasks, space, 200)]
    sizes = [Constraints(spec).exceeded(config) for config in draw(space, 200)]
    first = next(n for n, exceeded in enumerate(sizes) if not exceeded)
    assert first > 0
    assert [each.parameters for each in drawn(spec, tasks, space, first)] == kept
    assert [each.parameters for each in drawn(spec, tasks, space, first + 1)] == kept[:1]


def test_a_rate_is_between_those_that_were_timed() -> None:
    rate = Rate("lstm", (16, 256), (1.0, 4.0))
    assert [rate.at(lag) for lag in (8, 16, 64, 256, 4096)] == pytest.approx([1, 1, 2, 4, 4])
    attempt = Attempt("recall", 64, 0.1, 200, 60, shown=0.25)
    assert rate.seconds(attempt, None) == Seconds(*map(pytest.approx, (0.05 * 200, 1.0, 0.25)))
    assert rate.seconds(attempt, most=2.0) == Seconds(2.0, *map(pytest.approx, (1.0, 0.25)))


def test_the_long_lag_is_one_whose_steps_are_short() -> None:
    """Of steps that cost twice as much at every lag, those within a second."""
    config = of_cost("lstm", 1.0)
    attempts = tuple(Attempt("recall", 2**n, 2.0**n, 10, 0) for n in range(3, 12))
    draw = Drawn(config.parameters, config.config, attempts, 1)
    asked: list[int] = []

    def probe(draw: Drawn, task: str, lag: int) -> float:
        asked.append(lag)
        return lag * LONGEST_STEP / 100

    assert measure([draw], probe)["lstm"] == Rate("lstm", (8, 64), (100.0, 100.0))
    assert asked == [8, 64]


def test_kinds_are_tried_while_there_is_time_the_dearest_first() -> None:
    draws = [of_cost("rnn", 1.0), of_cost("lstm", 3.0), of_cost("gru", 2.0)]
    clock = itertools.count(0, SECONDS / 2)
    rates = measure(draws, lambda *_: 1.0, clock=lambda: next(clock))
    assert list(rates) == ["lstm", "gru"]
    slow = {**rates, "gru": Rate("gru", (8, 64), (0.5, 0.5))}
    assert seconds_of(draws[0], slow, None).at_most == pytest.approx(2 * 10 / 0.5)  # the slowest's


def test_what_runs_out_of_memory_is_not_timed() -> None:
    def probe(draw: Drawn, task: str, lag: int) -> float:
        if draw.kind == "lstm":
            raise MemoryError
        return 1.0

    assert list(measure([of_cost("lstm", 3.0), of_cost("rnn", 1.0)], probe)) == ["rnn"]


def test_choices_that_the_cost_depends_on_come_first() -> None:
    draws = [
        of_cost(kind, cost * size, **{"model/hidden_size": size, "training/learning_rate": rate})
        for (kind, cost), size, rate in itertools.product(
            [("lstm", 1.0), ("gru", 1.5)], [1, 8], [1.0, 2.0, 3.0]
        )
    ]
    found = choices(draws, [draw.gflop for draw in draws])
    assert [one.parameter for one in found] == ["model/hidden_size", "model/cell/kind"]
    assert found[0].times == {"8": 8.0, "1": 1.0}


def test_trials_run_side_by_side(tmp_path: Path) -> None:
    draws = [of_cost("lstm", 1.0), of_cost("rnn", 3.0)]
    rates = {kind: Rate(kind, (8, 64), (2.0, 2.0)) for kind in ("lstm", "rnn")}
    found = summed(small(tmp_path), draws, rates, 4, 2**30, 2**34)
    assert (found.side_by_side, found.gflop) == (4, 6 * (20 + 60) / 2)
    assert found.seconds is not None
    assert found.seconds.at_most == pytest.approx(6 / 4 * (10 + 30) / 2)
    assert shares(draws) == {8: 0.5, 64: 0.5}
    one = summed(small(tmp_path, concurrency=1), draws, {}, 4, 2**30, 2**34)
    assert (one.side_by_side, one.seconds, one.tried_share) == (1, None, 0)


def test_looks_that_end_early_are_counted_as_far_as_they_are_expected_to_go(tmp_path: Path) -> None:
    """In what is likely, not in what is at most; nor where looks are whole."""
    spent, said = {}, {}
    for looks in ("whole", "sequential"):
        spec = specs.read(spec_with(tmp_path, ladder={**LADDER, "looks": looks}))
        tasks = check_tasks(spec)
        draws = drawn(spec, tasks, find_space(spec), 2)
        rates = {draw.kind: Rate(draw.kind, (4, 16), (100.0, 100.0)) for draw in draws}
        found = summed(spec, draws, rates, 1, 2**30, 2**30)
        assert found.seconds is not None
        spent[looks], said[looks] = found.seconds, rests_on(found)
    whole, early = spent["whole"], spent["sequential"]
    assert whole.at_most == early.at_most
    assert whole.shown == whole.tests
    part = Stages.of(512, 0.9, 0.025).ends(0.975)[1] / 512
    assert early.shown == pytest.approx(part * early.tests)
    assert 0.2 < part < 0.3
    low, high = early.likely
    assert low == pytest.approx(0.03 * early.training + 0.14 * early.shown)
    assert high == pytest.approx(0.3 * early.training + 0.39 * early.shown)
    assert "each look until it is decided" in said["sequential"]
    assert "each look" not in said["whole"]


def test_a_look_that_measures_the_skill_is_whole(tmp_path: Path) -> None:
    ladder = {**LADDER, "success": {"relative": 0.95}, "looks": "sequential"}
    spec = specs.read(spec_with(tmp_path, ladder=ladder))
    task = check_tasks(spec)["recall"]
    assert shown_of(task, 4, spec.ladder) == 1.0
    assert shown_of(task, 8, spec.ladder) < 1.0


def test_it_is_said_as_a_range_with_the_budgets(tmp_path: Path) -> None:
    spec = small(tmp_path, hours=2, gflop=500)
    draws = [of_cost("lstm", 1000.0)]
    rates = {"lstm": Rate("lstm", (8, 64), (100.0, 100.0))}
    found = summed(spec, draws, rates, 1, 2**30, 2**30)
    said = [": ".join(line) for line in lines(spec, check_tasks(spec), found)]
    for part in (
        "recall: made as they are needed: sequences of 17 symbols",
        "trials: 6, 1 side by side",
        "rungs: lags 4, 8, 16; 2 members on each",
        "training: likely 3,600 GFLOP to 36,000 GFLOP, at most 120,000 GFLOP",
        "time: likely 36 s to 6.0 min, at most 20 min",
        "ends after: 2.0 h (search.hours)",
        "ends after: 500 GFLOP (search.gflop)",
        "memory: a training step at lag 16 takes up to 1 GiB of whole sequences; a trial has 1",
        "by lag: 8: 50%, 64: 50% of the cost",
    ):
        assert any(line.startswith(part) for line in said), (part, said)
    none = summed(spec, draws, {}, 1, 2**30, 2**34)
    assert ("time", "not known: a trial asks for a device that this machine does not have") in (
        list(lines(spec, check_tasks(spec), none))
    )


def test_a_probe_trains_and_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    spec = small(tmp_path)
    tasks = check_tasks(spec)
    draws = drawn(spec, tasks, find_space(spec), 2)
    threads = torch.get_num_threads()
    with as_in_a_worker(spec.resources) as device:
        assert device == torch.device("cpu")
        assert by_training(tasks, device, 2**30)(draws[0], "recall", 4) > 0
    assert torch.get_num_threads() == threads
    assert memory_at_the_top(draws, tasks) > 16 * 4 * 1000
    if not torch.cuda.is_available():
        with as_in_a_worker(ResourcesConfig(gpus=1)) as device:
            assert device is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (89, "89 s"), (91, "1.5 min"), (1800, "30 min"), (5400, "1.5 h"),
     (100_000, "28 h"), (3 * 86400, "3 days"), (86400 * 12345, "12,345 days")],
)  # fmt: skip
def test_a_length_of_time_in_words(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_program_is_told_the_same(tmp_path: Path) -> None:
    """Every line of the words has its numbers; and standard output is JSON alone."""
    path, runs = str(spec_with(tmp_path, ladder=LADDER, search={"trials": 6})), str(tmp_path)
    done = in_process("search", path, "--dry-run", "--json", "--runs", runs)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["tasks"] == {"recall": {"account": None, "steps": [5, 17]}}
    assert (found["trials"], found["lags"], found["members"]) == (6, [4, 8, 16], 2)
    assert found["tried_first"] == []
    cost = found["gflop"]
    assert cost["likely"] == pytest.approx([0.03 * cost["at_most"], 0.3 * cost["at_most"]])
    low, high = found["seconds"]["likely"]
    assert 0 < low < high < found["seconds"]["at_most"]
    assert sum(found["share_by_lag"].values()) == pytest.approx(1)
    assert {one["kind"] for one in found["timed"]["kinds"]}
    assert found["depends_on"][0]["times"]
    assert not list(tmp_path.glob("*/spec.yaml"))
    refused = in_process("search", path, "--json", "--runs", runs)
    assert refused.returncode == 2
    assert "--json: goes with --dry-run alone" in refused.stderr


def test_what_is_tried_first_is_said_beforehand(tmp_path: Path) -> None:
    search = {"trials": 8, "portfolio": 1, "start_with": [{"model/cell/kind": "lstm"}]}
    path = str(spec_with(tmp_path, ladder=LADDER, search=search, space="records"))
    (shipped,) = (prior.origin for prior in itertools.islice(of_portfolio(SPACES["records"]), 1))
    done = in_process("search", path, "--dry-run", "--json", "--runs", str(tmp_path))
    first = ["search.start_with, 1 of 1", shipped]
    assert json.loads(done.stdout)["tried_first"] == first
    said = in_process("search", path, "--dry-run", "--runs", str(tmp_path)).stdout
    listed = "\n  ".join(["Tried first, and measured here like any other trial:", *first])
    assert listed in said
    assert "Nothing was started." in said


def test_a_program_is_told_what_was_read(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "examples" / "quickstart.yaml"
    done = in_process("search", str(shipped), "--dry-run", "--json", "--runs", str(tmp_path))
    (task,) = json.loads(done.stdout)["tasks"].values()
    read = task["account"]
    assert (read["rows"], read["features"]) == (1797, 1)
