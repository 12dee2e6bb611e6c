"""Decides by tensors whether a recurrence runs compiled, and calls what is compiled.

Torch's operators are the reference, and run wherever the kernels do not: on accelerators, in half
precision, under autocast, while a graph is traced or operators are watched, without a compiler, and
with ``LONGSPAN_KERNELS=off``.
"""

from __future__ import annotations

import ctypes
import functools
import os

import torch
from torch import Tensor, nn

from trainables.files.cache import cache_folder
from trainables.models.kernels.build import NUMBERS, NotBuiltError, load

SWITCH = "LONGSPAN_KERNELS"
"""``off`` turns the kernels off."""

CPU = torch.device("cpu")


def suits(*tensors: Tensor) -> bool:
    """Whether compiled kernels take these tensors, the inputs first, here and now.

    Of no steps or no sequences torch says itself what becomes.
    """
    first = tensors[0]
    return (
        first.dtype in NUMBERS
        and all(_plain(tensor, first.dtype) for tensor in tensors)
        and switched_on()
        and not _watched()
        and first.numel() > 0
        and not isinstance(_library(first.dtype), str)
    )


def describe(device: torch.device = CPU) -> str:
    """Which path a recurrence takes here, in float32: ``c: avx2, DIGEST`` or ``torch: WHY``.

    The library is built first, where this machine has none.
    """
    if device.type != "cpu":
        return f"torch: {device.type}"
    if not switched_on():
        return f"torch: {SWITCH}=off"
    if torch.is_autocast_enabled("cpu"):
        return f"torch: {torch.get_autocast_dtype('cpu')}".replace("torch.", "")
    library = _library(torch.float32)
    if isinstance(library, str):
        return f"torch: {library}"
    library.target.restype = ctypes.c_char_p
    return f"c: {library.target().decode()}, {library._name.split('-')[-1][:8]}"


def switch() -> dict[str, str]:
    """The environment that makes other processes decide as this one does."""
    return {SWITCH: os.environ[SWITCH]} if SWITCH in os.environ else {}


def switched_on() -> bool:
    """Whether the environment leaves the kernels on."""
    return os.environ.get(SWITCH, "on").strip().lower() != "off"


def call(function: str, sizes: list[int], arrays: list[Tensor]) -> None:
    """Run a compiled function on numbers that are in place, all of one type and contiguous."""
    library = _library(arrays[0].dtype)
    if isinstance(library, str):
        raise RuntimeError(library)
    pointers = (ctypes.c_void_p * len(arrays))(*(array.data_ptr() for array in arrays))
    getattr(library, function)((ctypes.c_int64 * len(sizes))(*sizes), pointers)


def in_rows(x: Tensor) -> Tensor:
    """``x`` (T B E) as it is where its rows follow each other at one distance, else a copy."""
    T, B, E = x.shape
    even = x.stride(2) == 1 and (T == 1 or B == 1 or x.stride(0) == B * x.stride(1))
    return x if even and row_distance(x) >= E else x.contiguous()


def row_distance(x: Tensor) -> int:
    """Numbers from one row of `in_rows` to the next; an axis of one step has any stride."""
    T, B, E = x.shape
    return x.stride(1) if B > 1 else x.stride(0) if T > 1 else E


def states_after(initial: Tensor, steps: int) -> Tensor:
    """Room for the state after each step, behind the one before the first."""
    states = initial.new_empty(steps + 1, *initial.shape)
    states[0] = initial
    return states


def kept_for_backward(*tensors: Tensor) -> bool:
    """Whether somebody will ask for a gradient in one of them."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def _plain(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Numbers in the processor's memory, and not something that stands for them."""
    return (
        type(tensor) in (Tensor, nn.Parameter)
        and tensor.device.type == "cpu"
        and tensor.dtype == dtype
        and tensor.layout == torch.strided
    )


def _watched() -> bool:
    """Whether operators are traced, compiled, counted or cast on the way: then they must be met."""
    return (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch.is_autocast_enabled("cpu")
        or torch._C._len_torch_dispatch_stack() > 0
    )


@functools.cache
def _library(dtype: torch.dtype) -> ctypes.CDLL | str:
    """The library, or why there is none; found out once a process."""
    try:
        return load(dtype, cache_folder("kernels"))
    except (NotBuiltError, OSError) as why:
        return str(why)
