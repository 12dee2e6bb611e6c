"""What every generated task owes, for every entry of the table.

Statistical tests allow a false alarm once in a million, by exact binomial or chi-square tails; as
the seeds are fixed they do not flicker.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from scipy import stats

from tests.trainables.tasks.oracles import CASES, HIDDEN, Case
from trainables.measure.plain import digest
from trainables.randomness import Streams
from trainables.tasks import TASKS
from trainables.tasks.task import SYMBOL, Batch, ClassAnswer, NumberAnswer, Symbols

NOT_GENERATED = {"parquet", "stream"}
FALSE_ALARM = 1e-6
ANSWERS = 2000

each_case = pytest.mark.parametrize("case", CASES, ids=str)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(case: Case, lag: int, sequences: int, seed: int = 0) -> Batch:
    return case.task.sample(lag, sequences, seeded(seed))


def answers(
    case: Case, lag: int, count: int = ANSWERS
) -> tuple[Batch, list[tuple[int, int, np.ndarray, int]]]:
    """A batch, and each of its answers as (row, column, sequence, scored step)."""
    columns = draw(case, lag, 1).targets.shape[1]
    batch = draw(case, lag, -(-count // columns))
    inputs, scored = batch.inputs.numpy(), batch.scored.numpy()
    places = [(b, s, inputs[b], int(scored[b, s])) for b, s in np.ndindex(*scored.shape)]
    return batch, places


def seen(row: np.ndarray, step: int, memory: int) -> np.ndarray:
    """The sequence with all hidden but ``step`` and the ``memory`` steps before it."""
    shown = np.full_like(row, HIDDEN if row.ndim == 1 else np.nan)
    window = slice(max(step - memory, 0), step + 1)
    shown[window] = row[window]
    return shown


def right(case: Case, batch: Batch, given: np.ndarray) -> np.ndarray:
    """Which of the given answers (B, S) the task calls right."""
    answer = case.task.answer
    predictions = torch.from_numpy(given)[..., None].float()
    if isinstance(answer, ClassAnswer):
        classes = torch.from_numpy(given).long()
        predictions = torch.nn.functional.one_hot(classes, answer.classes).float()
    return answer.right(predictions, batch.targets).numpy()


def test_every_generated_task_has_an_oracle() -> None:
    """A task cannot enter the table without one."""
    assert {case.kind for case in CASES} == set(TASKS) - NOT_GENERATED


@each_case
def test_memory_of_the_farthest_input_is_enough(case: Case) -> None:
    """Lag after lag, the oracle that sees back to the evidence is always right."""
    for lag in case.lags:
        batch, places = answers(case, lag)
        given = np.zeros(batch.targets.shape)
        for b, s, row, step in places:
            farthest, _ = case.evidence(row, step, lag)
            given[b, s] = case.answer(seen(row, step, step - farthest), step, lag)
        assert right(case, batch, given).all()


@each_case
def test_memory_one_step_short_of_the_lag_is_chance(case: Case) -> None:
    """Without the inputs ``lag`` and more steps back, the best guess succeeds as stated."""
    for lag in case.lags:
        batch, places = answers(case, lag)
        given = np.zeros(batch.targets.shape)
        for b, s, row, step in places:
            given[b, s] = case.answer(seen(row, step, lag - 1), step, lag)
        count = right(case, batch, given)
        assert stats.binomtest(count.sum(), count.size, case.chance(lag)).pvalue > FALSE_ALARM


@each_case
def test_no_answer_needs_less_than_the_lag_and_some_need_just_that(case: Case) -> None:
    """The drawn lag is the minimum over the answers, not an upper bound or an average."""

    def shortest_needed(lag: int, count: int) -> int:
        _, places = answers(case, lag, count)
        return min(step - case.evidence(row, step, lag)[1] for _, _, row, step in places)

    for lag in range(case.task.shortest_lag, case.task.shortest_lag + 24):
        assert shortest_needed(lag, 200) >= lag
    for lag in case.lags:
        assert shortest_needed(lag, ANSWERS) == lag


@each_case
def test_no_input_within_the_lag_tells_of_the_answer(case: Case) -> None:
    """Each visible input alone is independent of what the blind guess leaves unknown."""
    lag = case.lags[1]
    batch, places = answers(case, lag)
    unknown = batch.targets.numpy().astype(float)
    if isinstance(case.task.answer, NumberAnswer):
        for b, s, row, step in places:
            unknown[b, s] -= case.answer(seen(row, step, lag - 1), step, lag)
        unknown = (unknown > 0).astype(float)
    inputs = batch.inputs.numpy().reshape(*batch.inputs.shape[:2], -1)
    rows = np.arange(len(inputs))
    for column, steps in enumerate(batch.scored.numpy().T):
        for back in range(lag):
            for feature in range(inputs.shape[2]):
                shown = inputs[rows, steps - back, feature]
                if not isinstance(case.task.inputs, Symbols) and len(np.unique(shown)) > 3:
                    shown = shown > np.median(shown)
                assert dependence(shown, unknown[:, column]) > FALSE_ALARM, (column, back)


def dependence(left: np.ndarray, right: np.ndarray) -> float:
    """Probability of as strong a dependence by chance; values too rare to judge are left out."""
    kept = np.ones(len(left), dtype=bool)
    for values in (left, right):
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        kept &= counts[inverse] >= min(20, len(left) // 20)
    table = stats.contingency.crosstab(left[kept], right[kept]).count
    if min(table.shape) < 2:
        return 1.0
    return float(stats.chi2_contingency(table).pvalue)


@each_case
def test_shapes_types_and_ranges(case: Case) -> None:
    """A batch is what its docstring says, and T is ``length(lag)``, reached by the longest."""
    task = case.task
    for lag in range(task.shortest_lag, task.shortest_lag + 40):
        batch = draw(case, lag, 256)
        assert batch.inputs.shape[:2] == (256, task.length(lag))
        assert batch.targets.shape == batch.scored.shape
        assert batch.targets.shape[0] == 256
        assert batch.scored.dtype == torch.int64
        assert batch.scored.min() >= lag
        assert batch.scored.max() == task.length(lag) - 1
        assert (batch.scored.diff(dim=1) > 0).all()
        if isinstance(task.inputs, Symbols):
            assert batch.inputs.dtype == SYMBOL
            assert batch.inputs.ndim == 2
            assert batch.inputs.min() >= 0
            assert batch.inputs.max() < task.inputs.vocabulary
        else:
            assert batch.inputs.dtype == torch.float32
            assert batch.inputs.shape[2:] == (task.inputs.features,)
            assert batch.inputs.isfinite().all()
        if isinstance(task.answer, ClassAnswer):
            assert batch.targets.dtype == torch.int64
        else:
            assert batch.targets.dtype == torch.float32
            assert batch.targets.isfinite().all()


@each_case
def test_no_symbol_is_idle(case: Case) -> None:
    """Every symbol of the vocabulary is shown."""
    if isinstance(case.task.inputs, Symbols):
        shown = draw(case, case.lags[2], 512).inputs.unique()
        assert shown.tolist() == list(range(case.task.inputs.vocabulary))


@each_case
def test_classes_are_balanced(case: Case) -> None:
    """Every class is as likely, at every scored answer."""
    answer = case.task.answer
    if isinstance(answer, ClassAnswer):
        for lag in case.lags:
            for column in draw(case, lag, 4000).targets.T:
                counts = column.bincount(minlength=answer.classes).numpy()
                assert len(counts) == answer.classes
                assert stats.chisquare(counts).pvalue > FALSE_ALARM


@each_case
def test_rows_are_independent(case: Case) -> None:
    """Rows differ, and a row's answer says nothing of the next row's."""
    batch = draw(case, case.lags[2], 4000)
    assert len(batch.inputs[:1000].flatten(1).unique(dim=0)) == 1000
    first = batch.targets[:, 0].numpy()
    if isinstance(case.task.answer, NumberAnswer):
        first = first > np.median(first)
    assert dependence(first[::2], first[1::2]) > FALSE_ALARM


@each_case
def test_the_generator_decides(case: Case) -> None:
    """The same state gives the same batch, whatever was drawn before; another state another."""
    task, lag = case.task, case.lags[1]
    generator = seeded(3)
    once, then = task.sample(lag, 64, generator), task.sample(lag, 64, generator)
    again = task.sample(lag, 64, seeded(3))
    assert torch.equal(once.inputs, again.inputs)
    assert torch.equal(once.targets, again.targets)
    assert torch.equal(once.scored, again.scored)
    assert not torch.equal(once.inputs, then.inputs)
    assert not torch.equal(once.inputs, task.sample(lag, 64, seeded(4)).inputs)


@each_case
def test_global_generators_are_left_alone(case: Case) -> None:
    """Neither torch's, NumPy's nor Python's generator is read or moved."""
    torch_state, python_state = torch.get_rng_state(), random.getstate()
    numpy_state = np.random.get_state(legacy=False)["state"]["key"].tolist()  # noqa: NPY002
    draw(case, case.lags[1], 8)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.random.get_state(legacy=False)["state"]["key"].tolist() == numpy_state  # noqa: NPY002
    assert random.getstate() == python_state


