"""Streams of known dependency: exactly k steps are measured as k, noise as none."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import stats
from torch import Tensor

from tests.trainables.training.stand_ins import CPU, as_model, ladder, seeded, trial_config
from trainables.models.model import build
from trainables.tasks.held_out import require_held_out
from trainables.tasks.split.splitting import PARTS
from trainables.tasks.stream import Stream
from trainables.tasks.task import ClassAnswer, NumberAnswer
from trainables.training.held_out.evaluation import evaluate
from trainables.trial import TrialSpec, run_trial

FALSE_ALARM = 1e-6
SYMBOLS = 6
CONTEXT, ANSWERS = 16, 4


def symbols(k: int, rows: int = 1500, steps: int = 40) -> np.ndarray:
    """x_t is x_{t-k}, but one time in ten any symbol; k = 0 is white noise."""
    rng = np.random.default_rng(k)
    x = rng.integers(SYMBOLS, size=(rows, steps))
    for t in range(k or steps, steps):
        x[:, t] = np.where(rng.random(rows) < 0.9, x[:, t - k], x[:, t])
    return x


def numbers(k: int, rows: int = 1500, steps: int = 40) -> np.ndarray:
    """x_t = 0.9 x_{t-k} + noise, of mean 50 and deviation 10; k = 0 is white noise."""
    rng = np.random.default_rng(k)
    x = rng.normal(size=(rows, steps))
    for t in range(k or steps, steps):
        x[:, t] = 0.9 * x[:, t - k] + (1 - 0.9**2) ** 0.5 * x[:, t]
    return 50 + 10 * x


def stream(folder: Path, x: Any, **options: Any) -> Stream:
    file = folder / "stream.parquet"
    pq.write_table(pa.table({"x": list(x)}), file)
    is_symbol = np.asarray(x[0]).dtype.kind == "i"
    chosen = {"context": CONTEXT, "answers": ANSWERS, "values": "tokens" if is_symbol else None}
    given = {k: v for k, v in {**chosen, **options}.items() if v is not None}
    return Stream(Stream.Config.model_validate({"path": file, "sequence": "x", **given}))


class Knowing(torch.nn.Module):
    """The best predictor of a stream that depends on the step ``k`` back, and on no other."""

    longest: int | None = None

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, inputs: Tensor, scored: Tensor) -> Tensor:
        rows = torch.arange(len(inputs))[:, None]
        source = inputs[rows, scored + 1 - self.k]
        if inputs.ndim == 3:
            return 0.9 * source
        return 3 * torch.nn.functional.one_hot(source.long(), SYMBOLS).float()


@pytest.mark.parametrize("k", [1, 4, 7, CONTEXT])
@pytest.mark.parametrize("of", [symbols, numbers])
def test_what_uses_the_step_k_back_wins_up_to_lag_k_and_never_beyond(
    tmp_path: Path, of: Any, k: int
) -> None:
    """Its predictions do not change with inputs older than k: no success at all."""
    task = stream(tmp_path, of(k), answers=1).split("test")

    def tally(lag: int) -> Any:
        return evaluate(as_model(Knowing(k)), task, lag, 2000, seeded(), CPU)

    for lag in {1, k // 2 or 1, k}:
        assert tally(lag).sequences == task.distinct_sequences(lag) > 200
        assert tally(lag).lower_bound(0.999) > 0.5
    for lag in {min(k + 1, CONTEXT), CONTEXT} - {k}:
        assert tally(lag).successes == 0


@pytest.mark.parametrize(
    ("of", "lag"),
    [
        (numbers, 8),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((numbers, 1), (symbols, 1), (symbols, 8))
        ),
    ],
)
def test_on_noise_any_use_of_old_inputs_is_a_coin_toss(tmp_path: Path, of: Any, lag: int) -> None:
    """A net of random weights uses all that it sees."""
    task = stream(tmp_path, of(0, rows=6000))
    wins = shown = 0
    for seed in range(8):
        model = build(trial_config("gru", residual="add").model, task, seed)
        tally = evaluate(model, task.split("test"), lag, 2000, seeded(seed), CPU)
        wins, shown = wins + tally.successes, shown + tally.sequences
    assert stats.binomtest(wins, shown, 0.5).pvalue > FALSE_ALARM
    assert shown > 8 * 1000


def test_a_batch_is_windows_and_then_the_same_with_old_inputs_of_others(tmp_path: Path) -> None:
    """Up to the lag before the first step predicted nothing differs; before, all is another's."""
    x = np.arange(400 * 40).reshape(400, 40)  # every symbol tells its row and step
    task, lag = stream(tmp_path, x), 5
    for part in PARTS:
        batch = task.split(part).sample(lag, 65, seeded())
        assert batch.inputs.shape == (65, CONTEXT + ANSWERS - 1) == (65, task.length(lag))
        assert batch.scored.tolist() == [list(range(CONTEXT - 1, CONTEXT + ANSWERS - 1))] * 65
        as_it_is, replaced = batch.inputs[:33], batch.inputs[33:]
        old = CONTEXT - lag + 1
        assert torch.equal(as_it_is[:32, old:], replaced[:, old:])
        assert (as_it_is.diff(dim=1) == 1).all()
        assert (replaced[:, :old].diff(dim=1) == 1).all()
        assert (as_it_is[:32, :old] // 40 != replaced[:, :old] // 40).all()
        assert torch.equal(batch.targets[:32], batch.targets[33:])
        assert torch.equal(batch.targets, batch.inputs[:, -1:] + 1 - torch.arange(ANSWERS).flip(0))


def test_an_evaluation_shows_each_stream_once_and_takes_from_each_once(tmp_path: Path) -> None:
    """Pairs share no stream as it is, nor one to take from, whatever the batches."""
    x = np.arange(400 * 40).reshape(400, 40)
    test = stream(tmp_path, x).split("test")
    batches = list(test.draw(CONTEXT, 10**6, 32, seeded()))
    assert all(len(batch.inputs) <= 32 for batch in batches)
    halves = [batch.inputs[:, 0].chunk(2) for batch in batches]
    shown = torch.cat([whole for whole, _ in halves]) // 40
    taken = torch.cat([replaced for _, replaced in halves]) // 40
    assert len(shown) == test.distinct_sequences(CONTEXT)
    assert shown.unique().tolist() == taken.unique().tolist() == sorted(shown.tolist())
    assert (shown != taken).all()


def test_windows_begin_anywhere_in_their_streams(tmp_path: Path) -> None:
    """The first and the last place are as likely as any between; parts share no stream."""
    x = np.arange(300 * 25).reshape(300, 25)
    task = stream(tmp_path, x)
    first = task.split("train").sample(2, 8000, seeded()).inputs[:4000, 0]
    counts = (first % 25).bincount()
    assert len(counts) == 25 - CONTEXT - ANSWERS + 1
    assert stats.chisquare(counts).pvalue > FALSE_ALARM
    rows = [set((task.split(p).sample(2, 4000, seeded()).inputs // 25).unique().tolist())
            for p in PARTS]  # fmt: skip
    assert not rows[0] & rows[1]
    assert not rows[0] & rows[2]
    assert not rows[1] & rows[2]


def test_numbers_are_standardised_and_the_mean_costs_one(tmp_path: Path) -> None:
    task = stream(tmp_path, numbers(0, rows=3000)).split("train")
    assert isinstance(task.answer, NumberAnswer)
    batch = task.sample(4, 4000, seeded())
    assert 49 < float(batch.targets.mean()) < 51
    silence = torch.zeros(4000, ANSWERS, 1)
    assert float(task.answer.loss(silence, batch.targets)) == pytest.approx(1, abs=0.05)
    following = batch.inputs[:, -ANSWERS + 1 :, 0]
    assert torch.allclose(batch.targets[:, :-1], task.answer.value(following[..., None]), atol=1e-4)


def test_the_losses_of_sequences_average_to_the_loss(tmp_path: Path) -> None:
    for of in (symbols, numbers):
        task = stream(tmp_path, of(2))
        batch = task.sample(4, 64, seeded())
        predictions = torch.randn(64, ANSWERS, task.answer.outputs, generator=seeded())
        each = task.answer.losses(predictions, batch.targets)
        assert each.shape == (64,)
        assert torch.allclose(each.mean(), task.answer.loss(predictions, batch.targets), atol=1e-5)


@pytest.mark.parametrize(
    ("of", "k", "reach"),
    [
        (numbers, 5, 4),
        (numbers, 0, 0),
        (symbols, 0, 0),
        pytest.param(symbols, 5, 4, marks=pytest.mark.slow),
        pytest.param(numbers, 4, 4, marks=pytest.mark.slow),
    ],
)
def test_a_trained_member_measures_the_rung_at_or_below_k(
    tmp_path: Path, of: Any, k: int, reach: int
) -> None:
    """From first weights to reach, by the code of every trial; noise is measured at 0."""
    task = stream(tmp_path, of(k))
    config = trial_config(
        "rnn",
        learning_rate=0.02,
        batch_size=32,
        hidden_size=16,
        front_end={"kind": "conv", "kernel_width": 8},
    )
    steps = ladder(
        start=2, stop=8, success=0.6, sequences=4000, test_sequences=400,
        stall={"patience": 0.5, "improvement": 0.01},
    )  # fmt: skip
    spec = TrialSpec(config, {"stream": task.config}, steps, seed=0)
    measured = run_trial(spec, tmp_path / "trial", lambda report, checkpoint: None, CPU)
    assert measured.reach == reach


def test_a_member_is_asked_once_it_is_done_learning(tmp_path: Path) -> None:
    """One look a rung, at its end: half trained, it leans on old inputs it will not need."""
    task = stream(tmp_path, symbols(5))
    spec = TrialSpec(
        trial_config("rnn"), {"stream": task.config},
        ladder(start=2, stop=2, success=0.5, sequences=640, test_sequences=100, stall=None), 0,
    )  # fmt: skip
    (row,) = run_trial(spec, tmp_path / "t", lambda report, checkpoint: None, CPU).rows
    assert (row.looks, row.sequences) == (1, 640)


def test_a_lag_beyond_the_context_is_refused(tmp_path: Path) -> None:
    task = stream(tmp_path, symbols(3))
    assert task.distinct_sequences(CONTEXT + 1) == 0
    for act in (task.length, lambda lag: task.sample(lag, 2, seeded())):
        with pytest.raises(ValueError, match=r"lag: 17 is not allowed; .* its context, 16"):
            act(CONTEXT + 1)
    with pytest.raises(ValueError, match="lag: 17 is not allowed"):
        require_held_out(task, 0.5, (8, 17))
    with pytest.raises(ValueError, match="lag: 0"):
        task.sample(0, 2, seeded())
    require_held_out(task, 0.9, (8, 16))


@pytest.mark.parametrize(
    ("x", "options", "named"),
    [
        ([[row] * 19 for row in range(60)], {}, "context: 16 and 4 answers take 20"),
        ([[row] * 20 for row in range(2)], {}, "too few different sequences"),
        ([[[row, 1]] * 20 for row in range(60)], {"values": None}, "holds lists of lists"),
        ([[0.5 + row] * 20 for row in range(60)], {"values": "tokens"}, "values: tokens"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, x: Any, options: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        stream(tmp_path, x, **options)
    assert "\n" not in str(caught.value)
    assert "stream.parquet" in str(caught.value)


def test_rows_too_short_are_left_out(tmp_path: Path) -> None:
    x = [[row] * (20 if row % 2 else 19) for row in range(400)]
    task = stream(tmp_path, x)
    assert isinstance(task.answer, ClassAnswer)
    shown = task.split("train").sample(3, 4000, seeded()).inputs.unique()
    assert (shown % 2 == 1).all()


def test_a_pickled_task_is_read_again(tmp_path: Path) -> None:
    task = stream(tmp_path, symbols(3)).split("test")
    again = pickle.loads(pickle.dumps(task))
    assert torch.equal(again.sample(4, 8, seeded()).inputs, task.sample(4, 8, seeded()).inputs)


def test_random_streams_do_not_depend_on_where_the_file_lies() -> None:
    here = Stream.Config(path=Path("a"), sequence="x", context=8)
    assert here.identity == here.model_copy(update={"path": Path("b")}).identity
