"""The user's cache: what a machine needs to make but once, whichever search asks for it first."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(holds: str) -> Path:
    """Of what it ``holds``, under ``LONGSPAN_CACHE`` or ``longspan`` in the user's cache.

    That is ``XDG_CACHE_HOME``, or ~/.cache.

    Raises:
        OSError: in one line, where there is no home.

    """
    own = os.environ.get("LONGSPAN_CACHE")
    if own:
        return Path(own) / holds
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "longspan" / holds
    except RuntimeError as error:
        raise OSError("LONGSPAN_CACHE: must name a folder where there is no home") from error
