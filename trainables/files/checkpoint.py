"""Checkpoints that are whole or not there: checked when read, and the last one kept."""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import torch

from trainables.files.whole_files import remove_left_over, write_aside

_MAGIC = b"longspan checkpoint 1\n"
_DIGEST_BYTES = 32

log = logging.getLogger(__name__)


class TornCheckpointError(ValueError):
    """A checkpoint file is not what was written."""


def write(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (plain values and tensors) to ``path``; what was there becomes ``.previous``.

    A crash at any moment leaves a whole checkpoint under one of the two names.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getbuffer()
    write_aside(path, _MAGIC, hashlib.sha256(payload).digest(), payload, previous=_previous(path))


def read(path: Path) -> dict[str, Any] | None:
    """The newest whole checkpoint at ``path``, or None where there is none.

    A torn one is named in the log and gone round; what a writer that died has left is taken away.
    """
    remove_left_over(path.parent)
    for candidate in (path, _previous(path)):
        if not candidate.exists():
            continue
        try:
            return _read_one(candidate)
        except TornCheckpointError as error:
            log.warning("%s; using an older checkpoint, or starting over", error)
    return None


def _read_one(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    payload = content[len(_MAGIC) + _DIGEST_BYTES :]
    expected = content[len(_MAGIC) : len(_MAGIC) + _DIGEST_BYTES]
    if not content.startswith(_MAGIC) or hashlib.sha256(payload).digest() != expected:
        raise TornCheckpointError(f"{path}: this checkpoint is torn (its checksum does not match)")
    state: dict[str, Any] = torch.load(io.BytesIO(payload), weights_only=True)
    return state


def _previous(path: Path) -> Path:
    return path.with_suffix(".previous")
