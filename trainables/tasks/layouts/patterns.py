"""Paths that name several files: ``data/2024-*``, and lists, which are kept as ``{a,b}``."""

from __future__ import annotations

from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path


def together(paths: Sequence[Path | str]) -> Path:
    """Several paths as one.

    Raises:
        ValueError: if one holds a comma or a brace, or there is none

    """
    if not paths:
        raise ValueError("an empty list; allowed: at least one file or folder")
    for path in paths:
        if set(str(path)) & set("{},"):
            raise ValueError(f"{path} has a comma or a brace; allowed in lists: names without")
    return Path("{" + ",".join(map(str, paths)) + "}") if len(paths) > 1 else Path(paths[0])


def alternatives(path: Path) -> list[Path]:
    """The paths that one stands for: itself, or those in its braces; absolute ones stay so."""
    before, brace, rest = str(path).partition("{")
    inner, closing, after = rest.rpartition("}")
    if not (brace and closing) or after or path.exists():
        return [path]
    return [Path(before, each).expanduser() for each in inner.split(",")]


def is_pattern(path: Path) -> bool:
    """Whether the path names no file or folder, but may match some."""
    return has_magic(str(path)) and not path.exists()


def matches(pattern: Path) -> list[Path]:
    """What is there by a pattern, in the order of names; links are followed."""
    return [Path(name) for name in sorted(glob(str(pattern), recursive=True))]  # noqa: PTH207 - whole
