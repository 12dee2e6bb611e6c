"""Lists of labels: which are asked, where, how far back; what is judged, told and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.trainables.tasks.labelled import seeded
from tests.trainables.tasks.test_parquet_errors import refused
from trainables.controls.guessers import each_place
from trainables.controls.measuring import measure
from trainables.tasks.answer import NO_CLASS
from trainables.tasks.held_out import require_held_out
from trainables.tasks.parquet import Parquet

ROWS = 400


def pairs_and_queries(rows: int = ROWS) -> dict[str, list[Any]]:
    """Key, value, key, value, then two to five steps with both queries, as MQAR has them.

    Values are 10 to 13, keys 1 to 4, filler 0. Labels are -100 where nothing is asked.
    """
    rng = np.random.default_rng(0)
    made: dict[str, list[Any]] = {"tokens": [], "labels": [], "asks": [], "back": []}
    for _ in range(rows):
        keys, values = 1 + rng.permutation(4)[:2], rng.integers(10, 14, 2)
        steps = 6 + int(rng.integers(0, 4))
        at = np.sort(rng.permutation(np.arange(4, steps))[:2])
        tokens, labels = np.zeros(steps, int), np.full(steps, -100)
        tokens[[0, 2]], tokens[[1, 3]] = keys, values
        back = np.zeros(steps, int)
        for step, which in zip(at, rng.permutation(2), strict=True):
            tokens[step], labels[step] = keys[which], values[which]
            back[step] = step - (1 + 2 * which)
        made["tokens"].append(tokens.tolist())
        made["labels"].append(labels.tolist())
        made["asks"].append((labels != -100).tolist())
        made["back"].append(back.tolist())
    return made


@pytest.fixture(scope="module")
def data() -> dict[str, list[Any]]:
    return pairs_and_queries()


@pytest.fixture(scope="module")
def file(data: dict[str, list[Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("several") / "mqar.parquet"
    pq.write_table(pa.table(data), path, row_group_size=50)
    return path


def task_of(file: Path, **options: Any) -> Parquet:
    given = {"sequence": "tokens", "target": "labels", "values": "tokens", "ignore": -100}
    return Parquet(Parquet.Config(path=file, **{**given, **options}))


def asked_of(task: Parquet, row: int, lag: int = 9) -> list[tuple[int, int]]:
    """The steps of a row, from its own first, and the labels that are right there."""
    batch = task.show(np.array([row]), lag, seeded())
    before = batch.inputs.shape[1] - int(task.rows.lengths[row])
    return [
        (int(step) - before, int(task.labels.classes[target]))
        for step, target in zip(batch.scored[0], batch.targets[0], strict=True)
        if target != NO_CLASS
    ]


@pytest.mark.parametrize("told", ["ignored", "masked", "null"])
def test_each_label_is_asked_at_its_own_step(
    told: str, data: dict[str, list[Any]], tmp_path: Path
) -> None:
    """Whichever way the others are told to be none."""
    labels, options = data["labels"], {"ignore": None}
    if told == "ignored":
        options = {}
    elif told == "masked":
        labels = [[max(label, 10) for label in row] for row in labels]
        options |= {"mask": "asks"}
    else:
        labels = [[None if label == -100 else label for label in row] for row in labels]
    pq.write_table(pa.table({**data, "labels": labels}), tmp_path / "f")
    task = task_of(tmp_path / "f", **options).split("train")
    assert task.labels.classes == (10, 11, 12, 13)
    for row in range(0, ROWS, 37):
        expected = [(t, label) for t, label in enumerate(data["labels"][row]) if label != -100]
        assert asked_of(task, row) == expected


def test_a_step_a_row_comes_to_the_same(data: dict[str, list[Any]], tmp_path: Path) -> None:
    """Long tables, with a label a step."""
    keys = ("tokens", "labels", "back")
    long = {key: [value for row in data[key] for value in row] for key in keys}
    long["of"] = [number for number, row in enumerate(data["tokens"]) for _ in row]
    pq.write_table(pa.table(long), tmp_path / "long")
    options = {"group_by": "of", "asked": "within", "lag": "back"}
    task = task_of(tmp_path / "long", **options)
    pq.write_table(pa.table(data), tmp_path / "f")
    same = task_of(tmp_path / "f", lag="back")
    assert [asked_of(task, row) for row in range(20)] == [asked_of(same, row) for row in range(20)]
    assert task.data_fingerprint == same.data_fingerprint


def test_without_a_column_of_lags_a_rung_names_a_length(file: Path) -> None:
    task = task_of(file, nearness=1.2, asked="within")
    assert not task.promises_lag
    test = task.split("test")
    assert set(test.rows.lengths[test.drawable(7).rows]) == {7, 8}
    assert set(task.split("train").rows.lengths[task.split("train").drawable(7).rows]) == {6, 7, 8}
    assert task.length(7) == 8


def test_of_answers_with_lags_of_their_own_those_near_the_rung_are_asked(
    file: Path, data: dict[str, list[Any]]
) -> None:
    """A member is tested on answers of lag 4 to 7, and trained on those of 1 to 7."""
    task = task_of(file, lag="back")
    assert task.promises_lag
    for part, shortest in (("test", 4), ("train", 1)):
        split = task.split(part)  # type: ignore[arg-type]
        shown = split.drawable(4).rows
        for row in shown[:30].tolist():
            expected = [
                (t, label)
                for t, label in enumerate(data["labels"][row])
                if label != -100 and shortest <= data["back"][row][t] < 8
            ]
            assert expected
            assert asked_of(split, row, 4) == expected
        batch = split.sample(4, 64, seeded())
        assert ((batch.targets != NO_CLASS).sum(1) >= 1).all()
        assert (batch.scored.diff(dim=1) >= 0).all()
        assert part == "train" or task.old(batch, 4).any(1).all()


def test_rows_without_an_answer_are_left_out_and_said(
    data: dict[str, list[Any]], tmp_path: Path
) -> None:
    labels = [[-100] * len(row) if n % 10 == 0 else row for n, row in enumerate(data["labels"])]
    pq.write_table(pa.table({**data, "labels": labels}), tmp_path / "f")
    task = task_of(tmp_path / "f")
    assert not task.used[::10].any()
    account = task.account
    assert ("nothing is asked of them", 40) in account.left_out
    assert account.answers.a_row == (2, 2, 2)
    assert "answers a row: 2 to 2, median 2" in account.lines()
    assert sum(each.rows for each in account.answers.classes) == 2 * 360
    assert not set(task.split("train").drawable(9).rows) & set(range(0, ROWS, 10))


def test_lists_after_the_gap_are_asked_one_a_step(tmp_path: Path) -> None:
    """The first ``lag`` steps after the row, the others behind it; a null is not asked."""
    rows = [[n, n + 1, n + 2][: 1 + n % 3] for n in range(300)]
    labels = [[n % 2, None if n % 5 == 0 else n % 3, n % 2] for n in range(300)]
    pq.write_table(pa.table({"tokens": rows, "labels": labels}), tmp_path / "f")
    task = task_of(tmp_path / "f", asked="after", values="numbers", ignore=None, filler="blank")
    assert task.length(4) == 3 + 4 + 2
    batch = task.show(np.arange(3), 4, seeded())
    assert batch.scored.tolist() == [[6, 6, 8], [6, 7, 8], [6, 7, 8]]
    assert batch.targets.tolist() == [[NO_CLASS, 0, 0], [1, 1, 1], [0, 2, 0]]
    last = (batch.inputs[..., 0] != 0).int() * torch.arange(9)
    assert (last.amax(1) == 2).all()
    assert task.promises_lag


def test_lists_of_numbers_are_regression_at_several_steps(tmp_path: Path) -> None:
    """NaN is not asked: it is neither learned from nor wrong; a row is right if all others are."""
    rows = [[float(n), float(n + 1), 2.0][: 2 + n % 2] for n in range(300)]
    labels = [[None, n / 10, n / 5][: 2 + n % 2] for n in range(300)]
    pq.write_table(pa.table({"tokens": rows, "labels": labels}), tmp_path / "f")
    task = task_of(tmp_path / "f", values="numbers", ignore=None, tolerance=0.05)
    batch = task.split("train").show(np.array([3, 4]), 3, seeded())
    assert batch.scored.tolist() == [[1, 2], [2, 2]]
    assert batch.targets[0].tolist() == pytest.approx([0.3, 0.6])
    assert batch.targets[1].isnan().tolist() == [True, False]
    answer = task.answer
    outputs = ((batch.targets.nan_to_num(7.0) - answer.offset) / answer.scale)[..., None]
    assert task.judge(outputs, batch).tolist() == [True, True]
    assert float(answer.loss(outputs, batch.targets)) == pytest.approx(0, abs=1e-9)
    outputs[1, 1] += 3.0
    assert task.judge(outputs, batch).tolist() == [True, False]
    outputs.requires_grad_()
    loss = answer.loss(outputs, batch.targets)
    assert loss.item() == pytest.approx(9.0 / 3)  # of the three that are asked
    (gradient,) = torch.autograd.grad(loss, outputs)
    assert gradient.isfinite().all()
    assert gradient[1, 0] == 0
    assert answer.losses(outputs, batch.targets).tolist() == pytest.approx([0, 9.0])
    assert all(one.targets.isfinite().all() for one in each_place(task, batch))
    controls = measure(task, 3)
    assert controls.whole["constant"].rate < 0.2
    assert task.encoding.answer.kind == "number"
    assert any("2" in line and "answers a row" in line for line in task.account.lines())


def test_success_is_a_row_with_every_answer_right_and_single_ones_are_counted(file: Path) -> None:
    task = task_of(file, lag="back").split("train")
    batch = task.sample(8, 200, seeded())
    right = torch.nn.functional.one_hot(batch.targets.clamp(min=0), 4).float()
    assert task.judge(right, batch).all()
    wrong = right.clone()
    wrong[:, -1] = right[:, -1].roll(1, dims=-1)
    assert not task.judge(wrong, batch).any()
    asked = batch.targets != NO_CLASS
    assert int((task.judge_answers(wrong, batch) & asked).sum()) == int(asked.sum()) - 200


def test_every_place_of_controls_is_an_answer(file: Path) -> None:
    """Rows of one answer and of two; a place that nothing is asked at would be right for free."""
    task = task_of(file, lag="back")
    batch = task.split("test").sample(4, 200, seeded())
    counts = (batch.targets != NO_CLASS).sum(1)
    assert set(counts.tolist()) == {1, 2}
    first, last = each_place(task, batch)
    assert (first.targets != NO_CLASS).all()
    assert (last.targets[:, 0] == batch.targets[:, -1]).all()
    assert (first.targets == last.targets)[counts == 1].all()
    assert (first.scored < last.scored)[counts == 2].all()


def tags(rows: int = 1000, of: float = 0.9) -> dict[str, list[Any]]:
    """Twenty steps a row, each tagged; most tags are the same, few rows have no other."""
    rng = np.random.default_rng(1)
    steps = rng.standard_normal((rows, 20))
    return {
        "tokens": steps.tolist(),
        "labels": np.where(rng.random(steps.shape) < of, "O", "B").tolist(),
    }


def test_a_majority_of_tags_is_not_one_of_rows(tmp_path: Path) -> None:
    """Always the same is right for 95 % of the tags and a third of the rows: no refusal."""
    pq.write_table(pa.table(tags(of=0.95)), tmp_path / "f")
    task = task_of(tmp_path / "f", values="numbers", ignore=None)
    require_held_out(task, 0.85, [20])
    assert measure(task, 20).complaint(0.85) is None
    pq.write_table(pa.table(tags(of=0.999)), tmp_path / "g")
    same = task_of(tmp_path / "g", values="numbers", ignore=None)
    with pytest.raises(ValueError, match="one and the same answer is right"):
        require_held_out(same, 0.9, [20])


def test_lags_that_promise_too_much_are_found(tmp_path: Path) -> None:
    """The label is the step before; the column says four."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 4, (1500, 12))
    labels = np.full(tokens.shape, -100)
    labels[:, [6, 11]] = tokens[:, [5, 10]]
    pq.write_table(
        pa.table({"tokens": tokens.tolist(), "labels": labels.tolist(), "back": [4] * 1500}),
        tmp_path / "f",
    )
    complaint = measure(task_of(tmp_path / "f", lag="back"), 4).complaint(0.9)
    assert complaint is not None
    assert "nothing as old as the lag" in complaint


