"""What travels with a search, and what does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from search import spec as specs
from search.cluster import packing
from search.cluster.packing import as_seen_by_workers, movable, pack
from search.commands import clusters
from search.errors import UserError

DIGITS = Path(__file__).parents[2] / "examples" / "data" / "digits.parquet"
TASK = "{kind: parquet, path: %s, sequence: pixels, target: label}"


def spec_of(folder: Path, path: object = "digits.parquet", more: str = "") -> specs.Spec:
    folder.mkdir(exist_ok=True)
    file = folder / "spec.yaml"
    file.write_text(f"name: x\nspace: quick\ntasks: [{TASK % path}]\n{more}")
    return specs.read(file)


def test_data_travels_and_the_spec_finds_it_there(tmp_path: Path) -> None:
    (tmp_path / "laptop").mkdir()
    (tmp_path / "laptop" / "digits.parquet").write_bytes(DIGITS.read_bytes())
    packed = pack(spec_of(tmp_path / "laptop"), tmp_path / "job")
    (tmp_path / "job" / "spec.yaml").write_text(packed.to_yaml())
    on_head = specs.read(tmp_path / "job" / "spec.yaml")
    (task,) = on_head.tasks
    assert Path(task.path).is_relative_to(tmp_path / "job" / packing.FILES)
    assert Path(task.path).read_bytes() == DIGITS.read_bytes()
    (seen,) = as_seen_by_workers(on_head, tmp_path / "job" / packing.FILES)["tasks"]
    assert (tmp_path / "job" / packing.FILES / seen["path"]).exists()
    assert not Path(seen["path"]).is_absolute()


def test_a_folder_that_moves_takes_its_data_along(tmp_path: Path) -> None:
    """Data inside the folder is found again, whatever was rewritten there; data outside stays."""
    (tmp_path / "laptop").mkdir()
    (tmp_path / "laptop" / "digits.parquet").write_bytes(DIGITS.read_bytes())
    root = tmp_path / "runs" / "x"
    (root / "spec.yaml").parent.mkdir(parents=True)
    (root / "spec.yaml").write_text(pack(spec_of(tmp_path / "laptop"), root).to_yaml())
    (root / "spec.yaml").write_text(movable(specs.read(root / "spec.yaml"), root).to_yaml())
    moved = root.rename(tmp_path / "moved")
    (task,) = specs.read(moved / "spec.yaml").tasks
    assert Path(task.path).is_relative_to(moved)
    outside = spec_of(tmp_path / "laptop")
    assert movable(outside, root) == outside


def test_files_of_one_name_from_two_folders_both_travel(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "digits.parquet").write_bytes(DIGITS.read_bytes())
    first = spec_of(tmp_path / "a")
    both = first.model_copy(update={"tasks": first.tasks + spec_of(tmp_path / "b").tasks})
    packed = pack(both, tmp_path / "job")
    assert len({(tmp_path / "job" / task.path).resolve() for task in packed.tasks}) == 2
    assert all((tmp_path / "job" / task.path).exists() for task in packed.tasks)


def test_what_lies_in_a_bucket_stays_there(tmp_path: Path) -> None:
    spec = spec_of(tmp_path / "laptop", "s3://bucket/digits.parquet")
    packed = pack(spec, tmp_path / "job")
    assert packed.tasks == spec.tasks
    assert not any((tmp_path / "job" / packing.FILES).iterdir())


@pytest.mark.parametrize("path", ["'*.parquet'", "[a.parquet, b.parquet]", "'delta:a'"])
def test_one_file_or_folder_travels_and_no_pattern(tmp_path: Path, path: str) -> None:
    (tmp_path / "laptop").mkdir()
    for name in ("a.parquet", "b.parquet"):
        (tmp_path / "laptop" / name).write_bytes(DIGITS.read_bytes())
    with pytest.raises(UserError, match="does not travel; allowed on a cluster: one file"):
        pack(spec_of(tmp_path / "laptop", path), tmp_path / "job")
    assert not (tmp_path / "job").exists()


def test_more_than_travels_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "MOST_BYTES", 1000)
    (tmp_path / "laptop").mkdir()
    (tmp_path / "laptop" / "digits.parquet").write_bytes(DIGITS.read_bytes())
    with pytest.raises(UserError, match=r"digits\.parquet is .* allowed: .*s3://bucket") as refused:
        pack(spec_of(tmp_path / "laptop"), tmp_path / "job")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "job").exists()


def test_a_module_of_ones_own_travels_and_is_imported_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop = tmp_path / "laptop"
    laptop.mkdir()
    (laptop / "travelling_plugin.py").write_text("LAYERS = {}\n")
    (laptop / "digits.parquet").write_bytes(DIGITS.read_bytes())
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = spec_of(laptop, more="plugins: [travelling_plugin]\n")
    (tmp_path / "job" / "spec.yaml").parent.mkdir()
    (tmp_path / "job" / "spec.yaml").write_text(pack(spec, tmp_path / "job").to_yaml())
    monkeypatch.delitem(sys.modules, "travelling_plugin")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(laptop)])
    specs.read(tmp_path / "job" / "spec.yaml")
    there = sys.modules.pop("travelling_plugin").__file__
    assert there == str(tmp_path / "job" / packing.FILES / "travelling_plugin.py")
    assert as_seen_by_workers(spec, tmp_path)["import_from"] == ["."]


def test_packages_that_are_installed_stay(tmp_path: Path) -> None:
    spec = spec_of(tmp_path / "laptop", "s3://bucket/x").model_copy(
        update={"plugins": ["numpy", "trainables.recall"]}
    )
    pack(spec, tmp_path / "job")
    assert not any((tmp_path / "job" / packing.FILES).iterdir())


def test_what_travels_is_told_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the cluster is reached: all of it, and nothing of what lies beside it."""
    laptop = tmp_path / "laptop"
    (laptop / "secret.env").parent.mkdir()
    (laptop / "secret.env").write_text("x")
    (laptop / "digits.parquet").write_bytes(DIGITS.read_bytes())
    (laptop / "told_plugin.py").write_text("LAYERS = {}\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = spec_of(laptop, more="plugins: [told_plugin]\n")

    class UnreachableError(Exception):
        pass

    class Away:
        def jobs(self) -> None:
            raise UnreachableError

    monkeypatch.setattr("search.cluster.connection.Cluster", lambda _: Away())
    with pytest.raises(UnreachableError):
        clusters.submit(Path("c.yaml"), spec)
    said = capsys.readouterr().out
    size = DIGITS.stat().st_size
    told = ["What travels: spec.yaml and 2 more files, 0.05 MiB"]
    told += [f"  data/0/digits.parquet  {size:,} bytes", "  told_plugin.py  12 bytes"]
    assert [line.rstrip() for line in said.splitlines()][1:] == told


def test_of_a_module_nothing_hidden_and_nothing_behind_a_link_travels(tmp_path: Path) -> None:
    """A key beside it, its history, what a link leads to: none of it is read there."""
    package, secret = tmp_path / "own_package", tmp_path / "secret"
    (package / "inner").mkdir(parents=True)
    secret.mkdir()
    for file in ("__init__.py", "inner/more.py", ".env", "inner/.netrc"):
        (package / file).write_text("x = 1\n")
    for folder in (package / ".git", package / "inner" / ".aws", secret):
        folder.mkdir(exist_ok=True)
        (folder / "key").write_text("secret")
    (package / "linked").symlink_to(secret)
    (package / "linked.py").symlink_to(secret / "key")
    packing._copy(package, tmp_path / "job", list(packing._module(package)))
    there = {str(f.relative_to(tmp_path / "job")) for f in (tmp_path / "job").rglob("*")}
    assert there == {"__init__.py", "inner", "inner/more.py"}


@pytest.mark.parametrize(("kind", "others"), [("_rows", []), ("_open_files", ["id_rsa"])])
def test_of_data_what_is_read_travels_and_what_links_lead_to(
    kind: str, others: list[str], tmp_path: Path
) -> None:
    """A key beside the rows stays; what a task of one's own reads is not known beforehand."""
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    for file in ("data/a.parquet", "data/.env", "data/id_rsa", "elsewhere/b.parquet"):
        (tmp_path / file).write_bytes(b"x")
    (tmp_path / "data" / "more").symlink_to(tmp_path / "elsewhere")
    files = list(getattr(packing, kind)(tmp_path / "data"))
    packing._copy(tmp_path / "data", tmp_path / "job", files)
    there = {str(f.relative_to(tmp_path / "job")) for f in (tmp_path / "job").rglob("*")}
    assert there == {"a.parquet", "more", "more/b.parquet", *others}


@pytest.mark.parametrize("key", ["space", "search.sampler"])
def test_the_module_of_a_function_travels(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"function_of_{key.replace('.', '_')}"
    spec = spec_of(tmp_path / "laptop", "s3://bucket/x")
    (tmp_path / "laptop" / f"{name}.py").write_text("def f(x): ...\n")
    sys.path.append(str(tmp_path / "laptop"))
    function = {"sampler": f"{name}:f"}
    search = spec.search.model_copy(update=function if key == "search.sampler" else {})
    spec = spec.model_copy(
        update={"space": f"{name}:f" if key == "space" else spec.space, "search": search}
    )
    packed = pack(spec, tmp_path / "job")
    assert packing.packed_files(tmp_path / "job") == [(f"{name}.py", 14)]
    assert packed.import_from == [packing.FILES]
