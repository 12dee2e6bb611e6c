"""Whether plain values, as a file holds them, are of the kinds that a dataclass names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

Fits = Callable[[Any], bool]


def require_kinds(value: object) -> None:
    """Refuse a dataclass of which a field holds another kind of value than it names.

    A whole number is a float too, and no flag is a number. Of a `Literal` only the kind is looked
    at: a later version may know more words.

    Raises:
        ValueError: in one line, with the class, the field and the value.
    """
    kind: Any = type(value)  # which mypy takes for not hashable
    for name, fits, wanted in _fields(kind):
        found = getattr(value, name)
        if not fits(found):
            said = "a nested value" if isinstance(found, dict | list) else repr(found)[:40]
            raise ValueError(f"{kind.__name__}: {name!r} is {said}; allowed: {wanted}")


@cache
def _fields(kind: type) -> list[tuple[str, Fits, str]]:
    hints = get_type_hints(kind)
    names = kind.__dataclass_fields__  # type: ignore[attr-defined]  # every `kind` is a dataclass
    return [(name, _fits(hints[name]), _words(hints[name])) for name in names]


def _fits(annotation: Any) -> Fits:
    """What says whether a value is of an annotation's kind."""
    inner, origin = get_args(annotation), get_origin(annotation)
    if annotation is Any:
        return lambda value: True
    if origin in (Union, UnionType):
        either = [_fits(each) for each in inner]
        return lambda value: any(fits(value) for fits in either)
    if origin is Literal:
        kinds = tuple({type(word) for word in inner})
        return lambda value: isinstance(value, kinds)
    if origin is tuple:
        each = _fits(inner[0])
        return lambda value: isinstance(value, tuple) and all(map(each, value))
    if origin in (dict, Mapping):
        key, held = map(_fits, inner)
        return lambda value: (
            isinstance(value, Mapping) and all(map(key, value)) and all(map(held, value.values()))
        )
    return _fits_class(annotation)


def _fits_class(kind: type) -> Fits:
    if kind in (int, float):
        numbers = (int, float) if kind is float else int
        return lambda value: isinstance(value, numbers) and not isinstance(value, bool)
    return lambda value: isinstance(value, kind)


def _words(annotation: Any) -> str:
    """An annotation as people call it."""
    inner, origin = get_args(annotation), get_origin(annotation)
    if origin in (Union, UnionType):
        return " or ".join(map(_words, inner))
    if origin is Literal:
        return ", ".join(map(str, inner))
    if origin is tuple:
        return "a list"
    if origin in (dict, Mapping):
        return "a mapping"
    if is_dataclass(annotation):
        return annotation.__name__  # type: ignore[union-attr,unused-ignore]
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false"}.get(
        annotation, "null"
    )
