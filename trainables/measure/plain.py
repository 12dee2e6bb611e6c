"""Plain values, which cross a border between processes or lie in a file: read, and their digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Value = TypeVar("Value")
Fits = Callable[[Any], bool]


class NotReadableError(ValueError):
    """Plain values hold a key that this version does not know, or lack one that it needs."""


def read(kind: type[Value], found: Mapping[str, Any]) -> Value:
    """A value of the dataclass ``kind``; a key that is missing takes its default.

    Raises:
        NotReadableError: in one line, if a key is unknown, or one without default is missing.
        ValueError: in one line, if a value is of another kind than the key's.
    """
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise ValueError(f"{kind.__name__}: {repr(found)[:40]} is no mapping of values by name")
    try:
        value = kind(**found)
    except TypeError:
        known = fields(kind)  # type: ignore[arg-type]  # every `kind` is a dataclass
        raise NotReadableError(f"{kind.__name__}: {_what_is_wrong(known, found)}") from None
    _require_kinds(value)
    return value


def _what_is_wrong(known: tuple[Field[Any], ...], found: Mapping[str, Any]) -> str:
    for key in found:
        if key not in {field.name for field in known}:
            return f"{key!r} is not known to this version of Longspan; a later one wrote it"
    needed = [f.name for f in known if f.default is MISSING and f.default_factory is MISSING]
    missing = next(key for key in needed if key not in found)
    return f"{missing!r} is missing; this key is required"


def _require_kinds(value: object) -> None:
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


def digest(value: Any) -> str:
    """SHA-256, in hex, of a plain nested value: the same in every process and on every machine."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
