"""Every file of a folder is read, or named with why it is not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from search.spec.reading import read
from trainables.tasks.parquet import Parquet
from trainables.tasks.rows.buckets import local
from trainables.tasks.rows.files import all_of, files_of
from trainables.tasks.rows.reading import read_rows

COLUMNS = {"sequence": "x", "target": "y"}


def write(file: Path, first: int, rows: int = 10, **more: list[object]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    numbers = range(first, first + rows)
    columns = {"x": [[n, n + 1] for n in numbers], "y": [n % 2 for n in numbers]}
    pq.write_table(pa.table({**columns, **more}), file)


def firsts(path: Path) -> list[int]:
    return sorted(int(step) for step in read_rows(path, COLUMNS).values[:][::2, 0])


@pytest.mark.parametrize(
    "name",
    ["b.PARQUET", "b.parq", "b.pq", "b.parquet.gzip", "b.snappy.parquet", "part-00001", "000000_0"],
)
def test_a_part_by_any_of_its_names_is_taken(tmp_path: Path, name: str) -> None:
    write(tmp_path / "d" / "a.parquet", 0)
    write(tmp_path / "d" / name, 10)
    assert firsts(tmp_path / "d") == list(range(20))


@pytest.mark.parametrize("is_folder", [True, False])
def test_links_are_followed(tmp_path: Path, is_folder: bool) -> None:
    write(tmp_path / "d" / "a.parquet", 0)
    write(tmp_path / "elsewhere" / "b.parquet", 10)
    there = tmp_path / "elsewhere" if is_folder else tmp_path / "elsewhere" / "b.parquet"
    (tmp_path / "d" / ("more" if is_folder else "b.parquet")).symlink_to(there)
    assert firsts(tmp_path / "d") == list(range(20))


def test_what_is_linked_twice_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "d" / "new" / "a.parquet", 0)
    (tmp_path / "d" / "latest").symlink_to(tmp_path / "d" / "new")
    (tmp_path / "d" / "new" / "up").symlink_to(tmp_path / "d")
    found = all_of(tmp_path / "d")
    assert [file.path.name for file in found.files] == ["a.parquet"]
    assert sorted(path.name for path, _ in found.left_out) == ["latest", "up"]


def test_what_is_not_read_is_named_with_why(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", 0)
    write(tmp_path / "_old.parquet", 10)
    write(tmp_path / "b.parquet.bak", 20)
    (tmp_path / "c.csv").write_text("x,y\n")
    (tmp_path / "gone.parquet").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "fifo.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    left = {path.name: why for path, why in all_of(tmp_path).left_out}
    assert left.keys() == {"_old.parquet", "b.parquet.bak", "c.csv", "gone.parquet", "fifo.parquet"}
    assert "begins with _" in left["_old.parquet"]
    assert "holds Parquet" in left["b.parquet.bak"]
    assert "link to nothing" in left["gone.parquet"]
    assert firsts(tmp_path) == list(range(10))


def test_a_pattern_and_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in (1, 2, 11):
        write(tmp_path / f"d={day:02}" / "a.parquet", 10 * day)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert firsts(Path("~/d=0*")) == list(range(10, 30))
    assert firsts(tmp_path / "*" / "*.parquet") == [*range(10, 30), *range(110, 120)]
    assert [file.keys for file in files_of(tmp_path / "d=0*")] == [{"d": "01"}, {"d": "02"}]
    with pytest.raises(ValueError, match="nothing is at"):
        files_of(tmp_path / "e=*")


def test_a_list_names_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "k=2" / "a.parquet", 0)
    write(tmp_path / "d" / "k=01" / "b.parquet", 10)
    write(tmp_path / "x1.parquet", 20)
    monkeypatch.setenv("HOME", str(tmp_path))
    given = [str(tmp_path / "k=2"), tmp_path / "d", "~/x*.parquet"]
    config = Parquet.Config(path=given, sequence="x", target="y")
    assert isinstance(config.path, Path)
    assert firsts(config.path) == list(range(30))
    assert firsts(Path(str(config.path))) == list(range(30))
    assert [file.keys for file in files_of(config.path)] == [{}, {"k": "01"}, {}]
    again = Parquet.Config.model_validate(config.model_dump(mode="json"))
    assert again == config
    twice = Parquet.Config(path=[tmp_path / "d", tmp_path / "d"], sequence="x", target="y")
    assert firsts(Path(str(twice.path))) == list(range(10, 20))
    assert str(config.portable.path) == "{k=2,d,x*.parquet}"


@pytest.mark.parametrize("given", [[], ["a,b"], ["s3://b/a", "c"], [3]])
def test_a_list_of_what_is_no_path(given: list[object]) -> None:
    with pytest.raises(ValidationError, match="allowed"):
        Parquet.Config(path=given, sequence="x", target="y")


def test_a_list_of_a_spec_lies_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", 0)
    write(tmp_path / "b" / "b.parquet", 10)
    (tmp_path / "s.yaml").write_text(
        "name: s\nspace: quick\ntasks:\n"
        "  - {kind: parquet, path: [a.parquet, b], sequence: x, target: y}\n"
        "  - {kind: parquet, path: 'b/*', sequence: x, target: y}\n"
    )
    lists, pattern = (task.files for task in read(tmp_path / "s.yaml").tasks)
    assert lists == Path(f"{{{tmp_path}/a.parquet,{tmp_path}/b}}")
    assert pattern == tmp_path / "b" / "*"


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f")
    with pytest.raises(ValueError, match="no regular file"):
        files_of(tmp_path / "f")


def delta(table: Path) -> None:
    log = [
        [{"add": {"path": "part-0.parquet"}}],
        [{"remove": {"path": "part-0.parquet"}}, {"add": {"path": "part-1.parquet"}}],
    ]
    (table / "_delta_log").mkdir()
    for version, actions in enumerate(log):
        lines = "".join(json.dumps(action) + "\n" for action in actions)
        (table / "_delta_log" / f"{version:020d}.json").write_text(lines)


def iceberg(table: Path) -> None:
    (table / "metadata").mkdir()
    (table / "metadata" / "00001-7a.metadata.json").write_text("{}")


def hudi(table: Path) -> None:
    (table / ".hoodie").mkdir()
    (table / ".hoodie" / "hoodie.properties").write_text("")


def sink(table: Path) -> None:
    (table / "_spark_metadata").mkdir()
    (table / "_spark_metadata" / "0").write_text("v1")


def partition(table: Path) -> None:
    (table / "data" / ".hoodie_partition_metadata").write_text("")


def paimon(table: Path) -> None:
    (table / "snapshot").mkdir()
    (table / "snapshot" / "LATEST").write_text("1")


LAKES = [
    (partition, "Hudi"),
    (paimon, "Paimon"),
    (delta, "Delta"),
    (iceberg, "Iceberg"),
    (hudi, "Hudi"),
    (sink, "Spark stream"),
]


@pytest.mark.parametrize(("mark", "called"), LAKES)
@pytest.mark.parametrize("asked", ["", "..", "data", "data/part-0.parquet", "data/*.parquet"])
def test_a_table_with_a_log_is_refused(
    tmp_path: Path, mark: Callable[[Path], None], called: str, asked: str
) -> None:
    """The folder, one above or within it, one of its files, and a pattern of them."""
    table = tmp_path / "all" / "table"
    write(table / "data" / "part-0.parquet", 0)
    write(table / "data" / "part-1.parquet", 0)
    mark(table)
    with pytest.raises(ValueError, match=called) as refused:
        files_of(table.parent if asked == ".." else table / asked)
    assert "\n" not in str(refused.value)
    assert "plain Parquet" in str(refused.value)
    with pytest.raises(ValueError, match=called):
        local(table.as_uri())


def test_a_folder_called_metadata_alone_is_no_table(tmp_path: Path) -> None:
    write(tmp_path / "d" / "a.parquet", 0)
    (tmp_path / "d" / "metadata").mkdir()
    (tmp_path / "d" / "metadata" / "about.json").write_text("{}")
    assert firsts(tmp_path / "d") == list(range(10))


def test_a_delta_table_by_its_log_takes_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "deltalake", None)
    with pytest.raises(ValueError, match="pip install deltalake"):
        files_of(Path(f"delta:{tmp_path}"))


NULL = "__HIVE_DEFAULT_PARTITION__"


@pytest.mark.parametrize("name", [NULL, ""])
def test_a_null_of_a_hive_layout_is_no_class(tmp_path: Path, name: str) -> None:
    for place, key in enumerate(["no", "yes", name]):
        write(tmp_path / f"k={key}" / "a.parquet", 10 * place)
    with pytest.raises(ValueError, match=r"'k' of .* is null"):
        read_rows(tmp_path, {"sequence": "x", "target": "k"})


def test_a_null_leaves_the_other_keys_whole_numbers(tmp_path: Path) -> None:
    for place, key in enumerate(["4", "16", NULL]):
        write(tmp_path / f"k={key}" / "a.parquet", 10 * place)
    assert [file.keys["k"] for file in files_of(tmp_path)] == [16, 4, None]
    assert firsts(tmp_path) == list(range(30))


@pytest.mark.parametrize(
    "keys",
    [["01", "1"], ["12345678901234567890123", "1"], ["-0", "0"], ["٣", "4"], ["--1", "1"]],
)
def test_keys_that_are_not_written_as_numbers_are_text(tmp_path: Path, keys: list[str]) -> None:
    for place, key in enumerate(keys):
        write(tmp_path / f"k={key}" / "a.parquet", 10 * place)
    rows = read_rows(tmp_path, {"sequence": "x", "target": "k"})
    assert set(rows.columns["target"].to_pylist()) == set(keys)


def test_a_key_that_begins_with_an_underscore_is_not_hidden(tmp_path: Path) -> None:
    write(tmp_path / "_k=1" / "a.parquet", 0)
    write(tmp_path / "_k=2" / "a.parquet", 10)
    assert firsts(tmp_path) == list(range(20))


def test_a_file_that_contradicts_its_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "k=1" / "a.parquet", 0, k=[1] * 10)
    write(tmp_path / "k=2" / "a.parquet", 10, k=[2] * 10)
    columns = {"sequence": "x", "target": "k"}
    assert read_rows(tmp_path, columns).columns["target"].to_pylist() == [1] * 10 + [2] * 10
    write(tmp_path / "k=2" / "a.parquet", 10, k=[2] * 9 + [3])
    with pytest.raises(ValueError, match=r"'k' of .* is 2 by its folder's name, but 3"):
        read_rows(tmp_path, columns)


def test_pages_are_read_against_their_checksums(tmp_path: Path) -> None:
    file = tmp_path / "f.parquet"
    table = pa.table({"x": [[n] for n in range(1000)], "y": [0, 1] * 500})
    pq.write_table(table, file, compression="none", write_page_checksum=True, use_dictionary=False)
    content = bytearray(file.read_bytes())
    content[content.index((700).to_bytes(8, "little"))] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"f\.parquet cannot be read as a Parquet file"):
        read_rows(file, COLUMNS)


@pytest.mark.parametrize("link", [os.symlink, os.link])
@pytest.mark.parametrize("asked", ["d", "d/*.parquet", "{d/a.parquet,d/b.parquet}"])
def test_a_file_by_two_names_is_read_once(
    tmp_path: Path, link: Callable[[Path, Path], None], asked: str
) -> None:
    write(tmp_path / "d" / "a.parquet", 0)
    link(tmp_path / "d" / "a.parquet", tmp_path / "d" / "b.parquet")
    asked = asked.replace("d/", f"{tmp_path}/d/") if asked[0] == "{" else str(tmp_path / asked)
    assert firsts(Path(asked)) == list(range(10))
    ((path, why),) = all_of(Path(asked)).left_out
    assert (path.name, why) == ("b.parquet", f"is {tmp_path / 'd' / 'a.parquet'} once more")


def test_rows_that_are_there_twice_are_counted(tmp_path: Path) -> None:
    """A copy of a file is another file, whose rows are the same."""
    for name in ("a", "a (1)"):
        write(tmp_path / f"{name}.parquet", 0, rows=80)
    account = Parquet(Parquet.Config(path=tmp_path, sequence="x", target="y")).account
    assert "80 different sequences; the other rows repeat one" in account.lines()
