"""Builds the C sources once a machine, into the user's cache, and loads them.

Plain C without torch's headers, so there is no ABI to follow; one library for each type of number.
A library's name is a digest of all that made it: sources, flags, compiler and processor. It is
written aside and renamed when whole, under a lock, so that many processes build it once and none
loads half of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

SOURCES = Path(__file__).parent / "compiled" / "source"

FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math",
         "-fopenmp-simd", "-fvisibility=hidden")  # fmt: skip
"""None lets the compiler reorder sums or think away NaN: `-ffast-math` would do both."""

NUMBERS = {
    torch.float32: ("float", ("-DREAL=float", "-DSINGLE=1")),
    torch.float64: ("double", ("-DREAL=double", "-DSINGLE=0")),
}

BUILD_SECONDS = 600.0


class NotBuiltError(Exception):
    """Why there is no library here, in a few words."""


def load(dtype: torch.dtype, cache: Path) -> ctypes.CDLL:
    """The library for numbers of ``dtype``, built first where ``cache`` has none.

    Raises:
        NotBuiltError: there is no compiler, it refuses the sources, or the cache cannot be written

    """
    compiler = find_compiler()
    name, definitions = NUMBERS[dtype]
    path = cache / f"{name}-{digest(compiler, definitions)}.so"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            with _lock(path.with_suffix(".lock")):
                if not path.exists():
                    _compile(compiler, definitions, path)
    except OSError as error:
        raise NotBuiltError(f"{error.filename or cache}: {error.strerror}") from error
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        path.unlink(missing_ok=True)  # the next process builds it anew
        raise NotBuiltError(f"{path} does not load and is removed: {error}") from error


def find_compiler() -> str:
    """The C compiler: ``CC``, or the first of cc, gcc and clang on the path."""
    named = os.environ.get("CC")
    for name in [named] if named else ["cc", "gcc", "clang"]:
        path = shutil.which(name)
        if path is not None:
            return path
    raise NotBuiltError(
        f"CC: {named} is no command" if named else "no C compiler (cc, gcc or clang)"
    )


@functools.cache
def digest(compiler: str, definitions: tuple[str, ...]) -> str:
    """Of all that the library depends on."""
    told = [compiler, _version(compiler), *FLAGS, *definitions, processor()]
    for source in sorted(SOURCES.iterdir()):
        told += [source.name, source.read_text(encoding="utf-8")]
    return hashlib.sha256("\0".join(told).encode()).hexdigest()[:16]


@functools.cache
def processor() -> str:
    """Kind and abilities of the processor, since the library is built for it alone."""
    told = [platform.system(), platform.machine(), platform.processor()]
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        kinds = ("model", "cpu family", "flags", "Features", "CPU implementer", "CPU part")
        told += sorted({line for line in lines if line.split("\t")[0].strip() in kinds})
    return "\n".join(told)


@functools.cache
def _version(compiler: str) -> str:
    try:
        answer = subprocess.run(
            [compiler, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotBuiltError(f"{compiler}: {error}") from error
    return answer.stdout


def _compile(compiler: str, definitions: tuple[str, ...], path: Path) -> None:
    """For this very processor; without that word where the compiler does not know it."""
    sources = [str(source) for source in sorted(SOURCES.glob("*.c"))]
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    try:
        for native in (("-march=native",), ()):
            command = [compiler, *FLAGS, *native, *definitions, *sources, "-o", aside, "-lm"]
            said = _run(command)
            if said is None:
                os.fsync(handle)
                Path(aside).replace(path)
                return
        raise NotBuiltError(f"{compiler}: {said}")
    finally:
        os.close(handle)
        Path(aside).unlink(missing_ok=True)


def _run(command: list[str]) -> str | None:
    """What the compiler complained of, in one line; None if it did its work."""
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"not done within {BUILD_SECONDS:.0f} s"
    if run.returncode == 0:
        return None
    complaints = [line for line in run.stderr.splitlines() if "error" in line]
    return (complaints or run.stderr.splitlines() or [f"exit code {run.returncode}"])[0]


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Ours alone while it lasts; where files cannot be locked, two may build, each aside."""
    with path.open("a") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file closes
        except (ImportError, OSError):
            yield
            return
        yield
