"""Finding the space of a spec."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from search.errors import UserError
from search.spec import Spec
from spaces import SPACES, Space
from spaces.declared import DeclaredSpace
from trainables.messages import one_line
from trainables.plugins import SPACES as SPACES_TABLE
from trainables.plugins import brought_by, imported, load_plugins


def find_space(spec: Spec) -> Space:
    """A shipped space or a plugin's by name, a YAML file's, or one's own as ``module:function``.

    Raises:
        UserError: if there is none, in one line.
    """
    if spec.choices is not None:
        return _declared(spec.space, spec.choices)
    known = known_spaces(spec.plugins, spec.import_from)
    if spec.space in known:
        return known[spec.space]
    module, colon, function = spec.space.partition(":")
    if not colon:
        raise UserError(
            f"space: {spec.space!r} is not known; allowed: {', '.join(known)}, a YAML file, "
            "or module:function"
        )
    try:
        found = getattr(imported(module, spec.import_from), function)
    except (ValueError, AttributeError) as error:
        raise UserError(f"space: {spec.space!r} cannot be imported: {one_line(error)}") from None
    if not callable(found):
        raise UserError(f"space: {spec.space!r} is not a function of an Optuna trial")
    return found


def known_spaces(plugins: Sequence[str], folders: Sequence[str] = ()) -> dict[str, Space]:
    """The shipped spaces and those that plugins bring, by name.

    Raises:
        UserError: in one line, if a plugin brings none under the name of another.
    """
    known = dict(SPACES)
    try:
        modules = load_plugins(plugins, folders)
    except ValueError as error:
        raise UserError(f"plugins: {error}") from None
    for module in modules:
        for name, space in _brought(module).items():
            if not isinstance(name, str):
                raise UserError(f"plugins: {module.__name__!r}: SPACES: {name!r} is no name")
            if not callable(space):
                raise UserError(f"plugins: {module.__name__!r}: SPACES: {name!r} is no function")
            if known.setdefault(name, space) is not space:
                raise UserError(f"plugins: {module.__name__!r}: SPACES: {name!r} is taken")
    return known


def _brought(module: ModuleType) -> dict[Any, Any]:
    try:
        return brought_by(module, SPACES_TABLE) or {}
    except ValueError as error:
        raise UserError(f"plugins: {error}") from None


def _declared(name: str, choices: dict[Any, Any]) -> Space:
    try:
        return DeclaredSpace.model_validate(choices)
    except ValidationError as error:
        raise UserError(f"space: {name}: {one_line(error)}") from None
