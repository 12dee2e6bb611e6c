"""``SHA256SUMS``: what the files of a folder are to be, as ``sha256sum --check`` reads it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from trainables.files.bounded import read_bounded, require_file
from trainables.files.whole_files import DamagedFileError, write_aside

NAME = "SHA256SUMS"
_LARGEST = 2**16
_LINE = re.compile(r"([0-9a-f]{64})  ([^/]+)")


def write(folder: Path, names: Iterable[str]) -> None:
    """Write down what the files of these names are now."""
    lines = (f"{_sha256(folder / name)}  {name}\n" for name in names)
    write_aside(folder / NAME, "".join(lines).encode())


def check(folder: Path, names: Iterable[str]) -> bool:
    """Whether the folder says what these files are to be; they are that, then.

    Raises:
        FileNotFoundError: if one of them is not there.
        DamagedFileError: in one line, if one is not what was written.
    """
    sums = folder / NAME
    if not sums.exists() and not sums.is_symlink():
        return False
    text = read_bounded(sums, _LARGEST).decode(errors="replace")
    said = [_LINE.fullmatch(line) for line in text.splitlines()]
    known = {line[2]: line[1] for line in said if line}
    for name in names:
        if name not in known:
            raise DamagedFileError(f"{sums}: damaged: it says nothing of {name}")
        if _sha256(folder / name) != known[name]:
            raise DamagedFileError(
                f"{folder / name}: damaged, or edited: its SHA-256 is not the one in {NAME}; "
                f"without that file it is taken as it is"
            )
    return True


def _sha256(path: Path) -> str:
    require_file(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
