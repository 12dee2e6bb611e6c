"""Operators of torch that its ONNX exporter does not know, in ONNX's; needs the extra ``onnx``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from onnxscript import opset20

op: Any = opset20  # its types know tensors alone, where attributes and lists are allowed too


def stable_sort(
    x: Any, stable: bool | None = None, dim: int = -1, descending: bool = False
) -> tuple[Any, Any]:
    """``aten.sort.stable``: of equal values ``TopK`` gives the one of the lower number first."""
    size = op.Gather(op.Shape(x), op.Constant(value_ints=[dim]))
    return op.TopK(x, size, axis=dim, largest=int(descending), sorted=1)


def cumprod(x: Any, dim: int, dtype: int | None = None) -> Any:
    """``aten.cumprod`` along the last axis, of N numbers: products over the rows of a triangle."""
    size = x.shape[-1]
    below = onnx.numpy_helper.from_array(np.tri(size, dtype=bool))
    kept = op.Where(op.Constant(value=below), op.Unsqueeze(x, [-2]), op.CastLike(1.0, x))
    return op.ReduceProd(kept, [-1], keepdims=0)


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.sort.stable: stable_sort,
    torch.ops.aten.cumprod.default: cumprod,
}
