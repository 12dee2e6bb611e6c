"""torch's optimisers without torch's compiler, which they import to keep it out.

Its 800 modules take each worker seconds before a first step, and nothing that trains is compiled.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

GUARDED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
"""Methods that torch wraps so that its compiler passes them by."""


def uncompiled(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """The same optimiser, its methods as they are inside what torch wraps them in.

    A step keeps no graph, as in the wrapper of torch's own: none of these is differentiable.
    """
    methods: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in GUARDED}
    methods["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), methods)
