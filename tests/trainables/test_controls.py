"""Controls: blinded and shuffled copies fall to chance, and a task that leaks is found out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from tests.trainables.tasks.labelled import digits
from tests.trainables.tasks.oracles import Case
from tests.trainables.tasks.test_contract import each_case, right, seeded
from tests.trainables.tasks.test_lags import cued, task_of
from tests.trainables.tasks.test_stream import numbers, stream, symbols
from trainables.controls import parts
from trainables.controls.guessers import blinded, one_answer, shuffled
from trainables.controls.kernel_ridge import KernelRidge
from trainables.controls.measuring import (
    CONTROLS,
    SURE,
    Control,
    Controls,
    Rate,
    measure,
)
from trainables.controls.parts import held, some_rows
from trainables.controls.rivals import Compared, Rivals
from trainables.controls.shortcuts import bag, edges, last_input
from trainables.tasks.adding import Adding
from trainables.tasks.copying import Copying
from trainables.tasks.recall import Recall
from trainables.tasks.task import (
    SYMBOL,
    Batch,
    ClassAnswer,
    Reals,
    Symbols,
    Task,
    TaskConfig,
)

FALSE_ALARM = 1e-6
SEQUENCES = 1000


def oracle(case: Case, batch: Batch, lag: int) -> np.ndarray:
    """What the oracle that sees everything answers to a batch of one answer each (B, 1)."""
    rows, steps = batch.inputs.numpy(), batch.scored[:, 0].tolist()
    given = [case.answer(row, step, lag) for row, step in zip(rows, steps, strict=True)]
    return np.array(given)[:, None]


@each_case
def test_blinded_and_shuffled_copies_fall_to_chance(case: Case) -> None:
    """At three lags and at every scored answer, for an oracle that is right on the true copy."""
    task = case.task
    for lag in case.lags:
        batch, donors = (task.sample(lag, SEQUENCES, seeded(seed)) for seed in (1, 2))
        for place in {0, batch.targets.shape[1] - 1}:
            true = one_answer(batch, place)
            assert right(case, true, oracle(case, true, lag)).all()
            blind = blinded(task, true, donors, lag)
            dealt = shuffled(task, true, seeded(3))
            for copy in (blind, dealt):
                count = int(right(case, copy, oracle(case, copy, lag)).sum())
                test = stats.binomtest(count, SEQUENCES, case.chance(lag), alternative="greater")
                assert test.pvalue > FALSE_ALARM


@each_case
def test_a_blinded_copy_differs_in_old_inputs_alone(case: Case) -> None:
    """Up to ``lag`` steps back nothing changes; from there on all is the donor's."""
    task, lag = case.task, case.lags[1]
    batch, donors = (task.sample(lag, 64, seeded(seed)) for seed in (1, 2))
    last = one_answer(batch, batch.targets.shape[1] - 1)
    blind = blinded(task, last, donors, lag)
    for row in range(64):
        first_young = int(last.scored[row, 0]) - lag + 1
        assert torch.equal(blind.inputs[row, first_young:], batch.inputs[row, first_young:])
        assert torch.equal(blind.inputs[row, :first_young], donors.inputs[row, :first_young])
    assert torch.equal(blind.targets, last.targets)


@pytest.mark.parametrize("lags", [1, pytest.param(3, marks=pytest.mark.slow)])
@each_case
def test_no_control_finds_fault_with_a_task_of_the_table(case: Case, lags: int) -> None:
    """The learner finds nothing to learn where inputs are blinded or labels shuffled."""
    for lag in case.lags[:lags]:
        found = measure(case.task, lag)
        assert found.complaint(0.9) is None
        assert set(found.rates) == set(CONTROLS)


class Leaking(Task):
    """A cue that is shown again, ``lag`` less ``early`` steps back; T = lag + 1."""

    Config = TaskConfig
    inputs, answer = Symbols(4), ClassAnswer(4)

    def __init__(self, early: int, share: float = 1.0) -> None:
        self.early, self.share = early, share

    def length(self, lag: int) -> int:
        return lag + 1

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        inputs = torch.randint(4, (batch_size, lag + 1), generator=generator)
        leaks = torch.rand(batch_size, generator=generator) < self.share
        inputs[leaks, self.early] = inputs[leaks, 0]
        return Batch(inputs, inputs[:, :1].clone(), torch.full((batch_size, 1), lag))


@pytest.mark.parametrize("lag", [8, 200])
@pytest.mark.parametrize("early", [1, 5])
def test_a_cue_that_comes_again_is_found(early: int, lag: int) -> None:
    """Within the lag; one step earlier would be no leak."""
    complaint = measure(Leaking(early), lag).complaint(0.9)
    assert complaint is not None
    assert "nothing as old as the lag succeeds" in complaint
    assert f"at lag {lag}" in complaint
    assert measure(Leaking(0), lag).complaint(0.9) is None


