"""Each generated task is laid out as its paper says, at the lag that its docstring names."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import stats

from trainables.messages import one_line
from trainables.tasks import TASKS
from trainables.tasks.distinct import distinct
from trainables.tasks.task import Batch

FALSE_ALARM = 1e-6


def task(kind: str, **config: Any) -> Any:
    part: Any = TASKS[kind]
    return part(part.Config(**config))


def draw(kind: str, lag: int, sequences: int = 64, **config: Any) -> Batch:
    batch: Batch = task(kind, **config).sample(lag, sequences, torch.Generator().manual_seed(0))
    return batch


def test_distinct_draws_are_distinct_and_uniform() -> None:
    """Each ordered choice of 2 of 4 is as likely."""
    pairs = distinct(12_000, 2, 4, torch.Generator().manual_seed(0))
    assert (pairs[:, 0] != pairs[:, 1]).all()
    counts = (4 * pairs[:, 0] + pairs[:, 1]).bincount(minlength=16).numpy()
    ordered = [4 * i + j for i, j in permutations(range(4), 2)]
    assert stats.chisquare(counts[ordered]).pvalue > FALSE_ALARM


def test_recall_shows_distractors_from_the_alphabet_chosen() -> None:
    """The cue is told by its alphabet if disjoint, only by its place if the same."""
    disjoint = draw("recall", 20)
    assert disjoint.inputs[:, 0].max() <= 8 < disjoint.inputs[:, 1:-1].min()
    assert (disjoint.inputs[:, -1] == 0).all()
    same = draw("recall", 20, distractors="same")
    assert same.inputs[:, :-1].max() <= 8
    assert same.inputs[:, :-1].min() >= 1


def test_copying_at_lag_1010_is_the_papers_thousand() -> None:
    """Arjovsky et al. (2016): ten symbols, T - 1 blanks, a marker, ten blanks: T + 20 steps."""
    assert task("copying").source_length(1010) == 1000
    batch = draw("copying", 1010)
    assert batch.inputs.shape[1] == 1020
    assert (batch.inputs[:, :10] >= 2).all()
    assert (batch.inputs[:, 10:1009] == 0).all()
    assert (batch.inputs[:, 1009] == 1).all()
    assert (batch.inputs[:, 1010:] == 0).all()
    assert batch.scored[0].tolist() == list(range(1010, 1020))
    assert torch.equal(batch.targets, batch.inputs[:, :10] - 2)


def test_adding_halves_has_a_mark_in_each_half() -> None:
    """Numbers in [0, 1], T = 2 lag; always guessing 1 has the papers' squared error of 1/6."""
    batch = draw("adding", 100, sequences=20_000)
    numbers, marks = batch.inputs.unbind(-1)
    assert numbers.shape[1] == 200
    assert 0 <= numbers.min() < 0.001
    assert 0.999 < numbers.max() <= 1
    assert (marks[:, :100].sum(1) == 1).all()
    assert (marks[:, 100:].sum(1) == 1).all()
    squared = (batch.targets - 1).square()
    error = 6 * float(squared.std()) / len(squared) ** 0.5
    assert float(squared.mean()) == pytest.approx(1 / 6, abs=error)


def test_adding_early_marks_two_of_the_first_ten_steps() -> None:
    """T = lag + 10, and no other step is marked."""
    marks = draw("adding", 100, sequences=1000, variant="early").inputs[..., 1]
    assert marks.shape[1] == 110
    assert (marks.sum(1) == 2).all()
    assert (marks[:, 10:] == 0).all()
    assert (marks[:, :10].sum(0) > 0).all()


def test_adding_classic_is_that_of_1997() -> None:
    """Lag 500: T of 1000 to 1100, the ends marked -1, marks in the first 10 and 500 steps."""
    assert task("adding", variant="classic").source_length(500) == 1000
    batch = draw("adding", 500, sequences=4000, variant="classic")
    numbers, marks = batch.inputs.unbind(-1)
    lengths = batch.scored[:, 0] + 1
    assert int(lengths.min()) == 1000
    assert int(lengths.max()) == 1100
    assert -1 <= numbers.min() < -0.99
    assert 0.99 < numbers.max() <= 1
    assert (marks[:, 0] == -1).all()
    assert (marks.gather(1, batch.scored) == -1).all()
    assert ((marks == -1).sum(1) == 2).all()
    assert (marks[:, 500:] != 1).all()
    marked = (marks == 1).sum(1)
    assert set(marked.tolist()) == {1, 2}
    both = marks[marked == 2] == 1
    assert both[:, :10].any(1).all()
    rare = int((marked == 1).sum())
    assert stats.binomtest(rare, 4000, 0.1 + 0.9 / 499).pvalue > FALSE_ALARM


