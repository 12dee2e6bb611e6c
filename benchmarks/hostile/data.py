"""Data as people have it, and as disks damage it: read right, or refused in one line.

Each case is read in a process of its own, so that a crash or a hang ends that process alone. It is
met well if the rows are those that were written, to the last value and label, or if the refusal is
one line (and, where nothing is wrong with the data, only if it has to be refused).
"""

from __future__ import annotations

import multiprocessing
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from benchmarks.hostile.kinds import Row, cases
from benchmarks.hostile.tried import Tried
from trainables.messages import one_line
from trainables.tasks import TASKS

HANG_SECONDS = 10
START_SECONDS = 120
"""For the first process, which imports torch."""

CORRUPTED = 300


@dataclass(frozen=True)
class Met:
    """What became of one case: ``right``, ``refused``, ``traceback``, ``silent`` or ``hang``."""

    how: str
    said: str = ""


def run(seed: int) -> list[Tried]:
    """Every kind of file, and `CORRUPTED` Parquet files with page checksums, and as many without.

    What went wrong is printed.
    """
    lines = []
    for kind, tried in _by_kind(seed):
        good = sum(met.how in ("right", "refused") for _, met in tried)
        lines.append(Tried(kind, len(tried), good))
        for name, met in tried:
            if met.how not in ("right", "refused"):
                print(f"{kind}: {name}: {met.how}: {met.said}", file=sys.stderr)
    return lines


def _by_kind(seed: int) -> Iterator[tuple[str, list[tuple[str, Met]]]]:
    with tempfile.TemporaryDirectory() as root:
        found: dict[str, list[tuple[str, Met]]] = {}
        for number, case in enumerate(cases(seed)):
            folder = Path(root) / str(number)
            folder.mkdir()
            case.write(folder)
            met = read({**case.options, "path": folder / case.path}, case.rows, case.may_refuse)
            found.setdefault(case.kind, []).append((case.name, met))
        yield from found.items()
        for checksums in (True, False):
            word = "with" if checksums else "without"
            yield f"corrupted Parquet {word} page checksums", _corrupted(root, seed, checksums)


def read(options: dict[str, Any], rows: list[Row] | None, may_refuse: bool) -> Met:
    """What reading does with what was written: ``rows``, or None for what must be refused."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.hostile.data"])
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_read, args=(there, options))
    process.start()
    there.close()
    try:
        if not here.poll(HANG_SECONDS if _warm else START_SECONDS):
            return Met("hang")
        how, said = here.recv()
    except EOFError:
        process.join()
        return Met("traceback", f"the process died: {process.exitcode}")
    finally:
        _warm.append(True)
        process.kill()
        process.join()
    if how == "refused":
        fine = (rows is None or may_refuse) and said and "\n" not in said
        return Met("refused" if fine else "wrongly refused", said)
    if how == "rows":
        if rows is not None and Counter(said) == Counter(rows):
            return Met("right")
        return Met("silent", f"{len(said)} rows, such as {said[:1]}, not {rows and rows[:1]}")
    return Met(how, said)


_warm: list[bool] = []


def _read(answer: Connection, options: dict[str, Any]) -> None:
    try:
        answer.send(("rows", rows_of(options)))
    except ValidationError as error:
        answer.send(("refused", one_line(error)))
    except ValueError as error:
        plain = type(error) is ValueError
        answer.send(("refused" if plain else "traceback", str(error)))
    except Exception as error:
        answer.send(("traceback", f"{type(error).__name__}: {error}"))


def rows_of(options: dict[str, Any]) -> list[Row]:
    """Each row's steps and answer, as the task has them."""
    task: Any = TASKS[options.get("kind", "parquet")]
    made = task(task.Config.model_validate(options))
    targets = made.labels.targets.tolist() if hasattr(made, "labels") else [None] * len(made.rows)
    classes = made.labels.classes if hasattr(made, "labels") else ()
    found = []
    for row, target in enumerate(targets):
        steps = made.rows.whole(np.array([row])).tolist()
        found.append((tuple(map(tuple, steps)), classes[target] if classes else target))
    return found


def _corrupted(root: str, seed: int, checksums: bool) -> list[tuple[str, Met]]:
    """Bits turned, blocks gone, doubled or exchanged, ends cut off or added to.

    Without checksums other rows are met well if a later run is told by another fingerprint, as
    differing rows always are: what counts there are tracebacks and hangs.
    """
    draw = random.Random(seed + checksums)
    found = []
    for number in range(CORRUPTED):
        values = [[draw.randrange(1000) for _ in range(6)] for _ in range(80)]
        labels = [f"c{draw.randrange(3)}" for _ in values]
        whole = Path(root) / f"whole-{checksums}-{number}.parquet"
        pq.write_table(
            pa.table({"x": values, "y": labels}),
            whole,
            row_group_size=draw.choice([9, 40, 1000]),
            compression=draw.choice(["none", "snappy", "zstd", "gzip"]),
            use_dictionary=draw.random() < 0.5,
            write_page_checksum=checksums,
            data_page_version=draw.choice(["1.0", "2.0"]),
        )
        how, content = damaged(whole.read_bytes(), draw)
        whole.write_bytes(content)
        rows = [
            (tuple((value,) for value in row), label)
            for row, label in zip(values, labels, strict=True)
        ]
        met = read({"path": whole, "sequence": "x", "target": "y"}, rows, may_refuse=True)
        if met.how == "silent" and not checksums:
            met = Met("right", "another fingerprint")
        found.append((f"{number} {how}", met))
    return found


def damaged(content: bytes, draw: random.Random) -> tuple[str, bytes]:
    """What was done to the content of a file, and what is left of it."""
    how = draw.choice(["bit", "bits", "zeros", "noise", "cut", "gone", "twice", "swap", "more"])
    size = len(content)
    at, length = draw.randrange(size), draw.randrange(1, 64)
    piece = content[at : at + length]
    if how in ("bit", "bits"):
        changed = bytearray(content)
        for _ in range(1 if how == "bit" else 8):
            changed[draw.randrange(size)] ^= 1 << draw.randrange(8)
        return how, bytes(changed)
    if how == "cut":
        return how, content[:at]
    if how == "more":
        return how, content + draw.randbytes(length)
    if how == "swap":
        to = draw.randrange(size)
        first, second = sorted((at, to))
        length = min(length, second - first, size - second)
        one, other = content[first : first + length], content[second : second + length]
        between = content[first + length : second]
        return how, content[:first] + other + between + one + content[second + length :]
    new = {
        "zeros": bytes(len(piece)),
        "noise": draw.randbytes(len(piece)),
        "gone": b"",
        "twice": piece * 2,
    }[how]
    return how, content[:at] + new + content[at + len(piece) :]