def test_a_cue_that_comes_again_now_and_then_is_above_chance() -> None:
    """Too rare to succeed, but not chance: the second rule says so."""
    found = measure(Leaking(5, share=0.5), 8)
    assert found.rates["blinded"].rate < 0.8
    assert found.complaint(0.9) == (
        f"whoever sees nothing as old as the lag succeeds on {found.rates['blinded'].successes}"
        f" of 512 sequences at lag 8; chance is at most {found.level:.1%}"
    )


def test_an_answer_in_the_last_input_is_found() -> None:
    complaint = measure(Leaking(8), 8).complaint(0.9)
    assert complaint is not None
    assert complaint.startswith("whoever sees the last input alone succeeds on")
    assert complaint.endswith("success 0.9 then needs no memory")


def test_an_answer_that_hardly_varies_is_found() -> None:
    """Sums of two numbers, when any within 0.8 of the truth will do."""
    task = Adding(Adding.Config())
    task.answer = type(task.answer)(tolerance=0.8)
    complaint = measure(task, 16).complaint(0.9)
    assert complaint is not None
    assert complaint.startswith("one and the same answer succeeds on")


@pytest.mark.parametrize("control", ["blinded", "shuffled"])
def test_what_must_fall_to_chance_and_what_need_not(control: Control) -> None:
    """A bag may be always right, for who has it remembers; blinded and shuffled may not."""

    def complaint(**changed: Rate) -> str | None:
        rates: dict[Control, Rate] = dict.fromkeys(CONTROLS, Rate(128, 512))
        return Controls(8, 0.25, {**rates, **changed}, 0.3).complaint(0.9)  # type: ignore[dict-item]

    assert complaint() is None
    assert complaint(bag=Rate(512, 512)) is None
    assert complaint(**{control: Rate(160, 512)}) is None
    found = complaint(**{control: Rate(240, 512)})
    assert found is not None
    assert "240 of 512 sequences at lag 8; chance is at most 30.0%" in found
    assert 0.999 < SURE < 1


