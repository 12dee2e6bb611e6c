"""What a column holds: sequences and answers of every type, and what is neither."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.hostile.kinds.case import Case, R, Row, rows_of, writing


def values_cases(flat: list[list[int]], labels: list[str]) -> Iterator[Case]:
    """Every way Arrow has to hold a sequence."""
    numbers = [
        pa.int8(),
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.uint8(),
        pa.uint16(),
        pa.uint32(),
        pa.uint64(),
        pa.float16(),
        pa.float32(),
        pa.float64(),
        pa.decimal128(9, 2),
        pa.decimal128(12, 0),
        pa.decimal256(40, 3),
        pa.decimal32(5, 1),
        pa.decimal64(12, 2),
    ]
    nested = [[row[:2], row[2:4], row[4:]] for row in flat]
    means, means_nested = rows_of(flat, labels), rows_of(nested, labels)
    exact = [[Decimal(value) for value in row] for row in flat]
    exact_nested = [[[Decimal(value) for value in step] for step in row] for row in nested]
    for kind in numbers:
        whole, deep = (exact, exact_nested) if pa.types.is_decimal(kind) else (flat, nested)
        if kind == pa.float16():
            whole = [list(np.array(row, dtype=np.float16)) for row in flat]
            deep = [[list(np.array(step, dtype=np.float16)) for step in row] for row in nested]
        for of in (pa.list_, pa.large_list):
            yield Case(
                "value types",
                f"{of.__name__}<{kind}>",
                writing(x=pa.array(whole, of(kind)), y=labels),
                means,
            )
        yield Case(
            "value types",
            f"list<list<{kind}>>",
            writing(x=pa.array(deep, pa.list_(pa.list_(kind))), y=labels),
            means_nested,
        )
        yield Case(
            "value types",
            f"list<{kind}>[6]",
            writing(x=pa.array(whole, pa.list_(kind, 6)), y=labels),
            means,
        )
    tensor = pa.array(flat, pa.list_(pa.int32(), 6))
    of_two = pa.fixed_shape_tensor(pa.int32(), (3, 2))
    records = [[{"b": b, "a": a} for a, b in row] for row in nested]
    more: dict[str, tuple[Any, list[Row] | None]] = {
        "tensor of 6": (
            pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.int32(), (6,)), tensor),
            means,
        ),
        "tensor of 3 by 2": (pa.ExtensionArray.from_storage(of_two, tensor), means_nested),
        "booleans": (
            pa.array([[v % 2 == 0 for v in row] for row in flat]),
            rows_of([[int(v % 2 == 0) for v in row] for row in flat], labels),
        ),
        "records": (pa.array(records), means_nested),
        "records of mixed numbers": (
            pa.array(records, pa.list_(pa.struct({"a": pa.int8(), "b": pa.float64()}))),
            means_nested,
        ),
        "large list of fixed lists": (
            pa.array(nested, pa.large_list(pa.list_(pa.int16(), 2))),
            means_nested,
        ),
        "nested fixed lists": (
            pa.array(nested, pa.list_(pa.list_(pa.int16(), 2), 3)),
            means_nested,
        ),
        "dictionary inside": (
            pa.ListArray.from_arrays(
                pa.array(range(0, 6 * R + 1, 6)),
                pa.array([v for row in flat for v in row]).dictionary_encode(),
            ),
            means,
        ),
    }
    for name, (column, rows) in more.items():
        yield Case("value types", name, writing(x=column, y=labels), rows)
    lengths = [row[: 1 + n % 6] for n, row in enumerate(flat)]
    yield Case(
        "value types", "of all lengths", writing(x=lengths, y=labels), rows_of(lengths, labels)
    )
    tokens = {"sequence": "x", "target": "y", "values": "tokens"}
    words = [[f"w{value}" for value in row] for row in flat]
    for text in (pa.string(), pa.large_string()):
        yield Case(
            "text",
            f"list<{text}>",
            writing(x=pa.array(words, pa.list_(text)), y=labels),
            rows_of(words, labels),
            options=tokens,
        )
        bases = ["".join("ACGT"[value % 4] for value in row) + "Aäß€" for row in flat]
        yield Case(
            "text",
            f"{text}",
            writing(x=pa.array(bases, text), y=labels),
            rows_of([list(row) for row in bases], labels),
            options={**tokens, "values": "characters"},
        )
    coded = pa.ListArray.from_arrays(
        pa.array(range(0, 6 * R + 1, 6)),
        pa.array([w for row in words for w in row]).dictionary_encode(),
    )
    yield Case(
        "text",
        "dictionary of words",
        writing(x=coded, y=labels),
        rows_of(words, labels),
        options=tokens,
    )
    yield Case("text", "words as numbers", writing(x=words, y=labels), None)
    yield Case(
        "text",
        "numbers as characters",
        writing(x=flat, y=labels),
        None,
        options={**tokens, "values": "characters"},
    )


def targets_cases(flat: list[list[int]], labels: list[str]) -> Iterator[Case]:
    """Every kind of label."""
    some = [int(label[1]) for label in labels]
    for kind in (
        pa.int8(),
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.uint8(),
        pa.uint32(),
        pa.uint64(),
    ):
        yield Case(
            "targets", str(kind), writing(x=flat, y=pa.array(some, kind)), rows_of(flat, some)
        )
    for kind in (pa.string(), pa.large_string()):
        yield Case(
            "targets", str(kind), writing(x=flat, y=pa.array(labels, kind)), rows_of(flat, labels)
        )
    yield Case(
        "targets",
        "dictionary",
        writing(x=flat, y=pa.array(labels).dictionary_encode()),
        rows_of(flat, labels),
    )
    truths = [number > 0 for number in some]
    yield Case("targets", "booleans", writing(x=flat, y=truths), rows_of(flat, truths))
    yield Case(
        "targets",
        "whole decimals",
        writing(x=flat, y=pa.array([Decimal(n) for n in some])),
        rows_of(flat, some),
        may_refuse=True,
    )
    number = {"sequence": "x", "target": "y", "tolerance": 0.5}
    for kind in (pa.float32(), pa.float64()):
        yield Case(
            "targets",
            str(kind),
            writing(x=flat, y=pa.array(some, kind)),
            rows_of(flat, [float(n) for n in some]),
            options=number,
        )
    bad: dict[str, Any] = {
        "a null": [None, *labels[1:]],
        "all null": pa.nulls(R),
        "dates": [date(2024, 1, 1 + n) for n in some],
        "times": [datetime(2024, 1, 1 + n) for n in some],
        "lists": [[n] for n in some],
        "records": [{"a": n} for n in some],
        "bytes": [label.encode() for label in labels],
        "one class": ["only"] * R,
        "NaN": [float("nan"), *map(float, some[1:])],
        "no UTF-8": pa.array([b"\xff", b"a"] * (R // 2)).view(pa.string()),
        "durations": pa.array(some, pa.duration("s")),
    }
    for name, column in bad.items():
        options = number if name == "NaN" else {"sequence": "x", "target": "y"}
        yield Case("targets refused", name, writing(x=flat, y=column), None, options=options)


def refused_cases(flat: list[list[int]], labels: list[str]) -> Iterator[Case]:
    """What is no sequence."""
    at = R // 2
    sixths = [[float(value) for value in row] for row in flat]

    def changed(value: Any, rows: list[Any]) -> list[Any]:
        return [*rows[:at], value, *rows[at + 1 :]]

    nested = [[row[:2], row[2:4]] for row in flat]
    bad: dict[str, Any] = {
        "a null row": changed(None, flat),
        "a null step": changed([1, None], flat),
        "an empty row": changed([], flat),
        "NaN": changed([0.0, float("nan")], sixths),
        "infinity": changed([float("inf")], sixths),
        "beyond float32": changed([1e300], sixths),
        "ragged": changed([[1], [1, 2]], nested),
        "an empty step": changed([[]], nested),
        "a null inner list": changed([None], nested),
        "three deep": [[[[value] for value in row]] for row in flat],
        "scalars": [row[0] for row in flat],
        "text": labels,
        "records": [{"a": row[0]} for row in flat],
        "dates": [[date(2024, 1, 1)]] * R,
        "times": [[datetime(2024, 1, 1)]] * R,
        "bytes": [b"abc"] * R,
        "lists of bytes": [[b"a"]] * R,
        "all null": pa.nulls(R),
        "lists of nulls": [[None]] * R,
        "maps": pa.array([[("a", 1)]] * R, pa.map_(pa.string(), pa.int64())),
        "records with text": [[{"a": 1, "b": "t"}]] * R,
        "records with a null": changed([{"a": 1, "b": None}], [[{"a": 1, "b": 2}]] * R),
        "a null among lists of one size": pa.array(changed(None, flat), pa.list_(pa.int64(), 6)),
        "a null among inner lists of one size": pa.array(
            changed([[1, 2], None], nested), pa.list_(pa.list_(pa.int64(), 2))
        ),
        "half lists": pa.array([[None, 1.0]] * R),
    }
    for name, column in bad.items():
        yield Case("no sequences", name, writing(x=column, y=labels), None)
    contents = {
        "empty": b"",
        "text": b"x,y\n1,2\n",
        "only its mark": b"PAR1",
        "marks alone": b"PAR1" + bytes(40) + b"PAR1",
        "zeros": bytes(5000),
    }
    for name, content in contents.items():
        yield Case(
            "no Parquet",
            name,
            lambda folder, content=content: (folder / "f.parquet").write_bytes(content),
            None,
        )
    yield Case(
        "no Parquet", "a folder by its name", lambda folder: (folder / "f.parquet").mkdir(), None
    )
    yield Case("no Parquet", "a pipe", lambda folder: os.mkfifo(folder / "f.parquet"), None)
    yield Case("no Parquet", "nothing", lambda folder: None, None)
    yield Case(
        "no Parquet",
        "a link to itself",
        lambda folder: (folder / "f.parquet").symlink_to(folder / "f.parquet"),
        None,
    )
    yield Case(
        "no Parquet",
        "no rows",
        writing(x=pa.array([], pa.list_(pa.int8())), y=pa.array([], pa.string())),
        None,
    )
