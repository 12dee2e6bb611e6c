"""Products in the types that are given, under autocast too."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


def in_given_types(run: Callable[P, R]) -> Callable[P, R]:
    """``run`` without autocast: a state that is rounded to bfloat16 at every step is soon lost."""

    @functools.wraps(run)
    def exactly(*arguments: P.args, **named: P.kwargs) -> R:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            return run(*arguments, **named)

    return exactly