@pytest.mark.parametrize("kind", ["recall", "copying", "adding", "stream"])
def test_a_part_at_a_time_the_controls_are_the_same(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symbols, several answers, numbers and pairs; parts of some rows and of single ones."""
    tasks: dict[str, Task] = {
        "recall": Recall(Recall.Config()),
        "copying": Copying(Copying.Config(protocol="paper")),
        "adding": Adding(Adding.Config()),
    }
    task = tasks[kind] if kind in tasks else stream(tmp_path, symbols(5))
    lag = 8 if kind == "stream" else 20
    whole, sizes = measure(task, lag), []
    compared = None if task.paired else looked_at(task, lag)

    def noted(batch: Batch, rows: slice) -> Batch:
        part = some_rows(batch, rows)
        sizes.append(len(part.inputs))
        return part

    monkeypatch.setattr(parts, "some_rows", noted)
    for numbers_at_once in (1, 999):
        sizes.clear()
        monkeypatch.setattr(parts, "NUMBERS_AT_ONCE", numbers_at_once)
        assert measure(task, lag) == whole
        assert compared == (None if task.paired else looked_at(task, lag))
        assert max(sizes) == max(1, numbers_at_once // task.sample(lag, 1, seeded()).inputs.numel())


def looked_at(task: Task, lag: int) -> Compared:
    """The controls beside a member that is right on every other sequence."""
    batch = task.sample(lag, 64, seeded(2))
    rivals = Rivals(task, lag, seeded())
    return rivals.compare(iter([(batch, torch.arange(64) % 2 == 0)]), seeded(1))


@pytest.mark.parametrize(
    ("vocabulary", "kind"), [(256, torch.uint8), (257, torch.int16), (40_000, torch.int32)]
)
def test_symbols_are_held_as_small_as_they_are(vocabulary: int, kind: torch.dtype) -> None:
    inputs = torch.tensor([[0, vocabulary - 1]], dtype=SYMBOL)
    batch = Batch(inputs, torch.tensor([[0]]), torch.tensor([[1]]))
    small = held(batch, Symbols(vocabulary))
    assert small.inputs.dtype == kind
    assert torch.equal(some_rows(small, slice(0, 1)).inputs, inputs)
    numbers = Batch(torch.rand(2, 3, 1), batch.targets, batch.scored)
    assert held(numbers, Reals(1)) is numbers


def test_measuring_again_gives_the_same(tmp_path: Path) -> None:
    task = Recall(Recall.Config())
    assert measure(task, 9) == measure(task, 9)
    assert measure(task, 9) != measure(task, 9, seed=1)


def test_the_users_rows_pass(tmp_path: Path) -> None:
    """Digits after a gap, and rows whose column of lags is right."""
    for lag in (8, 64, 300):
        assert measure(digits(), lag).complaint(0.85) is None
    lags = np.random.default_rng(1).integers(4, 24, size=4000)
    column = task_of(cued(tmp_path, lags))
    assert [measure(column, lag).complaint(0.9) for lag in (4, 6, 11)] == [None] * 3


def test_a_column_of_lags_that_promises_too_much_is_found(tmp_path: Path) -> None:
    """The evidence lies two steps later than the column says."""
    import pyarrow.parquet as pq

    lags = np.random.default_rng(1).integers(6, 12, size=4000)
    file = cued(tmp_path, lags - 2)
    table = pq.read_table(file)
    longer = np.minimum(lags, np.array([len(row) - 1 for row in table["x"].to_pylist()]))
    pq.write_table(table.set_column(2, "back", [longer]), file)
    complaint = measure(task_of(file), 6).complaint(0.9)
    assert complaint is not None
    assert "nothing as old as the lag" in complaint


@pytest.mark.parametrize("of", [symbols, numbers])
def test_streams_fall_to_a_coin_toss(tmp_path: Path, of: Any) -> None:
    """Blinded, both of a pair have another's old inputs; shuffled, both have another's answer."""
    task = stream(tmp_path, of(5))
    for lag in (2, 4, 8):
        found = measure(task, lag)
        assert found.complaint(0.6) is None
        assert found.rates["constant"].successes == 0
        assert found.rates["last input"].rate < 0.05  # ties, but for rounding
        assert abs(found.rates["blinded"].rate - 0.5) < 0.15


def test_a_blinded_pair_has_the_same_young_inputs_and_other_old_ones(tmp_path: Path) -> None:
    """Counted from the step predicted, as the task's own replacing is."""
    x = np.arange(400 * 40).reshape(400, 40)
    task, lag = stream(tmp_path, x), 5
    batch, donors = task.sample(lag, 64, seeded(1)), task.sample(lag, 64, seeded(2))
    blind = blinded(task, one_answer(batch, 0), donors, lag).inputs
    differs = blind[:32] != blind[32:]
    assert not differs[:, 16 - lag + 1 :].any()
    assert differs[:, : 16 - lag + 1].all()
    dealt = shuffled(task, one_answer(batch, 0), seeded()).targets
    assert torch.equal(dealt[:32], dealt[32:])
    assert not torch.equal(dealt, batch.targets[:, :1])


def test_the_learner_learns_lines_and_what_only_two_features_tell() -> None:
    """One feature in forty, in noise; an exclusive or; and nothing where there is nothing."""
    x = torch.randn(512, 40, generator=seeded())
    held_out = torch.randn(512, 40, generator=seeded(1))

    def explained(x: torch.Tensor, y: torch.Tensor, other: torch.Tensor, z: torch.Tensor) -> float:
        error = KernelRidge(x, y[:, None]).predict(other)[:, 0] - z
        return float(1 - error.var() / z.var())

    assert explained(x, x[:, 3] + 5, held_out, held_out[:, 3] + 5) > 0.9
    signs, others = x[:, :2].sign(), held_out[:, :2].sign()
    assert explained(signs, signs.prod(1), others, others.prod(1)) > 0.9
    assert abs(explained(x, torch.randn(512, generator=seeded(2)), held_out, held_out[:, 0])) < 0.2
    constant = torch.ones(512, 3)
    assert KernelRidge(constant, x[:, :1]).predict(constant).std() < 1e-3


def test_shortcuts() -> None:
    """The last input, the bag up to the answer, and both edges of what is young."""
    inputs = torch.tensor([[3, 1, 1, 0, 2, 3]])
    batch = Batch(inputs, torch.tensor([[0]]), torch.tensor([[4]]))
    assert last_input(batch, 4).tolist() == [[0, 0, 1, 0]]
    assert bag(batch, 4).tolist() == [[1, 2, 1, 1]]
    seen = edges(batch, 4, lag=2)[0, : 2 * 24 * 4].view(2, 24, 4).argmax(-1)
    assert seen[0, :5].tolist() == [2, 0, 1, 1, 3]
    assert seen[1, :3].tolist() == [0, 2, 2]
    numbers = torch.tensor([[[1.0], [3.0], [9.0]]])
    real = Batch(numbers, torch.tensor([[0]]), torch.tensor([[1]]))
    assert bag(real, 0).tolist() == [[2, 1, 1, 3]]
    assert last_input(real, 0).tolist() == [[3, 9]]
