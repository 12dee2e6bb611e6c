"""The reader that users copy shows rows as the model was shown them, from the JSON alone."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any, get_args

import numpy as np
import pytest

from tests.trainables.encoding.test_predict import numbers_file, parquet, table
from trainables.encoding.answers import ClassAnswers, ColumnsAnswers, NumberAnswers
from trainables.encoding.encoding import Encoding, Filler, Padding
from trainables.encoding.rows import read_rows
from trainables.encoding.steps import NumberSteps, PlainSteps, SymbolSteps, TokenSteps
from trainables.tasks import TASKS, make_task
from trainables.tasks.stream import Stream

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "formats.md").read_text()
LAG = 4


@pytest.fixture(scope="module")
def reader() -> ModuleType:
    spec = importlib.util.spec_from_file_location("read_onnx", ROOT / "examples" / "read_onnx.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def encodings(folder: Path) -> Iterator[tuple[str, Encoding, list[Any]]]:
    """Of every kind of step, filler, padding and answer: a name, the value and raw rows."""
    path, rows = numbers_file(folder / "one.parquet")
    for filler in ("noise", "blank", "resample"):
        yield f"numbers {filler}", parquet(path, filler=filler).encoding, rows[:9]
    path, rows = numbers_file(folder / "two.parquet", features=2)
    for filler in ("noise", "resample"):
        yield f"two features {filler}", parquet(path, filler=filler).encoding, rows[:9]
    _, rows = numbers_file(folder / "base.parquet")
    for extra in ({"missing": [-999]}, {"missing": ["null"], "missing_indicator": True}):
        gone = [[None if len(extra) == 2 else -999.0, *row[1:]] for row in rows[:20]]
        holed = table(
            folder / f"holed {len(extra)}.parquet",
            {"readings": [*gone, *rows[20:]], "fault": [n % 2 for n in range(len(rows))]},
        )
        for filler in ("noise", "blank"):
            encoding = parquet(holed, filler=filler, **extra).encoding
            yield f"missing {sorted(extra)} {filler}", encoding, gone[:9]
    rng = np.random.default_rng(0)
    whole = [rng.integers(0, 9, n).tolist() for n in rng.integers(3, 9, 60)]
    path = table(folder / "whole.parquet", {"readings": whole, "fault": [1.5, 2.0] * 30})
    yield "whole", parquet(path, filler="noise", tolerance=0.1).encoding, whole[:9]
    signed = [[[-7, 5, 900][n % 3] for n in row] for row in whole]
    path = table(folder / "tokens.parquet", {"readings": signed, "fault": [True, False] * 30})
    for filler in ("noise", "blank", "resample"):
        task = parquet(path, values="tokens", filler=filler)
        yield f"tokens {filler}", task.encoding, signed[:9]
    texts = ["".join("abä"[n % 3] for n in row) for row in whole]
    path = table(folder / "texts.parquet", {"readings": texts, "fault": [0, 1] * 30})
    yield "characters", parquet(path, values="characters").encoding, texts[:9]
    tags = [[("down", "up")[n % 2] for n in row] for row in whole]
    path = table(folder / "tags.parquet", {"readings": whole, "fault": tags})
    yield "a label a step", parquet(path).encoding, [row for row in whole if len(row) <= LAG]
    several = [[n % 2, n % 3, 7] for n in range(60)]
    path = table(folder / "after.parquet", {"readings": whole, "fault": several})
    yield "labels after", parquet(path, asked="after").encoding, whole[:9]
    lags = [max(1, len(row) - 2) for row in whole]
    columns = {"readings": whole, "fault": [0, 1] * 30, "far": lags}
    lagged = parquet(table(folder / "lagged.parquet", columns), lag="far")
    yield "lagged", lagged.encoding, [row for row in whole if len(row) <= LAG]
    path = table(folder / "s.parquet", {"x": rng.integers(100, 104, (60, 12)).tolist()})
    stream = Stream(Stream.Config(path=path, sequence="x", context=6, answers=3))
    yield "stream", stream.encoding, [[100, 103, 101.0]]
    recall = make_task(TASKS["recall"].Config())
    yield "by number", recall.encoding, [[1, 0, 2]]
    yield "by name", recall.encoding, [list(recall.encoding.steps.names)]
    adding = make_task(TASKS["adding"].Config())
    yield "plain", adding.encoding, [[[0.5, 1.0], [0.25, 0.0]]]


@pytest.mark.parametrize("gap", [None, 0, 7])
def test_rows_are_encoded_as_the_model_encodes_them(
    gap: int | None, tmp_path: Path, reader: ModuleType
) -> None:
    for name, encoding, rows in encodings(tmp_path):
        plain = json.loads(json.dumps(encoding.model_dump(mode="json")))
        steps = encoding.require_gap(gap if encoding.after_gap else None, LAG)
        for raw, row in zip(read_rows(rows, encoding), rows, strict=True):
            shown = encoding.show(raw, encoding.length(len(raw), steps, LAG), steps).numpy()
            given = reader.encode(plain, row, LAG, gap)
            assert (given.dtype, given.shape) == (shown.dtype, shown.shape), name
            np.testing.assert_array_equal(given, shown, err_msg=name)


def test_answers_are_the_files_own(reader: ModuleType) -> None:
    model = reader.Reader.__new__(reader.Reader)
    outputs = np.array([[0.1, 0.9], [0.8, 0.2]])
    for names in (("a", "b"), (False, True), (3, 40)):
        value = ClassAnswers(names=names)
        model.encoding = {"answer": json.loads(value.model_dump_json())}
        assert model.answer(outputs) == value.decode(outputs).tolist()
    columns = ColumnsAnswers(columns=("fault", "hot"), names=(("a", "b"), (False,)))
    model.encoding = {"answer": json.loads(columns.model_dump_json())}
    assert model.answer(outputs) == columns.decode(outputs[None])[0].tolist() == ["b", False]
    number = NumberAnswers(scale=7.0, offset=1000.0, tolerance=None)
    model.encoding = {"answer": json.loads(number.model_dump_json())}
    assert model.answer(outputs[:, :1]) == pytest.approx(number.decode(outputs[:, :1]).tolist())


def test_it_imports_what_it_says() -> None:
    code = (ROOT / "examples" / "read_onnx.py").read_text()
    imported = set(re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE))
    assert imported == {"json", "sys", "pathlib", "numpy", "onnxruntime"}


def test_every_field_of_the_encoding_is_documented() -> None:
    values = (Encoding, Filler, Padding, NumberSteps, TokenSteps, SymbolSteps, PlainSteps)
    for value in (*values, ClassAnswers, ColumnsAnswers, NumberAnswers):
        for field, info in value.model_fields.items():
            if field == "kind" and not isinstance(info.annotation, UnionType):
                for kind in get_args(info.annotation):
                    assert f"`{kind}`" in PAGE, (value.__name__, kind)
            assert f"`{field}`" in PAGE, (value.__name__, field)
