"""Weights on disk: safetensors that carry their own checksum, checked when read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from trainables.files.whole_files import write_aside
from trainables.messages import one_line

CHECKSUM = "sha256"
"""Key of the file's metadata: SHA-256 of every tensor's name, shape and bytes."""


class DamagedWeightsError(ValueError):
    """A file of weights is not what was written."""


def write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write ``tensors`` to ``path``, whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_aside(path, save(plain, metadata={CHECKSUM: _checksum(plain)}))


def read(path: Path) -> dict[str, Tensor]:
    """The tensors in ``path``, which `write` left there.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedWeightsError: in one line, if they are not those that were written.
    """
    tensors, checked = read_checked(path)
    if not checked:
        raise DamagedWeightsError(f"{path}: these weights are damaged: they carry no checksum")
    return tensors


def read_checked(path: Path) -> tuple[dict[str, Tensor], bool]:
    """The tensors in ``path``, and whether they carry a checksum: not all that others made do.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedWeightsError: in one line, if they are no safetensors, or not those of the checksum.
    """
    try:
        with safe_open(path, framework="pt") as file:
            expected = (file.metadata() or {}).get(CHECKSUM)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, UnicodeDecodeError) as error:
        reason = one_line(error)
        raise DamagedWeightsError(f"{path}: these weights are damaged: {reason}") from None
    if expected is not None and expected != _checksum(tensors):
        raise DamagedWeightsError(f"{path}: these weights are damaged: their checksum differs")
    return tensors, expected is not None


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.numpy().tobytes())
    return found.hexdigest()