CHANGES: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"labels": lambda row: row[1:]}, {}, "target: 'labels' of", "labels for the"),
    ({"labels": lambda row: [-100] * len(row)}, {}, "target: 'labels' of", "asks for nothing"),
    ({}, {"ignore": "O"}, "ignore: 'O' is not allowed", "int64"),
    ({"asks": lambda row: row[1:]}, {"mask": "asks"}, "mask: 'asks' of", "booleans for the"),
    ({"asks": lambda row: [2] * len(row)}, {"mask": "asks"}, "mask: 'asks' of", "true and false"),
    ({"asks": lambda row: 1}, {"mask": "asks"}, "mask: 'asks' of", "lists of booleans"),
    ({"back": lambda row: [0] * len(row)}, {"lag": "back"}, "lag: 'back' of", "at its step"),
    ({"back": lambda row: [9] * len(row)}, {"lag": "back"}, "lag: 'back' of", "up to the answer"),
    ({"back": lambda row: [None] * len(row)}, {"lag": "back"}, "lag: 'back' of", "has a null"),
    ({"back": lambda row: row[1:]}, {"lag": "back"}, "lag: 'back' of", "lags for"),
    ({}, {"asked": "after"}, "target: 'labels' of", "as many are asked in each"),
    ({"labels": lambda row: [0.5] * len(row)}, {}, "tolerance: this key is required", "number"),
    ({"labels": lambda row: [1e39] * len(row)}, {"tolerance": 0.1}, "target: 'labels' of", "row 0"),
    ({"labels": lambda row: 3}, {}, "ignore: -100 is for lists", "int64"),
]