def test_selective_copying_strews_the_symbols_evenly() -> None:
    """Gu & Dao (2023): 16 symbols, a vocabulary of 16; here over the first half of T = 2 lag."""
    batch = draw("selective_copying", 64, sequences=4000)
    assert batch.inputs.shape[1] == 128
    data = batch.inputs > 1
    assert (data.sum(1) == 16).all()
    assert not data[:, 64:].any()
    assert (batch.inputs[:, -16:] == 1).all()
    assert ((batch.inputs == 1).sum(1) == 16).all()
    assert torch.equal(batch.inputs[data].reshape(4000, 16) - 2, batch.targets)
    for count in data[:, :64].sum(0).tolist():
        assert stats.binomtest(count, 4000, 1 / 4).pvalue > FALSE_ALARM


def test_associative_recall_asks_for_every_key_once_in_any_order() -> None:
    """Arora et al. (2023): a vocabulary of 8192, half keys and half values, four pairs."""
    batch = draw("associative_recall", 50, sequences=2000)
    keys, values = batch.inputs[:, 0:8:2], batch.inputs[:, 1:8:2]
    assert 1 <= keys.min() <= keys.max() < 4096 <= values.min() <= values.max() < 8192
    assert (batch.inputs[:, 8:-4] == 0).all()
    assert torch.equal(keys.sort().values, batch.inputs[:, -4:].sort().values)
    assert (keys.sort().values.diff() > 0).all()
    first_asked = (keys == batch.inputs[:, -4:-3]).int().argmax(1).bincount(minlength=4)
    assert stats.chisquare(first_asked.numpy()).pvalue > FALSE_ALARM


def test_associative_recall_refuses_more_pairs_than_keys() -> None:
    """In one line that names the key."""
    with pytest.raises(ValidationError) as caught:
        TASKS["associative_recall"].Config.model_validate({"pairs": 8, "vocabulary": 16})
    assert one_line(caught.value) == (
        "pairs: 8 is not allowed; a vocabulary of 16 has 7 keys"
    )  # fmt: skip


def test_induction_shows_the_special_symbol_twice() -> None:
    """Gu & Dao (2023): T = 256, vocabulary 16; once early, once at the end."""
    batch = draw("induction", 128, sequences=4000)
    assert batch.inputs.shape[1] == 256
    special = batch.inputs == 0
    assert (special.sum(1) == 2).all()
    assert special[:, -1].all()
    places = special.int().argmax(1).bincount(minlength=127).numpy()
    assert len(places) == 127
    assert stats.chisquare(places).pvalue > FALSE_ALARM


def test_flip_flop_instructions_are_drawn_as_in_the_paper() -> None:
    """Liu et al. (2023): first a write, then 0.8 ignores, 0.1 writes and 0.1 reads, last a read."""
    batch = draw("flip_flop", 101, sequences=2000)
    instructions, bits = batch.inputs[:, 0::2], batch.inputs[:, 1::2]
    assert batch.inputs.shape[1] == 203
    assert (instructions[:, 0] == 0).all()
    assert (instructions[:, -1] == 1).all()
    assert (instructions[:, 51:-1] == 2).all()
    drawn = instructions[:, 1:51].flatten()
    expected = len(drawn) * np.array([0.1, 0.1, 0.8])
    assert stats.chisquare(drawn.bincount(minlength=3).numpy(), expected).pvalue > FALSE_ALARM
    assert set(bits.unique().tolist()) == {3, 4}


