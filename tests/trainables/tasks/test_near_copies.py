"""Rows on both sides of a split that belong together are warned of, and others are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.reviewer.rows import copies, near_copies, over
from trainables.tasks.accounts.copies import nearest


@pytest.mark.parametrize(
    ("things", "of_each", "jitter"),
    [(300, 10, 0.05), (300, 10, 0.3), (1000, 3, 0.2), (40, 100, 0.2)],
)
def test_near_copies_are_warned_of(
    tmp_path: Path, things: int, of_each: int, jitter: float
) -> None:
    """Random vectors with random labels are told by heart, unless their copies stay together."""
    rows, labels, which = copies(things, of_each, jitter)
    task = over(tmp_path / "f", rows, labels, thing=which)
    (warning,) = near_copies(task)
    assert "group" in warning
    assert task.account.answers.nearest > 0.95
    grouped = over(tmp_path / "f", rows, labels, thing=which, group="thing")
    assert not near_copies(grouped)
    assert grouped.account.answers.nearest < 0.75


@pytest.mark.parametrize("change", ["sign", "size", "height", "all"])
def test_near_copies_that_are_louder_higher_or_upside_down(tmp_path: Path, change: str) -> None:
    """Their course is the same: a model that looks at it knows them by heart."""
    rows, labels, which = copies(300, 10, 0.05)
    g = np.random.default_rng(1)
    each = (len(rows), 1)
    if change in ("sign", "all"):
        rows = rows * g.choice((-1, 1), each)
    if change in ("size", "all"):
        rows = rows * np.exp(g.normal(size=each))
    if change in ("height", "all"):
        rows = rows + 3 * g.normal(size=each)
    task = over(tmp_path / "f", rows, labels, thing=which)
    (warning,) = near_copies(task)
    assert "group" in warning
    assert task.account.answers.nearest > 0.95
    assert not near_copies(over(tmp_path / "f", rows, labels, thing=which, group="thing"))


@pytest.mark.parametrize(("steps", "apart"), [(64, 1), (64, 32), (200, 20)])
def test_windows_of_one_recording_on_both_sides(tmp_path: Path, steps: int, apart: int) -> None:
    """Noise shifted by a step is far from itself, and whoever knows a window knows the next."""
    recordings = np.random.default_rng(0).normal(size=(60, 400))
    starts = range(0, 401 - steps, apart)
    rows = np.array([one[start : start + steps] for one in recordings for start in starts])
    which = np.repeat(np.arange(60), len(starts))
    chosen = np.random.default_rng(1).permutation(len(rows))[:1500]
    rows, which = rows[chosen], which[chosen]
    task = over(tmp_path / "f", rows, which % 2, of=which)
    (warning,) = (line for line in task.account.warnings if "windows" in line)
    assert "`group: COLUMN` or a `split`" in warning
    grouped = over(tmp_path / "f", rows, which % 2, of=which, group="of")
    assert not any("windows" in line for line in grouped.account.warnings)


def test_copies_of_symbols(tmp_path: Path) -> None:
    g = np.random.default_rng(0)
    rows = np.repeat(g.integers(0, 4, (300, 30)), 8, axis=0)
    rows[np.arange(2400), g.integers(0, 30, 2400)] = g.integers(0, 4, 2400)
    labels = np.repeat(g.integers(0, 2, 300), 8)
    assert near_copies(over(tmp_path / "f", rows, labels, values="tokens"))


@pytest.mark.parametrize(
    "kind",
    ["noise", "line", "circle", "classes", "bits", "signs", "spikes", "heavy", "walk", "ramps"],
)
def test_other_data_is_not_called_copies(tmp_path: Path, kind: str) -> None:
    g = np.random.default_rng(0)
    labels = g.integers(0, 20 if kind == "classes" else 2, 3000)
    rows = {
        "noise": lambda: g.normal(size=(3000, 16)),
        "line": lambda: g.normal(size=(3000, 1)),
        "circle": lambda: np.sin(g.uniform(0.1, 1, (3000, 1)) * np.arange(40)),
        "classes": lambda: 3 * g.normal(size=(20, 16))[labels] + 0.3 * g.normal(size=(3000, 16)),
        "bits": lambda: g.integers(0, 2, (3000, 12)),
        "signs": lambda: g.integers(-1, 2, (3000, 6)),
        "heavy": lambda: np.exp(2 * g.normal(size=(3000, 16))),
        "ramps": lambda: (
            (np.arange(40) + g.integers(0, 16, (3000, 1))) % 16
            + 100 * (g.random((3000, 40)) < 0.01)
        ),
        "spikes": lambda: (g.random((3000, 20)) < 0.05).astype(float),
        "walk": lambda: g.normal(size=(3000, 50)).cumsum(1),
    }[kind]()
    task = over(tmp_path / "f", rows, labels)
    assert not near_copies(task)
    assert not any("windows" in line for line in task.account.warnings)
    found = nearest(task.rows, task.parts, task.fitted, None)
    assert (task.parts[found.rows] == 2).all()
    assert (task.parts[found.nearest] == 0).all()
