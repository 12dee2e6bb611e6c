"""Weights on disk: safetensors that carry their own checksum, checked when read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from trainables.files.bounded import require_file
from trainables.files.whole_files import write_aside
from trainables.messages import one_line

CHECKSUM = "sha256"
"""Key of the file's metadata: SHA-256 of every tensor's name, shape and bytes, and behind a space
whose they are, in whatever word tells them from others of the same shapes. (Of two keys safetensors
writes either first.)
"""


Shape = tuple[tuple[int, ...], str]
"""Of a tensor in a file: its sizes, and safetensors' name of its type."""


class DamagedWeightsError(ValueError):
    """A file of weights is not what was written."""


def write(path: Path, tensors: Mapping[str, Tensor], of: str = "") -> None:
    """Write ``tensors`` to ``path``, whole or not at all, with whose they are."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    mark = f"{_checksum(plain)} {of}".strip()
    write_aside(path, save(plain, metadata={CHECKSUM: mark}))


def read(path: Path, of: str = "") -> dict[str, Tensor]:
    """The tensors in ``path``, which `write` left there.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedWeightsError: in one line, if they are not those that were written, or are another's
            than they should be ``of``.
    """
    tensors, mark = _read(path)
    if mark is None:
        raise DamagedWeightsError(f"{path}: these weights are damaged: they carry no checksum")
    if of and mark.partition(" ")[2] not in ("", of):  # an earlier version named nobody
        raise DamagedWeightsError(f"{path}: these weights are another trial's, member's or lag's")
    return tensors


def read_checked(path: Path) -> tuple[dict[str, Tensor], bool]:
    """The tensors in ``path``, and whether they carry a checksum: not all that others made do.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedWeightsError: in one line, if they are no safetensors, or not those of the checksum.
    """
    tensors, mark = _read(path)
    return tensors, mark is not None


def _read(path: Path) -> tuple[dict[str, Tensor], str | None]:
    """The tensors, if they are those of the checksum, and what stands under its key, if there."""
    try:
        require_file(path)
        with safe_open(path, framework="pt") as file:
            mark = (file.metadata() or {}).get(CHECKSUM)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, ValueError) as error:
        reason = one_line(error).removeprefix(f"{path}: ")
        raise DamagedWeightsError(f"{path}: these weights are damaged: {reason}") from None
    if mark is not None and mark.partition(" ")[0] != _checksum(tensors):
        raise DamagedWeightsError(f"{path}: these weights are damaged: their checksum differs")
    return tensors, mark


def outline(path: Path) -> dict[str, Shape]:
    """The tensors in ``path`` by name, from the file's head: none of them is read.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedWeightsError: in one line, if it is no file, or its head is no safetensors'.
    """
    try:
        require_file(path)
        with safe_open(path, framework="pt") as file:
            heads = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            return {name: (tuple(h.get_shape()), h.get_dtype()) for name, h in heads.items()}
    except (SafetensorError, ValueError) as error:
        reason = one_line(error).removeprefix(f"{path}: ")
        raise DamagedWeightsError(f"{path}: these weights are damaged: {reason}") from None


def dtype_name(dtype: torch.dtype) -> str:
    """What safetensors calls it; what it has no name for is called as torch does."""
    return _NAMES.get(dtype, str(dtype))


_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
    torch.complex64: "C64",
}


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.numpy().tobytes())
    return found.hexdigest()
