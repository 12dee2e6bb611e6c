"""Functions of one's own, which a spec names as ``module:function``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from search.errors import UserError
from search.spec.spec import Spec
from trainables.messages import named
from trainables.plugins import load_plugins


def function_named(key: str, name: str, spec: Spec) -> Callable[..., Any]:
    """The function that ``key`` names, from the spec's folders.

    Raises:
        UserError: in one line, if there is none.
    """
    load_plugins([], spec.import_from)
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (Exception, SystemExit) as error:  # whatever the module's own code raises
        raise UserError(f"{key}: {name!r} cannot be imported: {named(error)}") from None
    if not callable(found):
        raise UserError(f"{key}: {name!r} is no function")
    called: Callable[..., Any] = found
    return called
