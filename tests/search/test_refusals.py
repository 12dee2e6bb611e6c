"""What a user can get wrong: exit code 2 and one line that names the key or file."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from search.cli import main

DIGITS = Path("examples/data/digits.parquet").absolute()


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command in this process."""
    monkeypatch.setattr(sys, "argv", ["longspan", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def spec_with(folder: Path, **changes: object) -> Path:
    """A sound spec with some keys changed; None takes a key away."""
    content: dict[str, object] = {
        "name": "wrong",
        "space": "quick",
        "tasks": [{"kind": "recall"}],
        "ladder": {"start": 8, "stop": 16, "members": 2, "quorum": 2},
        "search": {"trials": 1},
    }
    content.update(changes)
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}))
    return path


def parquet(path: Path, **columns: object) -> dict[str, str]:
    """A task over a new Parquet file."""
    pq.write_table(pa.table(columns), path)
    return {"kind": "parquet", "path": str(path), "sequence": "x", "target": "y"}


ROWS = [[float(i), 1.0, 2.0] for i in range(600)]
LABELS = [i % 2 for i in range(600)]

BAD_SPECS = {
    "an unknown key": ({"lader": {}}, "lader"),
    "an unknown key inside": ({"ladder": {"strat": 8}}, "ladder.strat"),
    "a wrong type": ({"search": {"trials": "many"}}, "search.trials"),
    "a key missing": ({"space": None}, "space"),
    "a value out of range": ({"ladder": {"success": 1.5}}, "ladder.success"),
    "an empty ladder": ({"ladder": {"start": 64, "stop": 8}}, "stop: 8"),
    "a ladder that does not rise": ({"ladder": {"ratio": 1}}, "ladder.ratio"),
    "a quorum above members": ({"ladder": {"members": 2, "quorum": 3}}, "quorum: 3"),
    "no tasks": ({"tasks": []}, "tasks"),
    "an unknown task": ({"tasks": [{"kind": "recal"}]}, "'recal'"),
    "an unknown key of a task": ({"tasks": [{"kind": "recall", "x": 1}]}, "x"),
    "an unknown space": ({"space": "qick"}, "'qick'"),
    "a space that is not there": ({"space": "nowhere:space"}, "nowhere:space"),
    "a YAML space that is not there": ({"space": "nowhere.yaml"}, "nowhere.yaml"),
    "a plugin that is not there": ({"plugins": ["no_such_plugin"]}, "plugins: 'no_such_plugin'"),
    "an unknown constraint": ({"constraints": {"max_layers": 3}}, "constraints.max_layers"),
    "a constraint out of range": ({"constraints": {"max_parameters": 0}}, "max_parameters: 0"),
    "a constraint that nothing keeps": (
        {"constraints": {"max_state_bytes": 1}},
        "constraints.max_state_bytes: 1 leaves nothing of 'quick'",
    ),
    "an unknown sampler": ({"search": {"sampler": "grid"}}, "search.sampler"),
    "a start that the space does not offer": (
        {"search": {"start_with": [{"model/cell/kind": "abacus"}]}},
        "search.start_with",
    ),
    "a start with an unknown parameter": (
        {"search": {"start_with": [{"model/cell/knid": "lstm"}]}},
        "model/cell/knid",
    ),
    "a name with a slash": ({"name": "a/b"}, "name"),
    "a lag below the task's": ({"tasks": [{"kind": "copying"}]}, "ladder.start: 8"),
    "too few test sequences": (
        {"ladder": {"success": 0.99, "test_sequences": 100}},
        "ladder.test_sequences: 100",
    ),
    "more processors than there are": ({"resources": {"cpus": 10_000}}, "resources.cpus"),
    "GPUs that are not there": ({"resources": {"gpus": 99}}, "resources.gpus"),
}