@each_case
def test_too_short_a_lag_is_refused_in_one_line(case: Case) -> None:
    """The error names the lag, the task and the shortest that is allowed."""
    task = case.task
    with pytest.raises(ValueError, match="lag") as caught:
        task.sample(task.shortest_lag - 1, 2, seeded())
    message = str(caught.value)
    assert "\n" not in message
    assert {case.kind, str(task.shortest_lag)} <= set(message.split())


@each_case
def test_train_and_test_draws_are_disjoint(case: Case) -> None:
    """No test sequence is ever trained on, at a lag where chance repeats none."""
    streams = Streams(seed=0, identity=digest(dict(case.config)))
    lag = 64
    drawn = [
        {row.numpy().tobytes() for row in case.task.sample(lag, 512, generator).inputs}
        for generator in (streams.generator("train", lag, 0), streams.generator("test", lag, 0))
    ]
    assert not drawn[0] & drawn[1]


@each_case
def test_train_and_test_answers_are_independent(case: Case) -> None:
    """What is drawn to train on says nothing of what is drawn to test, draw by draw."""
    streams = Streams(seed=0, identity=digest(dict(case.config)))
    first = [
        case.task.sample(case.lags[1], 4000, streams.generator(purpose, case.lags[1], 0))
        .targets[:, 0]
        .numpy()
        for purpose in ("train", "selection", "test")
    ]
    if isinstance(case.task.answer, NumberAnswer):
        first = [numbers > np.median(numbers) for numbers in first]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert dependence(first[one], first[other]) > FALSE_ALARM


@each_case
def test_configuration_is_tagged_by_the_table_key_and_round_trips(case: Case) -> None:
    """One string a choice; a configuration survives being written down."""
    part = TASKS[case.kind]
    config = part.Config(**case.config)
    assert config.kind == case.kind
    assert part.Config.model_validate_json(config.model_dump_json()) == config
