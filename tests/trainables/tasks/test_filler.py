"""The filler and the inputs' scale: what training rows alone determine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.trainables.tasks.labelled import digits, seeded, task_of, unscaled, write
from trainables.encoding.steps import NumberSteps
from trainables.tasks.rows import fitting
from trainables.tasks.split.splitting import in_part
from trainables.tasks.task import SYMBOL, Reals, Symbols

FALSE_ALARM = 1e-6
N = 64  # pixels of a digit


def test_noise_is_uniform_over_the_training_range(tmp_path: Path) -> None:
    """Floats over [low, high] of the training rows, not of the test rows, feature by feature."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(300, 3, 2)) * [1, 100]
    task = task_of(write(tmp_path / "f", rows.tolist(), [0, 1] * 150))
    seen = rows[in_part(task.rows.hashes, "train")].reshape(-1, 2)
    noise = unscaled(task, task.sample(500, 64, seeded()).inputs[:, 3:]).reshape(-1, 2)
    for feature in range(2):
        low, high = seen[:, feature].min(), seen[:, feature].max()
        unit = (noise[:, feature] - low) / (high - low)
        assert stats.kstest(unit, "uniform").pvalue > FALSE_ALARM
    assert (seen.max(0) < rows.max((0, 1))).any()
    assert abs(np.corrcoef(noise.T)[0, 1]) < 6 / len(noise) ** 0.5


def test_noise_of_integers_is_of_integers() -> None:
    """Every grey value from 0 to 16 as likely."""
    task = digits()
    noise = unscaled(task, task.sample(1000, 32, seeded()).inputs[:, N:])
    assert np.abs(noise - noise.round()).max() < 1e-5  # float32 of a standardised number
    counts = np.bincount(noise.round().astype(int).ravel(), minlength=17)
    assert len(counts) == 17
    assert stats.chisquare(counts).pvalue > FALSE_ALARM


def test_noise_of_tokens_is_uniform_and_blank_is_a_symbol_of_its_own(tmp_path: Path) -> None:
    """Symbols are ranks of the values; only a blank adds one."""
    file = write(tmp_path / "f", [[-7, 5, row] for row in range(10, 90)], [0, 1] * 40)
    task = task_of(file, values="tokens")
    assert task.inputs == Symbols(82)
    noise = task.sample(1000, 32, seeded()).inputs[:, 3:]
    assert stats.chisquare(noise.flatten().bincount(minlength=82)).pvalue > FALSE_ALARM
    blank = task_of(file, values="tokens", filler="blank")
    assert blank.inputs == Symbols(83)
    batch = blank.show(np.arange(80), 5, seeded())
    assert batch.inputs.dtype == SYMBOL
    assert (batch.inputs[:, 3:] == 82).all()
    assert batch.inputs[4, :3].tolist() == [0, 1, 6]


@pytest.mark.parametrize("values", ["numbers", "tokens"])
def test_resampled_filler_has_the_training_rows_marginal(values: str) -> None:
    """The grey values' frequencies are those of the training images."""
    task = digits(filler="resample", values=values)
    train = in_part(task.rows.hashes, "train")
    pixels = task.rows.values.reshape(-1, N)[train].ravel()
    expected = np.bincount(pixels, minlength=17) / pixels.size
    inputs = task.sample(1000, 32, seeded()).inputs[:, N:]
    drawn = inputs.numpy() if values == "tokens" else unscaled(task, inputs).round().astype(int)
    counts = np.bincount(drawn.ravel(), minlength=17)
    assert stats.chisquare(counts, expected * counts.sum()).pvalue > FALSE_ALARM


def test_resampled_filler_holds_training_values_alone(tmp_path: Path) -> None:
    """All of them, and none of a row held out."""
    task = task_of(
        write(tmp_path / "f", [[v] for v in range(300)], [0, 1] * 150), filler="resample"
    )
    filler = unscaled(task, task.sample(5000, 1, seeded()).inputs[:, 1:]).round()
    train = np.flatnonzero(in_part(task.rows.hashes, "train"))
    assert np.unique(filler).tolist() == train.tolist()


def test_resampled_features_are_drawn_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two features that always agree in the rows do not in the filler; few rows may serve."""
    monkeypatch.setattr(fitting, "POOL_VALUES", 40)
    rows = [[[v, v + 1000]] for v in range(200)]
    task = task_of(write(tmp_path / "f", rows, [0, 1] * 100), filler="resample")
    assert task.fitted.pool.shape == (20, 2)
    filler = unscaled(task, task.sample(2000, 1, seeded()).inputs[:, 1:])[0].round()
    assert len(np.unique(filler[:, 0])) == len(np.unique(filler[:, 1])) == 20
    assert abs(np.corrcoef(filler.T)[0, 1]) < 6 / 2000**0.5


def test_numbers_are_standardised_by_training_rows(tmp_path: Path) -> None:
    """Mean 0 and deviation 1 over the training steps; a constant feature is 0, not 0 / 0."""
    rng = np.random.default_rng(1)
    rows = [
        np.stack((rng.normal(1e6, 3, n), np.full(n, 0.1)), 1).tolist()
        for n in rng.integers(1, 9, 200)
    ]
    task = task_of(write(tmp_path / "f", rows, [0, 1] * 100))
    assert task.inputs == Reals(2)
    train = in_part(task.rows.hashes, "train")
    steps = np.concatenate([row for row, is_train in zip(rows, train, strict=True) if is_train])
    shown = task.fitted.encode(steps)
    assert shown[:, 0].double().mean().abs() < 1e-6
    assert (shown[:, 0].double().std(correction=0) - 1).abs() < 1e-6
    assert (shown[:, 1] == 0).all()
    standard = task.fitted.steps
    assert isinstance(standard, NumberSteps)
    assert standard.mean == pytest.approx(steps.mean(0), rel=1e-12)
