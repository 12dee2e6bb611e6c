"""The kernels' library: built once, loaded whole, and done without where it cannot be."""

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.trainables.models.kernels.paths import take
from trainables.files.cache import cache_folder
from trainables.models.cells import LAYERS
from trainables.models.kernels import build, door
from trainables.models.layer import Surroundings


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of one's own, for a process that has looked for no library yet."""
    take("compiled", monkeypatch)
    monkeypatch.setenv("LONGSPAN_CACHE", str(tmp_path))
    forget()
    yield tmp_path / "kernels"
    forget()


def forget() -> None:
    door._library.cache_clear()
    build.digest.cache_clear()


def libraries(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.suffix != ".lock")


def fake_compiler(folder: Path, then: str) -> str:
    """A compiler that counts its calls, one line each, and goes on to ``then``."""
    path = folder / "counting"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] || echo >> "{folder}/calls"\n{then}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def copying(library: str) -> str:
    """What a compiler does that has the library at hand, and takes as long as it likes."""
    named = 'while [ $# -gt 0 ] && [ "$1" != -o ]; do shift; done'
    return f'{named}; [ $# -eq 0 ] && exit; sleep 1; cp "{library}" "$2"'


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> str:
    """The library that this machine has by now."""
    take("compiled", monkeypatch)
    return build.load(torch.float32, cache_folder("kernels"))._name


def test_many_processes_build_once(
    built: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them load it; nothing half-built is left."""
    monkeypatch.setenv("CC", fake_compiler(tmp_path, copying(built)))
    command = [sys.executable, "-c",
               "from trainables.models.kernels import describe; print(describe())"]  # fmt: skip
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {process.communicate()[0].strip() for process in running}
    assert len(said) == 1
    assert said.pop().startswith("c: ")
    assert len((tmp_path / "calls").read_text().splitlines()) == 1
    assert len(libraries(cache)) == 1


def test_without_a_compiler_torch_does_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(cache))
    monkeypatch.delenv("CC", raising=False)
    assert door.describe() == "torch: no C compiler (cc, gcc or clang)"
    answers_as_torch_does()


def test_a_compiler_that_refuses(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own words are the reason; it was asked with and without the processor's abilities."""
    monkeypatch.setenv(
        "CC", fake_compiler(tmp_path, 'echo "k.c:1: error: no such thing" >&2; exit 1')
    )
    assert door.describe().endswith("k.c:1: error: no such thing")
    assert len((tmp_path / "calls").read_text().splitlines()) == 2
    assert libraries(cache) == []
    answers_as_torch_does()


def test_a_cache_that_cannot_be_written(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LONGSPAN_CACHE", str(tmp_path / "file"))
    assert door.describe().startswith("torch: ")
    assert "file" in door.describe()
    answers_as_torch_does()


def test_a_damaged_library_is_built_anew(
    built: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It loads as nothing, is said to be removed, and the next process has a whole one."""
    monkeypatch.setenv("CC", fake_compiler(tmp_path, copying(built)))
    name, definitions = build.NUMBERS[torch.float32]
    digest = build.digest(build.find_compiler(), definitions)
    cache.mkdir()
    (cache / f"{name}-{digest}.so").write_bytes(b"half")
    assert "does not load and is removed" in door.describe()
    answers_as_torch_does()
    forget()
    assert door.describe().startswith("c: ")


def test_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(door.SWITCH, "off")
    assert door.describe() == "torch: LONGSPAN_KERNELS=off"
    answers_as_torch_does()


def test_an_accelerator_and_half_precision_take_torchs_operators(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take("compiled", monkeypatch)
    assert door.describe(torch.device("cuda")) == "torch: cuda"
    with torch.autocast("cpu", torch.bfloat16):
        assert door.describe() == "torch: bfloat16"
    assert door.describe().startswith("c: ")


def test_other_processes_decide_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(door.SWITCH, raising=False)
    assert door.switch() == {}
    monkeypatch.setenv(door.SWITCH, "off")
    assert door.switch() == {door.SWITCH: "off"}


def answers_as_torch_does() -> None:
    """A layer with a kernel answers to the last bit what it does with the kernels off."""
    torch.manual_seed(0)
    layer = LAYERS["gru"](LAYERS["gru"].Config(kind="gru"), Surroundings(8))
    x = torch.randn(2, 9, 8)
    here = layer(x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(door.SWITCH, "off")
        assert torch.equal(layer(x), here)