@pytest.mark.parametrize("case", BAD_SPECS)
def test_a_malformed_spec(
    case: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, named = BAD_SPECS[case]
    spec = spec_with(tmp_path, **changes)
    assert run(monkeypatch, "search", str(spec), "--runs", str(tmp_path / "runs")) == 2
    refused(capsys, named)
    assert not (tmp_path / "runs").exists(), "a refused spec leaves nothing behind"


def refused(capsys: pytest.CaptureFixture[str], *named: str) -> None:
    """One line on stderr, naming what is wrong; no traceback."""
    errors = capsys.readouterr().err
    assert errors.startswith("longspan: ")
    assert errors.count("\n") == 1, errors
    for name in named:
        assert name in errors


@pytest.mark.parametrize(
    ("content", "named"),
    [("[1, 2", "not YAML"), ("- a\n- b\n", "a spec is a mapping"), ("", "a spec is a mapping")],
)
def test_a_file_that_is_no_spec(
    content: str,
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(content)
    assert run(monkeypatch, "search", str(path), "--runs", str(tmp_path / "runs")) == 2
    refused(capsys, "spec.yaml", named)


def test_bad_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every flaw of a Parquet file is named with the file."""
    sound = parquet(tmp_path / "sound.parquet", x=ROWS, y=LABELS)
    empty = tmp_path / "empty.parquet"
    empty.write_bytes(b"")
    torn = tmp_path / "torn.parquet"
    torn.write_bytes((tmp_path / "sound.parquet").read_bytes()[:-20])
    few = {"success": 0.99, "test_sequences": 1000}
    nested = [[[1.0, 2.0], [3.0, 4.0]]] * 599 + [[[1.0, 2.0], [3.0]]]
    cases = {
        "missing.parquet": {**sound, "path": str(tmp_path / "missing.parquet")},
        "empty.parquet": {**sound, "path": str(empty)},
        "torn.parquet": {**sound, "path": str(torn)},
        "nope": {**sound, "sequence": "nope"},
        "nulls.parquet": parquet(tmp_path / "nulls.parquet", x=ROWS, y=[None, *LABELS[1:]]),
        "ragged.parquet": parquet(tmp_path / "ragged.parquet", x=nested, y=LABELS),
    }
    for named, task in cases.items():
        spec = spec_with(tmp_path, tasks=[task])
        assert run(monkeypatch, "search", str(spec), "--runs", str(tmp_path / "runs")) == 2, named
        refused(capsys, named)
    spec = spec_with(tmp_path, tasks=[sound], ladder={"start": 8, "stop": 8, **few})
    assert run(monkeypatch, "search", str(spec), "--runs", str(tmp_path / "runs")) == 2
    refused(capsys, "success: 0.99", "sound.parquet", "rows held out")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["status", "nothing"], "'nothing'"),
        (["resume", "nothing"], "'nothing'"),
        (["export", "nothing", "--to", "there"], "'nothing'"),
        (["export", "nothing"], "--to"),
        (["verify", "nowhere"], "nowhere"),
        (["ui"], "mlflow.db"),
        (["list", "nothing"], "'nothing'"),
        (["serch"], "serch"),
        (["search", "--trials", "0"], "--trials"),
        (["search", "nowhere.yaml"], "nowhere.yaml"),
        (["status", "../up"], "'../up'"),
    ],
)
def test_a_mistake_on_the_command_line(
    arguments: list[str],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LONGSPAN_RUNS", str(tmp_path / "runs"))
    assert run(monkeypatch, *arguments) == 2
    refused(capsys, named)


def test_a_runs_folder_that_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file is in the way."""
    (tmp_path / "runs").write_text("")
    assert (
        run(monkeypatch, "search", str(spec_with(tmp_path)), "--runs", str(tmp_path / "runs")) == 2
    )
    refused(capsys, str(tmp_path / "runs"))


def test_a_search_under_way_is_not_resumed_twice(
    small_search: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lock of another process is respected, and its holder is not disturbed."""
    import subprocess  # the lock is per open file, so another process must hold it

    holder = subprocess.Popen(
        ["flock", str(small_search / "small" / "lock"), "cat"], stdin=subprocess.PIPE
    )
    try:
        for _ in range(100):
            if subprocess.run(
                ["flock", "-n", str(small_search / "small" / "lock"), "true"], check=False
            ).returncode:
                break
        assert run(monkeypatch, "resume", "small", "--runs", str(small_search)) == 2
        refused(capsys, "'small'", "another process")
    finally:
        assert holder.stdin is not None
        holder.stdin.close()
        holder.wait()


def test_every_key_of_the_spec_is_documented() -> None:
    """`docs/spec.md` names each key and its default where that is a plain value."""
    from search.spec import Spec
    from trainables.measure.ladder_config import StallRule

    text = Path("docs/spec.md").read_text()
    keys = set(StallRule.model_fields)
    for field in Spec.model_fields.values():
        keys |= set(getattr(field.annotation, "model_fields", {}))
    for key in [*Spec.model_fields, *keys]:
        assert f"`{key}`" in text or f".{key}`" in text, key


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tasks", 5),
        ("tasks", "recall"),
        ("tasks", {"kind": "recall"}),
        ("tasks", [5]),
        ("tasks", [["recall"]]),
        ("ladder", 5),
        ("ladder", [8, 16]),
        ("search", "tpe"),
        ("resources", 2),
        ("certify", True),
        ("name", ["a"]),
        ("space", 3),
        ("plugins", "my_layer"),
        ("constraints", 1000),
        ("tracking", "sqlite://"),
        ("choices", ["lstm"]),
        ("controls", 1),
    ],
)
def test_a_key_of_the_wrong_shape_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    key: str,
    value: object,
) -> None:
    spec = spec_with(tmp_path, **{key: value})
    assert run(monkeypatch, "search", str(spec), "--runs", str(tmp_path / "runs")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"longspan: {spec}: {key}")
    assert not (tmp_path / "runs").exists()
