"""Spaces: what may be chosen. A space is a module-level function of an Optuna trial.

It suggests parameters named by their path in the nested configuration, such as
``model/cell/kind``, and may return further ones that are fixed.
"""

from collections.abc import Callable
from typing import Any

from optuna import Trial

from spaces.article import article
from spaces.attention import attention
from spaces.everything import everything
from spaces.memory import memory
from spaces.modern import modern
from spaces.quick import quick
from spaces.records import records
from spaces.recurrent import recurrent

Space = Callable[[Trial], dict[str, Any] | None]

SPACES: dict[str, Space] = {
    "quick": quick,
    "recurrent": recurrent,
    "attention": attention,
    "memory": memory,
    "modern": modern,
    "article": article,
    "records": records,
    "everything": everything,
}

__all__ = ["SPACES", "Space"]
