"""Tasks, models, training and the ladder: everything of a trial that needs no cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainables.exports.exported import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """``load`` when it is asked for: whoever validates a spec or reads a table needs no torch."""
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from trainables.exports.exported import load

    return load
