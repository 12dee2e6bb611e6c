"""Finding a space by what a spec calls it."""

from __future__ import annotations

import importlib

from search.folder import UserError
from spaces import SPACES, Space


def find_space(name: str) -> Space:
    """A shipped space by name, or one's own as ``module:function``.

    Raises:
        UserError: if there is none, in one line.
    """
    if name in SPACES:
        return SPACES[name]
    module, colon, function = name.partition(":")
    if not colon:
        raise UserError(
            f"space: {name!r} is not known; allowed: {', '.join(SPACES)}, or module:function"
        )
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UserError(f"space: {name!r} cannot be imported: {error}") from None
    if not callable(found):
        raise UserError(f"space: {name!r} is not a function of an Optuna trial")
    return found