@pytest.mark.parametrize(("changed", "options", "begins", "says"), CHANGES)
def test_what_does_not_fit_is_refused_in_a_line(
    changed: dict[str, Any],
    options: dict[str, Any],
    begins: str,
    says: str,
    data: dict[str, list[Any]],
    tmp_path: Path,
) -> None:
    table = {key: [changed.get(key, list)(row) for row in rows] for key, rows in data.items()}
    pq.write_table(pa.table(table), tmp_path / "f")
    refused(lambda: task_of(tmp_path / "f", **options), begins, says)


def test_other_labels_other_data(data: dict[str, list[Any]], tmp_path: Path, file: Path) -> None:
    labels = [list(row) for row in data["labels"]]
    row = labels[7]
    first = next(t for t, label in enumerate(row) if label != -100)
    row[first] = 10 + (row[first] - 9) % 4
    pq.write_table(pa.table({**data, "labels": labels}), tmp_path / "f")
    one, other = task_of(file), task_of(tmp_path / "f")
    assert one.data_fingerprint != other.data_fingerprint
    assert "labels changed" in str(one.data.differences(other.data))


def test_an_older_configuration_keeps_its_digest(file: Path) -> None:
    config = Parquet.Config(path=file, sequence="tokens", target="labels")
    assert not {"asked", "mask", "ignore"} & config.model_dump(mode="json").keys()


