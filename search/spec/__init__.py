"""The spec: what is searched, on what, and how; read from YAML, with its space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from search.spec.reading import outline, read, revive, take
from search.spec.sections import (
    MOST_PRIORS,
    CertifyConfig,
    ConstraintsConfig,
    Outline,
    Prior,
    ResourcesConfig,
    SearchConfig,
    TrackingConfig,
)

if TYPE_CHECKING:
    from search.spec.spec import Spec

__all__ = [
    "MOST_PRIORS",
    "CertifyConfig",
    "ConstraintsConfig",
    "Outline",
    "Prior",
    "ResourcesConfig",
    "SearchConfig",
    "Spec",
    "TrackingConfig",
    "outline",
    "read",
    "revive",
    "take",
]


def __getattr__(name: str) -> Any:
    """``Spec`` knows the tasks, and with them torch: it is imported when it is asked for."""
    if name != "Spec":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from search.spec.spec import Spec

    return Spec
