"""Whether a file of the user's own hides one of the packages that this one stands on."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("search", "spaces", "trainables")
HOME = Path(__file__).parents[1]


def require_our_own() -> None:
    """Refuse a `search.py` or the like beside a script, before it is imported in place of ours.

    Raises:
        ImportError: in one line.
    """
    for name in PACKAGES:
        found = find_spec(name)
        if found is None:
            raise ImportError(f"longspan: its package {name!r} is not there; install it again")
        where = Path(found.origin or next(iter(found.submodule_search_locations or [name])))
        if where.resolve() != (HOME / name / "__init__.py").resolve():
            raise ImportError(
                f"longspan: {where} hides its package {name!r}; give that file another name"
            )
