"""No Parquet, and no row a sequence: CSV, Arrow, JSON lines, a row a step, channels."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import feather

from benchmarks.hostile.kinds.case import Case, rows_of, writing


def others_cases(flat: list[list[int]], labels: list[str]) -> Iterator[Case]:
    """No Parquet at all."""
    table, means = pa.table({"x": flat, "y": labels}), rows_of(flat, labels)
    lines = "".join(
        json.dumps({"x": row, "y": label}) + "\n" for row, label in zip(flat, labels, strict=True)
    )
    yield Case(
        "other formats",
        "Feather",
        lambda folder: feather.write_feather(table, str(folder / "f.feather")),
        means,
        "f.feather",
    )
    yield Case(
        "other formats",
        "Feather, plain",
        lambda folder: feather.write_feather(
            table, str(folder / "f.feather"), compression="uncompressed"
        ),
        means,
        "f.feather",
    )
    for name in ("f.jsonl", "f.ndjson", "f.JSON"):
        yield Case(
            "other formats",
            name,
            lambda folder, name=name: (folder / name).write_text(lines),
            means,
            name,
        )
    yield Case(
        "other formats",
        "JSON lines cut off",
        lambda folder: (folder / "f.jsonl").write_text(lines[:-9]),
        None,
        "f.jsonl",
    )
    yield Case(
        "other formats",
        "JSON lines with a text",
        lambda folder: (folder / "f.jsonl").write_text(lines + '{"x": "a", "y": "c0"}\n'),
        None,
        "f.jsonl",
    )
    wide = pd.DataFrame(flat, columns=list("abcdef")).assign(y=labels)
    columns = {"sequence": tuple("abcdef"), "target": "y"}
    for name, how in {"f.csv": {}, "f.tsv": {"sep": "\t"}, "f.csv.gz": {}, "f.CSV": {}}.items():
        yield Case(
            "other formats",
            name,
            lambda folder, name=name, how=how: wide.to_csv(folder / name, index=False, **how),
            means,
            name,
            columns,
        )
    for encoding, works in {"utf-8-sig": True, "utf-16": False, "utf-32": False}.items():
        yield Case(
            "other formats",
            f"CSV in {encoding}",
            lambda folder, encoding=encoding: wide.to_csv(
                folder / "f.csv", index=False, encoding=encoding
            ),
            means if works else None,
            "f.csv",
            columns,
        )
    yield Case(
        "other formats",
        "CSV with \\r\\n",
        lambda folder: wide.to_csv(folder / "f.csv", index=False, lineterminator="\r\n"),
        means,
        "f.csv",
        columns,
    )
    yield Case(
        "other formats",
        "CSV with an index",
        lambda folder: wide.to_csv(folder / "f.csv"),
        means,
        "f.csv",
        columns,
    )
    yield Case(
        "other formats",
        "CSV with ;",
        lambda folder: wide.to_csv(folder / "f.csv", index=False, sep=";"),
        None,
        "f.csv",
        columns,
    )
    yield Case(
        "other formats",
        "CSV without a head",
        lambda folder: wide.to_csv(folder / "f.csv", index=False, header=False),
        None,
        "f.csv",
        columns,
    )
    yield Case(
        "other formats",
        "CSV of lists",
        lambda folder: table.to_pandas().to_csv(folder / "f.csv", index=False),
        None,
        "f.csv",
    )
    yield Case(
        "other formats",
        "CSV with decimal commas",
        lambda folder: wide.assign(a=[f"{v},5" for v in wide.a]).to_csv(
            folder / "f.csv", index=False
        ),
        None,
        "f.csv",
        columns,
    )
    yield Case(
        "other formats",
        "CSV with a gap",
        lambda folder: wide.assign(a=[None, *wide.a[1:]]).to_csv(folder / "f.csv", index=False),
        None,
        "f.csv",
        columns,
    )
    yield Case(
        "other formats",
        "pickle",
        lambda folder: wide.to_pickle(folder / "f.pkl"),
        None,
        "f.pkl",
        columns,
    )
    yield Case(
        "other formats",
        "NumPy",
        lambda folder: np.save(folder / "f.npy", np.array(flat)),
        None,
        "f.npy",
    )


def layouts_cases(flat: list[list[int]], labels: list[str]) -> Iterator[Case]:
    """A step a row, channels, and their mistakes."""
    means = rows_of(flat, labels)
    steps = [(n, t, value, labels[n]) for n, row in enumerate(flat) for t, value in enumerate(row)]
    order = np.random.default_rng(0).permutation(len(steps)).tolist()
    frame = pd.DataFrame([steps[n] for n in order], columns=["id", "t", "x", "y"])
    long = {"sequence": "x", "target": "y", "group_by": "id", "order_by": "t"}
    for name, ids in {
        "integers": frame.id,
        "text": frame.id.astype(str),
        "dates": pd.to_datetime("2024-01-01") + pd.to_timedelta(frame.id, "D"),
        "categories": frame.id.astype(str).astype("category"),
    }.items():
        some = frame.assign(id=ids)
        yield Case(
            "layouts",
            f"groups by {name}",
            lambda folder, some=some: some.to_parquet(folder / "f.parquet"),
            means,
            options=long,
        )
        yield Case(
            "layouts",
            f"groups by {name} in CSV",
            lambda folder, some=some: some.to_csv(folder / "f.csv", index=False),
            means,
            "f.csv",
            options=long,
        )
    for name, times in {
        "floats": frame.t / 10,
        "dates": pd.to_datetime("2024-01-01") + pd.to_timedelta(frame.t, "h"),
    }.items():
        some = frame.assign(t=times)
        yield Case(
            "layouts",
            f"order by {name}",
            lambda folder, some=some: some.to_parquet(folder / "f.parquet"),
            means,
            options=long,
        )
        yield Case(
            "layouts",
            f"order by {name} in CSV",
            lambda folder, some=some: some.to_csv(folder / "f.csv", index=False),
            means,
            "f.csv",
            options=long,
        )
    wrong = {
        "an order twice": frame.assign(t=frame.t.clip(0, 3)),
        "a null order": frame.assign(t=frame.t.where(frame.t > 0)),
        "a null group": frame.assign(id=frame.id.where(frame.id > 0)),
        "a changing target": frame.assign(y=["c0", "c1"] * (len(frame) // 2)),
        "an order of text": frame.assign(t=frame.t.astype(str)),
        "no such column": frame.drop(columns="t"),
        "a null step": frame.assign(x=frame.x.where(frame.index > 0)),
    }
    for name, some in wrong.items():
        yield Case(
            "layouts",
            name,
            lambda folder, some=some: some.to_parquet(folder / "f.parquet"),
            None,
            options=long,
        )
    double = [[2 * value for value in row] for row in flat]
    pairs = [
        [list(step) for step in zip(a, b, strict=True)] for a, b in zip(flat, double, strict=True)
    ]
    both = {"sequence": ("x", "z"), "target": "y"}
    yield Case(
        "layouts",
        "channels",
        writing(x=flat, z=double, y=labels),
        rows_of(pairs, labels),
        options=both,
    )
    yield Case(
        "layouts",
        "channels of two types",
        writing(x=flat, z=pa.array(double, pa.large_list(pa.float32())), y=labels),
        rows_of(pairs, labels),
        options=both,
    )
    yield Case(
        "layouts",
        "channels of other lengths",
        writing(x=flat, z=[row[1:] for row in double], y=labels),
        None,
        options=both,
    )
    yield Case(
        "layouts",
        "a list and a number",
        writing(x=flat, z=[row[0] for row in flat], y=labels),
        None,
        options=both,
    )
    yield Case(
        "layouts",
        "a channel twice",
        writing(x=flat, y=labels),
        None,
        options={**both, "sequence": ("x", "x")},
    )
