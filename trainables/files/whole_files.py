"""Files that are whole or found out: written aside, and JSON with its own checksum."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

_HEAD = b'{"sha256": "%s", "value": '
_HEAD_BYTES = len(_HEAD % (b"0" * 64))


class DamagedFileError(ValueError):
    """A file is not what was written."""


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON under its checksum, whole or not at all."""
    payload = json.dumps(value).encode()
    write_aside(path, _head(payload) + payload + b"}\n")


def read_json(path: Path) -> Any:
    """The value in ``path``.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedFileError: in one line, if it is not what `write_json` wrote.
    """
    content = path.read_bytes()
    payload = content[_HEAD_BYTES:-2]
    if content != _head(payload) + payload + b"}\n":
        raise DamagedFileError(f"{path}: damaged (its checksum does not match)")
    return json.loads(payload)


def _head(payload: bytes) -> bytes:
    return _HEAD % hashlib.sha256(payload).hexdigest().encode()


def write_aside(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``, whole or not at all."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that nothing takes it for whole and nothing of it is lost."""
    kept = path.with_name(f"{path.name}.damaged")
    path.replace(kept)
    return kept
