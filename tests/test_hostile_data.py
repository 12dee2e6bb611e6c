"""Every kind of data file of `benchmarks.hostile`, and some damage: read right, or one line."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.hostile.data import damaged, rows_of
from benchmarks.hostile.kinds import Case, Row, cases

CASES = list(cases(seed=1))


def read(options: dict[str, Any]) -> list[Row] | str:
    """The rows, or why they are refused; anything but a plain ValueError is a failure."""
    try:
        return rows_of(options)
    except ValueError as refused:
        if type(refused) is not ValueError:
            raise
        return str(refused)


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}: {case.name}" for case in CASES])
def test_data_as_people_have_it(tmp_path: Path, case: Case) -> None:
    case.write(tmp_path)
    found = read({**case.options, "path": tmp_path / case.path})
    if isinstance(found, str):
        assert case.rows is None or case.may_refuse, found
        assert "\n" not in found
    else:
        assert case.rows is not None
        assert Counter(found) == Counter(case.rows)


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_file_with_checksums_is_the_same_or_refused(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    values = [[draw.randrange(1000) for _ in range(6)] for _ in range(80)]
    labels = [f"c{draw.randrange(3)}" for _ in values]
    file = tmp_path / "f.parquet"
    table = pa.table({"x": values, "y": labels})
    pq.write_table(table, file, row_group_size=9, write_page_checksum=True, compression="none")
    options = {"path": file, "sequence": "x", "target": "y"}
    whole = read(options)
    file.write_bytes(damaged(file.read_bytes(), draw)[1])
    found = read(options)
    assert found == whole or (isinstance(found, str) and "\n" not in found)


def test_rows_that_a_damaged_end_leaves_out_are_missed(tmp_path: Path) -> None:
    """The end says how many rows there are, and how many each group has: 300 and 100 here."""
    file = tmp_path / "f.parquet"
    values = [[row, row] for row in range(300)]
    pq.write_table(pa.table({"x": values, "y": [0, 1] * 150}), file, row_group_size=100)
    content, said = file.read_bytes(), b"\x16\xd8\x04"  # the varint of 2 * 300
    assert content.count(said) == 1
    file.write_bytes(content.replace(said, b"\x16\xd6\x04"))
    found = read({"path": file, "sequence": "x", "target": "y"})
    assert isinstance(found, str)
    assert "300 rows, but 299" in found


EVERY_BYTE = """
import sys
from pathlib import Path
from trainables.tasks.rows.files import File, columns_of
file, end = Path(sys.argv[1]), int(sys.argv[2])
content, met = file.read_bytes(), 0
for place in range(end, len(content)):
    changed = bytearray(content)
    changed[place] ^= 1
    file.write_bytes(changed)
    try:
        list(columns_of(File(file, {}), {"sequence": "x"}))
    except ValueError as refused:
        assert type(refused) is ValueError, repr(refused)
    met += 1
print(met)
"""


def test_no_byte_of_a_files_end_ends_the_process(tmp_path: Path) -> None:
    """pyarrow does, where it is asked what a damaged end says of a column of a group."""
    file = tmp_path / "f.parquet"
    values = pa.array([[row, 1] for row in range(30)], pa.list_(pa.int16()))
    pq.write_table(pa.table({"x": values}), file, write_page_checksum=True, store_schema=False)
    content = file.read_bytes()
    begin = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    done = subprocess.run(
        [sys.executable, "-c", EVERY_BYTE, str(file), str(begin)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, f"{len(content) - begin}\n"), done.stderr