def test_flip_flop_reads_show_the_bit_last_written() -> None:
    """The language's one rule, at every read of every sequence."""
    batch = draw("flip_flop", 60, sequences=200, ignored=0.3)
    reads = 0
    for row, target in zip(batch.inputs.tolist(), batch.targets[:, 0].tolist(), strict=True):
        stored = None
        for instruction, bit in zip(row[0:-1:2], row[1:-1:2], strict=True):
            if instruction == 0:
                stored = bit
            elif instruction == 1:
                assert bit == stored
                reads += 1
        assert stored == 3 + target
    assert reads > 1000


@pytest.mark.parametrize(
    ("marks", "lag", "windows"),
    [(2, 40, [(10, 20), (50, 59)]), (3, 24, [(10, 20), (33, 43), (66, 75)])],
)
def test_temporal_order_has_the_papers_times(
    marks: int, lag: int, windows: list[tuple[int, int]]
) -> None:
    """Experiments 6a and 6b of 1997: T of 100 to 110, marks in their windows, E first, B last."""
    batch = draw("temporal_order", lag, sequences=4000, marks=marks)
    assert task("temporal_order", marks=marks).source_length(lag) == 100
    assert sorted(batch.scored.unique().tolist()) == list(range(99, 110))
    assert (batch.inputs[:, 0] == 0).all()
    assert (batch.inputs.gather(1, batch.scored) == 1).all()
    assert ((batch.inputs == 1).int().argmax(1) == batch.scored[:, 0]).all()
    marked = (batch.inputs == 2) | (batch.inputs == 3)
    assert (marked.sum(1) == marks).all()
    places = marked.nonzero()[:, 1].reshape(-1, marks)
    assert [
        (int(column.min()), int(column.max())) for column in places.T
    ] == windows  # fmt: skip


def test_temporal_order_windows_never_overlap() -> None:
    """At every lag from the shortest on, each mark keeps its own step."""
    for marks in (2, 3):
        shortest = task("temporal_order", marks=marks).shortest_lag
        for lag in range(shortest, 200):
            inputs = draw("temporal_order", lag, marks=marks).inputs
            assert (((inputs == 2) | (inputs == 3)).sum(1) == marks).all()


@pytest.mark.parametrize("items", [3, 4, 5])
def test_permutation_tracking_composes(items: int) -> None:
    """The answer is the composition, recomputed with matrices; inputs are uniform."""
    batch = draw("permutation_tracking", 6, sequences=2000, items=items)
    elements = np.array(list(permutations(range(items))))
    for row, target in zip(batch.inputs[:200].tolist(), batch.targets[:200, 0], strict=True):
        product = np.eye(items)
        for number in row:
            moved = np.zeros((items, items))
            moved[elements[number], np.arange(items)] = 1
            product = moved @ product
        assert product.argmax(0).tolist() == elements[int(target)].tolist()
    for column in batch.inputs.T:
        assert stats.chisquare(column.bincount(minlength=len(elements))).pvalue > FALSE_ALARM


def test_delayed_pattern_steps_look_alike_in_the_cue_and_after() -> None:
    """Signs and noise have the same distribution; only the mark tells the cue."""
    numbers, shown = draw("delayed_pattern", 14, sequences=4000).inputs.unbind(-1)
    assert (shown[:, :14] == 1).all()
    assert (shown[:, 14:] == 0).all()
    for step in range(14):
        alike = stats.ks_2samp(numbers[:, step].numpy(), numbers[:, 14 + step].numpy())
        assert alike.pvalue > FALSE_ALARM


def test_delayed_pattern_needs_several_steps() -> None:
    """Any single step leaves half of the codes, so that three bits take three; all are as far."""
    codes = task("delayed_pattern", noise=0.0).codes
    assert ((codes > 0).sum(0) == 4).all()
    assert torch.equal(codes @ codes.T, 16 * torch.eye(8) - 2)


def test_delayed_pattern_refuses_noise_that_hides_the_code() -> None:
    """A task that nobody can solve is an error of the spec, in one line."""
    with pytest.raises(ValidationError) as caught:
        TASKS["delayed_pattern"].Config.model_validate({"noise": 2})
    assert one_line(caught.value).startswith("noise: 2.0 is not allowed; with a cue of 14 steps")
    assert TASKS["delayed_pattern"].Config.model_validate({"noise": 2, "repeats": 20})
