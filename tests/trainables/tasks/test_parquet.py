"""What the user's own rows become: aligned at the gap, split without a leak, drawn by a seed."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.trainables.tasks.labelled import digits, seeded, task_of, unscaled, write
from trainables.tasks.parquet import Parquet
from trainables.tasks.rows import reading
from trainables.tasks.rows.on_disk import OnDisk
from trainables.tasks.split.splitting import PARTS, in_part
from trainables.tasks.task import ClassAnswer, NumberAnswer

FALSE_ALARM = 1e-6
FILLERS = ["noise", "blank", "resample"]
N = 64  # pixels of a digit


def numbered(count: int) -> list[list[int]]:
    """Different rows of one to five steps."""
    return [[row, *range(100, 100 + row % 5)] for row in range(count)]


def raw(task: Parquet, row: int) -> list[float]:
    """A row as the file has it, of one feature."""
    end, length = int(task.rows.ends[row]), int(task.rows.lengths[row])
    return task.rows.values[end - length : end, 0].tolist()


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize("lag", [1, 2, 17])
def test_the_last_step_of_every_row_lies_exactly_the_lag_before_the_answer(
    tmp_path: Path, filler: str, lag: int
) -> None:
    """Long and short rows alike: padding comes first, then the row, then ``lag`` of filler."""
    task = task_of(write(tmp_path / "f", numbered(60), [0, 1] * 30), filler=filler)
    batch = task.show(np.arange(60), lag, seeded())
    shown = unscaled(task, batch.inputs)[..., 0].round(3)
    assert task.length(lag) == batch.inputs.shape[1] == 5 + lag
    assert (batch.scored == 5 + lag - 1).all()
    for row in range(60):
        values = raw(task, row)
        last = int(batch.scored[row, 0]) - lag
        assert shown[row, last + 1 - len(values) : last + 1].tolist() == values


def test_padding_and_gap_are_the_same_filler(tmp_path: Path) -> None:
    """With a blank, everything but the row itself is 0; with noise nothing of it is."""
    file = write(
        tmp_path / "f", [[float(1000 + row)] * (1 + row % 3) for row in range(60)], [0, 1] * 30
    )
    short = np.arange(0, 60, 3)
    blank = task_of(file, filler="blank").show(short, 4, seeded()).inputs[..., 0]
    assert (blank[:, :2] == 0).all()
    assert (blank[:, 3:] == 0).all()
    noise = task_of(file).show(short, 4, seeded()).inputs[..., 0]
    assert noise[:, :2].unique().numel() == 2 * len(short)
    assert torch.equal(blank[:, 2], noise[:, 2])


@pytest.mark.parametrize("values", ["numbers", "tokens"])
@pytest.mark.parametrize("filler", FILLERS)
def test_the_filler_does_not_depend_on_the_row(filler: str, values: str) -> None:
    """Other rows, the same generator: the last ``lag`` steps stay, so they tell nothing."""
    task = digits(filler=filler, values=values)
    one = task.show(np.arange(50), 9, seeded())
    other = task.show(np.arange(50, 100), 9, seeded())
    assert torch.equal(one.inputs[:, N:], other.inputs[:, N:])
    assert not torch.equal(one.inputs[:, :N], other.inputs[:, :N])


@pytest.mark.parametrize("values", ["numbers", "tokens"])
@pytest.mark.parametrize("filler", FILLERS)
def test_memory_of_the_row_is_enough_and_one_step_short_of_the_lag_is_chance(
    filler: str, values: str
) -> None:
    """An oracle that looks up what it sees among all rows, with their labels."""
    task, lag = digits(filler=filler, values=values), 24
    known = task.show(np.arange(len(task.rows)), lag, seeded(1))
    batch = task.split("test").sample(lag, 600, seeded(2))

    def right(memory: slice) -> int:
        seen, library = batch.inputs[:, memory], known.inputs[:, memory]
        distance = torch.cdist(seen.flatten(1).double(), library.flatten(1).double())
        nearest = known.targets[distance.argmin(1)]
        logits = torch.nn.functional.one_hot(nearest, 10).float()
        return int(task.answer.right(logits, batch.targets).sum())

    assert right(slice(-lag - N, -lag)) == 600
    chance = right(slice(-lag, None))
    assert stats.binomtest(chance, 600, 0.1, alternative="greater").pvalue > FALSE_ALARM


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.booleans()),
        min_size=60,
        max_size=120,
    ),
)
def test_neither_order_nor_row_groups_change_the_split_or_a_batch(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[list[int], bool]]
) -> None:
    """The same rows in another order, groups and number type, repeated ones together."""
    rows = [([*sequence, 9 + place], label) for place, (sequence, label) in enumerate(rows)]
    rows += rows[:20]
    rows[0] = (rows[0][0], not rows[0][1])
    shuffled = [rows[i] for i in np.random.default_rng(len(rows)).permutation(len(rows))]
    folder = tmp_path_factory.mktemp("order")

    def task(
        name: str, given: list[tuple[list[int], bool]], number: pa.DataType, group: int
    ) -> Parquet:
        sequences = pa.array([sequence for sequence, _ in given], pa.list_(number))
        return task_of(write(folder / name, sequences, [label for _, label in given], group))

    one, other = task("a", rows, pa.int16(), 7), task("b", shuffled, pa.int64(), 1000)
    for part in PARTS:
        mine, theirs = one.split(part), other.split(part)
        assert mine.distinct_sequences(1) == theirs.distinct_sequences(1)
        ours = [b.inputs for b in mine.draw(3, 10**6, 32, seeded())]
        assert all(
            torch.equal(a, b.inputs)
            for a, b in zip(ours, theirs.draw(3, 10**6, 32, seeded()), strict=True)
        )


def parts_of(task: Parquet) -> dict[str, list[tuple[float, ...]]]:
    """The sequences that an evaluation of each part shows, of one feature and equal lengths."""
    shown: dict[str, list[tuple[float, ...]]] = {}
    for part in PARTS:
        batches = list(task.split(part).draw(1, 10**6, 50, seeded()))
        rows = torch.cat([batch.inputs for batch in batches])[:, : task.rows.longest, 0]
        shown[part] = [tuple(row) for row in rows.tolist()]
    return shown


def test_parts_are_disjoint_and_repeated_sequences_lie_together(tmp_path: Path) -> None:
    """Each different sequence is shown in exactly one part, once, whatever its labels."""
    sequences = [[row, row] for row in range(300)] * 4
    task = task_of(write(tmp_path / "f", sequences, [0] * 300 + [1] * 900))
    shown = parts_of(task)
    everything = [row for rows in shown.values() for row in rows]
    assert len(everything) == len(set(everything)) == 300
    assert [task.split(part).distinct_sequences(1) for part in PARTS] == [
        len(shown[p]) for p in PARTS
    ]
    trained = task.split("train").sample(1, 5000, seeded()).inputs[:, :2, 0]
    assert {tuple(row) for row in trained.tolist()} == set(shown["train"])


def test_of_equal_sequences_any_row_may_be_shown(tmp_path: Path) -> None:
    """Their labels are drawn as often as they occur: 3 of 4 are 1."""
    sequences = [[row] for row in range(2000)] * 4
    task = task_of(write(tmp_path / "f", sequences, [0] * 2000 + [1] * 6000, 1000)).split("train")
    labels = torch.cat([b.targets for b in task.draw(1, 10**6, 500, seeded())])
    assert len(labels) == task.distinct_sequences(1)
    assert stats.binomtest(int(labels.sum()), len(labels), 0.75).pvalue > FALSE_ALARM


def test_the_parts_are_70_10_20_percent() -> None:
    """Of 100,000 sequences, by an exact binomial test each."""
    hashes = np.frombuffer(np.random.default_rng(0).bytes(800_000), dtype=np.uint64)
    hashes = np.append(hashes, np.array([0, 2**64 - 1], dtype=np.uint64))
    shares = {"train": 0.7, "selection": 0.1, "test": 0.2}
    masks = [in_part(hashes, part) for part in PARTS]
    assert (np.sum(masks, axis=0) == 1).all()
    for part, mask in zip(PARTS, masks, strict=True):
        assert stats.binomtest(int(mask.sum()), len(hashes), shares[part]).pvalue > FALSE_ALARM


def test_zero_has_no_sign(tmp_path: Path) -> None:
    """0.0 and -0.0 are the same sequence."""
    rows = [[0.0, float(row)] for row in range(100)] + [[-0.0, float(row)] for row in range(100)]
    task = task_of(write(tmp_path / "f", rows, [0, 1] * 100))
    assert task.distinct_sequences(1) == 100


def test_the_generator_decides() -> None:
    """The same state, the same batch, whatever was drawn before; splitting changes nothing."""
    task = digits()
    train = task.split("train")
    generator = seeded(3)
    once, then = train.sample(5, 32, generator), train.sample(5, 32, generator)
    again = task.split("test").split("train").sample(5, 32, seeded(3))
    assert torch.equal(once.inputs, again.inputs)
    assert torch.equal(once.targets, again.targets)
    assert not torch.equal(once.inputs, then.inputs)


def test_an_evaluation_is_seeded_shuffled_and_short_if_the_part_is() -> None:
    """Batches of the size asked for, as many sequences as asked for or as there are."""
    test = digits().split("test")
    sizes = [len(b.inputs) for b in test.draw(2, 100, 32, seeded())]
    assert sizes == [32, 32, 32, 4]
    everything = list(test.draw(2, 10**6, 32, seeded(5)))
    assert sum(len(b.inputs) for b in everything) == test.distinct_sequences(1)
    again = list(test.draw(2, 10**6, 32, seeded(5)))
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(everything, again, strict=True))
    other = next(test.draw(2, 10**6, 32, seeded(6)))
    assert not torch.equal(other.targets, everything[0].targets)


def test_the_global_generator_is_left_alone() -> None:
    """Neither reading nor drawing moves it."""
    before = torch.get_rng_state()
    list(digits().split("test").draw(2, 64, 32, seeded()))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([7, 3], (3, 7)),
        (["no", "yes"], ("no", "yes")),
        ([True, False], (False, True)),
        (pa.array(["b", "a"] * 40).dictionary_encode(), ("a", "b")),
    ],
    ids=["integers", "text", "booleans", "dictionary"],
)
def test_classes_are_the_targets_ascending(
    tmp_path: Path, labels: object, classes: tuple[object, ...]
) -> None:
    """Integers, text and booleans are classes unless told otherwise."""
    column = labels * 40 if isinstance(labels, list) else labels
    task = task_of(write(tmp_path / "f", numbered(80), column))
    assert task.answer == ClassAnswer(2)
    assert task.labels.classes == classes
    expected = [classes.index(label) for label in pa.array(column).to_pylist()]
    assert task.show(np.arange(80), 1, seeded()).targets[:, 0].tolist() == expected


def test_a_number_stays_in_its_units_and_its_loss_is_scaled(tmp_path: Path) -> None:
    """Targets near 5,000: the mean as the answer is a loss of about 1; right goes by units."""
    rng = np.random.default_rng(2)
    numbers = rng.normal(5000, 40, 400)
    task = task_of(write(tmp_path / "f", numbered(400), numbers), tolerance=2.0)
    assert isinstance(task.answer, NumberAnswer)
    batch = task.split("train").sample(3, 4000, seeded())
    assert batch.targets.dtype == torch.float32
    assert np.isin(batch.targets.numpy(), numbers.astype(np.float32)).all()
    assert float(task.answer.loss(torch.zeros(4000, 1, 1), batch.targets)) == pytest.approx(
        1, abs=0.1
    )
    outputs = ((batch.targets - task.answer.offset) / task.answer.scale)[..., None]
    assert float(task.answer.loss(outputs, batch.targets)) < 1e-9
    for off, is_right in [(1.9, True), (-1.9, True), (2.1, False), (-2.1, False)]:
        answers = outputs + off / task.answer.scale
        assert (task.answer.right(answers, batch.targets) == is_right).all()


def test_a_whole_number_may_be_a_number(tmp_path: Path) -> None:
    """If the answer says so; a constant one does not divide by zero."""
    file = write(tmp_path / "f", numbered(80), [5] * 80)
    task = task_of(file, answer="number", tolerance=0.5)
    assert task.answer == NumberAnswer(0.5, scale=1.0, offset=5.0)


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.uint8()),
        pa.large_list(pa.float64()),
        pa.list_(pa.float16()),
        pa.list_(pa.int32(), 2),
        pa.list_(pa.list_(pa.float32(), 1)),
        pa.large_list(pa.list_(pa.int64())),
    ],
    ids=str,
)
def test_every_kind_of_list_reads_alike(tmp_path: Path, kind: pa.DataType) -> None:
    """Fixed, large and nested lists of any number type show the same numbers."""
    rows = [[row % 2, row] for row in range(80)]
    nested = "list" in str(kind.value_type)
    column = pa.array([[[v] for v in row] for row in rows] if nested else rows, kind)
    task = task_of(write(tmp_path / "f", column, [0, 1] * 40), filler="blank")
    shown = unscaled(task, task.show(np.arange(80), 2, seeded()).inputs)
    assert shown[:, :2, 0] == pytest.approx(np.array(rows), abs=1e-5)


def test_a_pickled_task_is_read_again(tmp_path: Path) -> None:
    """The part goes along, the data does not."""
    task = digits().split("test")
    sent = pickle.dumps(task)
    assert len(sent) < 2000
    again = pickle.loads(sent)
    assert again.distinct_sequences(1) == task.distinct_sequences(1)
    assert torch.equal(again.sample(4, 8, seeded()).inputs, task.sample(4, 8, seeded()).inputs)


def test_many_rows_are_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """And are the same rows."""
    small = digits()
    monkeypatch.setattr(reading, "IN_MEMORY_BYTES", 1000)
    reading._read.cache_clear()
    large = digits()
    assert isinstance(large.rows.values, OnDisk)
    assert isinstance(small.rows.values, np.ndarray)
    assert np.array_equal(large.rows.values[:], small.rows.values)
    assert torch.equal(large.sample(9, 32, seeded()).inputs, small.sample(9, 32, seeded()).inputs)


def test_rows_are_read_once_until_a_file_changes(tmp_path: Path) -> None:
    """Every trial of a worker asks for its task anew."""
    file = write(tmp_path / "f", numbered(80), [0, 1] * 40)
    first = task_of(file)
    assert task_of(file).rows is first.rows
    assert task_of(file).fitted is first.fitted
    assert task_of(file, filler="blank").fitted is not first.fitted
    write(file, numbered(90), [0, 1] * 45)
    assert len(task_of(file).rows) == 90


def test_random_streams_do_not_depend_on_where_the_file_lies() -> None:
    """Two clones of a project in different folders measure the same."""
    here = Parquet.Config(path=Path("a/x.parquet"), sequence="x", target="y")
    assert here.identity == here.model_copy(update={"path": Path("b/x.parquet")}).identity
    assert here.identity != here.model_copy(update={"filler": "blank"}).identity
