"""The reference that flash-linear-attention keeps beside its kernels, without the kernels.

The package imports Triton, which only CUDA builds of torch bring; these files of it do not.
"""

from __future__ import annotations

import ast
import importlib.util
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

OPS = Path(str(distribution("fla-core").locate_file("fla/ops")))
FOLDER = OPS / "gated_delta_rule"


def naive(kind: str) -> Any:
    """The file ``naive.py`` of one kind of operator, by its folder."""
    spec = importlib.util.spec_from_file_location("fla_naive", OPS / kind / "naive.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


naive_recurrent_gated_delta_rule = naive("gated_delta_rule").naive_recurrent_gated_delta_rule


def kernel_arguments() -> list[str]:
    """What the package's kernel ``chunk_gated_delta_rule`` takes, by name."""
    for node in ast.walk(ast.parse((FOLDER / "chunk.py").read_text())):
        if isinstance(node, ast.FunctionDef) and node.name == "chunk_gated_delta_rule":
            return [argument.arg for argument in node.args.args]
    raise AssertionError("chunk_gated_delta_rule is not there any more")
