"""Spaces: what may be chosen. A space is a module-level function of an Optuna trial.

It suggests parameters named by their path in the nested configuration, such as
``model/cell/kind``, and may return further ones that are fixed.
"""

from collections.abc import Callable
from typing import Any

from optuna import Trial

from spaces.first import first
from spaces.quick import quick

Space = Callable[[Trial], dict[str, Any] | None]

SPACES: dict[str, Space] = {"quick": quick, "first": first}

__all__ = ["SPACES", "Space"]