def columns(rows: int = 300) -> dict[str, list[Any]]:
    """Two labels a row: one of three texts and a flag."""
    return {
        "x": [[n, n + 1, n % 7] for n in range(rows)],
        "fault": [["none", "bearing", "shaft"][n % 3] for n in range(rows)],
        "hot": [n % 5 == 0 for n in range(rows)],
        "heat": [n / 7 for n in range(rows)],
    }


def of_columns(path: Path, data: dict[str, list[Any]] | None = None, **options: Any) -> Parquet:
    pq.write_table(pa.table(data or columns()), path)
    given = {"sequence": "x", "target": ["fault", "hot"], **options}
    return Parquet(Parquet.Config(path=path, **given))


def test_several_columns_are_answered_one_after_the_other(tmp_path: Path) -> None:
    """Each with classes of its own: logits beyond them count for nothing."""
    task = of_columns(tmp_path / "f")
    assert task.length(4) == 3 + 4 + 1
    batch = task.show(np.arange(300), 4, seeded())
    assert (batch.scored == torch.tensor([6, 7])).all()
    assert batch.targets[:5, 0].tolist() == [1, 0, 2, 1, 0]  # bearing, none, shaft
    assert batch.targets[:6, 1].tolist() == [1, 0, 0, 0, 0, 1]
    logits = torch.nn.functional.one_hot(batch.targets, 3).float()
    logits[:, 1, 2] = 9.0
    assert task.judge(logits, batch).all()
    logits[:, 0] = logits[:, 0].roll(1, dims=-1)
    assert not task.judge(logits, batch).any()


