"""The spec: what is searched, on what, and how; read from YAML, with its space."""

from search.spec.reading import read, revive, take
from search.spec.spec import (
    CertifyConfig,
    ConstraintsConfig,
    ResourcesConfig,
    SearchConfig,
    Spec,
    TrackingConfig,
)

__all__ = [
    "CertifyConfig",
    "ConstraintsConfig",
    "ResourcesConfig",
    "SearchConfig",
    "Spec",
    "TrackingConfig",
    "read",
    "revive",
    "take",
]
