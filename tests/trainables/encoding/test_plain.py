"""Whatever Arrow holds numbers in, they are read as the numbers they are, in file and row alike."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables.encoding.plain import plain
from trainables.tasks.rows.reading import read_rows

NESTED = [[[1, 2], [3, 4]], [[5, 6], [7, 8]], [[9, 10], [11, 12]]]
WIDE = [[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 10], [11, 12]], [[13, 14], [15, 16], [17, 18]]]
FLAT = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
TENSORS = pa.array([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]], pa.list_(pa.float32(), 4))
POINTS = [[{"b": b, "a": a} for a, b in row] for row in NESTED]

PAIR = pa.struct({"a": pa.int8(), "b": pa.int8()})
HELD: dict[str, tuple[pa.Array, list[Any]]] = {
    "tensor": (
        pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), (2, 2)), TENSORS),
        NESTED,
    ),
    "tensor of NumPy": (
        pa.FixedShapeTensorArray.from_numpy_ndarray(np.array(NESTED, dtype=np.float32)),
        NESTED,
    ),
    "tensor that lies features first": (
        pa.FixedShapeTensorArray.from_numpy_ndarray(
            np.ascontiguousarray(np.array(WIDE).transpose(0, 2, 1)).transpose(0, 2, 1)
        ),
        WIDE,
    ),
    "flat tensor": (
        pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.int16(), (3,)), pa.array(FLAT, pa.list_(pa.int16(), 3))
        ),
        FLAT,
    ),
    "decimals": (pa.array([[Decimal(n) / 4 for n in row] for row in FLAT]), None),
    "whole decimals": (pa.array(FLAT, pa.list_(pa.decimal128(9, 0))), FLAT),
    "large": (pa.array(FLAT, pa.large_list(pa.int8())), FLAT),
    "fixed": (pa.array(FLAT, pa.list_(pa.uint16(), 3)), FLAT),
    "fixed within": (pa.array(NESTED, pa.list_(pa.list_(pa.float64(), 2))), NESTED),
    "half": (pa.array(FLAT, pa.list_(pa.float16())), FLAT),
    "records": (pa.array(POINTS, pa.list_(pa.struct({"b": pa.int8(), "a": pa.float32()}))), NESTED),
    "dictionary": (
        pa.ListArray.from_arrays([0, 3, 6, 9], pa.array(range(1, 10)).dictionary_encode()),
        FLAT,
    ),
}
HELD["decimals"] = (HELD["decimals"][0], [[n / 4 for n in row] for row in FLAT])
VIEWS: dict[str, tuple[pa.Array, list[Any]]] = {
    "view": (pa.array(FLAT, pa.list_view(pa.int64())), FLAT),
    "large view": (pa.array([*FLAT, None], pa.large_list_view(pa.int64())), [*FLAT, None]),
    "slice": (pa.array([None, *FLAT], pa.list_view(pa.int64()))[1:], FLAT),
    "out of order": (
        pa.ListViewArray.from_arrays([3, 0, 6], [3, 3, 3], pa.array([4, 5, 6, 1, 2, 3, 7, 8, 9])),
        FLAT,
    ),
    "bool8": (
        pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, None], pa.int8())),
        [True, False, None],
    ),
    "text": (pa.array(["a", None], pa.string_view()), ["a", None]),
    "null record": (
        pa.array([[{"a": 1, "b": 2}, None], None], pa.list_(PAIR)),
        [[[1, 2], None], None],
    ),
    "null tensor": (
        pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.float32(), (2, 2)),
            pa.array([[1, 2, 3, 4], None, [5, 6, 7, 8]], pa.list_(pa.float32(), 4)),
        ),
        [[[1, 2], [3, 4]], None, [[5, 6], [7, 8]]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [*HELD, *VIEWS])
def test_the_same_values_in_the_same_rows(name: str) -> None:
    held, means = {**HELD, **VIEWS}[name]
    assert plain(held).to_pylist() == means
    assert plain(held[1:]).to_pylist() == means[1:]


@pytest.mark.parametrize("name", list(HELD))
def test_a_file_of_them_is_read(tmp_path: Path, name: str) -> None:
    held, means = HELD[name]
    pq.write_table(pa.table({"x": held, "y": [0, 1, 0]}), tmp_path / "f.parquet")
    rows = read_rows(tmp_path / "f.parquet", {"sequence": "x", "target": "y"})
    assert np.array_equal(
        rows.values[:], np.concatenate([np.reshape(row, (len(row), -1)) for row in means])
    )


def test_records_that_lose_digits_together_are_left_as_they_are() -> None:
    held = pa.array([[{"a": 2**53 + 1, "b": 0.5}]])
    assert plain(held).type == held.type


@pytest.mark.parametrize("kind", ["flat", "within", "tensor"])
def test_a_null_among_lists_of_one_size_is_named_by_its_row(tmp_path: Path, kind: str) -> None:
    column = pa.array([[1, 2]] * 41 + [None] + [[1, 2]] * 20, pa.list_(pa.int64(), 2))
    if kind == "within":
        inner = pa.list_(pa.list_(pa.int64(), 2))
        column = pa.array([[[1, 2]]] * 41 + [[[1, 2], None]] + [[[1, 2]]] * 20, inner)
    if kind == "tensor":
        column = pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.int64(), (2,)), column)
    pq.write_table(pa.table({"x": column, "y": [0, 1] * 31}), tmp_path / "f.parquet")
    with pytest.raises(ValueError, match=r"^sequence: 'x' of .* has a null in row 41$"):
        read_rows(tmp_path / "f.parquet", {"sequence": "x", "target": "y"})