def test_each_column_is_told_by_itself(tmp_path: Path) -> None:
    task = of_columns(tmp_path / "f")
    lines = task.account.lines()
    assert "'fault': 3 classes: 'bearing' 33.3%, 'none' 33.3%, 'shaft' 33.3%" in lines
    assert "'hot': 2 classes: False 80.0%, True 20.0%" in lines
    assert ("hot: True", 60) in task.data.classes
    data = columns()
    data["hot"][3] = not data["hot"][3]
    assert of_columns(tmp_path / "g", data).data_fingerprint != task.data_fingerprint


def test_under_an_encoding_each_column_keeps_its_classes(tmp_path: Path) -> None:
    """Rows in another order, whose classes are found in another order, answer as before."""
    task = of_columns(tmp_path / "f")
    data = {key: values[:299][::-1] for key, values in columns().items()}
    under = of_columns(tmp_path / "g", data).under(task.encoding)
    batch = under.show(np.array([0]), 4, seeded())
    assert batch.targets.tolist() == [[0, 0]]  # bearing, as row 298
    data["fault"][0] = "belt"
    with pytest.raises(ValueError, match="target: 'fault' has 'belt'"):
        of_columns(tmp_path / "h", data).under(task.encoding)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"target": ["fault", "fault"]}, "names a column twice"),
        ({"lag": "x"}, "lag: 'x' is not for several columns"),
        ({"mask": "x"}, "mask: 'x' is not for several columns"),
        ({"asked": "within"}, "asked: 'within' is not for several columns"),
        ({"target": ["fault", "heat"]}, "target: 'heat' of .* is a number"),
        ({"target": ["fault", "hot"], "answer": "number"}, "target: 'fault' of"),
        ({"target": ["fault", "there"]}, "'there'"),
    ],
)
def test_columns_that_do_not_go_together(
    options: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=says):
        of_columns(tmp_path / "f", **options)


def test_what_is_read_of_more_answers_than_rows(tmp_path: Path) -> None:
    """A class of more answers than there are rows is no larger a neighbourhood than all rows."""
    rng = np.random.default_rng(0)
    rows = [rng.choice(["go", "stop"], n).tolist() for n in rng.integers(8, 14, ROWS)]
    path = tmp_path / "f"
    pq.write_table(pa.table({"tokens": rows, "labels": rows}), path)
    read = task_of(path, ignore=None).answers_read()
    assert sum(each.rows for each in read.classes) == sum(map(len, rows))
    assert min(each.trained_on for each in read.classes) > 4 * 256
