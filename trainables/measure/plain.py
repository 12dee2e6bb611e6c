"""Plain values, which cross a border between processes or lie in a file: read, and their digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

from trainables.measure.typed import require_kinds

Value = TypeVar("Value")


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
    require_kinds(value)
    return value


def _what_is_wrong(known: tuple[Field[Any], ...], found: Mapping[str, Any]) -> str:
    for key in found:
        if key not in {field.name for field in known}:
            return f"{key!r} is not known to this version of Longspan; a later one wrote it"
    needed = [f.name for f in known if f.default is MISSING and f.default_factory is MISSING]
    missing = next(key for key in needed if key not in found)
    return f"{missing!r} is missing; this key is required"


def digest(value: Any) -> str:
    """SHA-256, in hex, of a plain nested value: the same in every process and on every machine."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
