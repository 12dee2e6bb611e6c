"""Folders called ``key=value``: what they say of the rows below them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

NULL = "__HIVE_DEFAULT_PARTITION__"
"""How Hive, Spark, DuckDB and Polars write a null; an empty text is one as well."""


def hive_keys(file: Path) -> dict[str, str | None]:
    """What the folders of a path that is relative to the one given say, as text or null.

    Raises:
        ValueError: if two of them say the same key

    """
    keys: dict[str, str | None] = {}
    for part in file.parts[:-1]:
        name, equals, text = part.partition("=")
        if not equals:
            continue
        if unquote(name) in keys:
            raise ValueError(f"path: two folders of {file} are called {unquote(name)}=..")
        keys[unquote(name)] = None if text in (NULL, "") else unquote(text)
    return keys


def typed_keys(
    texts: Sequence[Mapping[str, str | None]],
) -> list[dict[str, int | str | None]]:
    """Each file's keys: integers where all of a key's values read as written and fit 64 bits."""
    values: dict[str, list[str]] = {}
    for keys in texts:
        for key, text in keys.items():
            values.setdefault(key, []).extend([] if text is None else [text])
    whole = {key for key, given in values.items() if all(_is_integer(text) for text in given)}
    return [
        {
            key: int(text) if key in whole and text is not None else text
            for key, text in keys.items()
        }
        for keys in texts
    ]


def _is_integer(text: str) -> bool:
    if not re.fullmatch("0|-?[1-9][0-9]{0,18}", text):
        return False
    return -(2**63) <= int(text) < 2**63


def key_column(
    key: str, name: str, value: int | str | None, rows: int, stored: pa.Array | None, file: Path
) -> pa.Array:
    """The column of a file's rows that its folder's name is.

    Args:
        key: of the configuration, for errors
        name: of the column
        value: what the folder says
        rows: of the file, R
        stored: the file's own column by that name (R,), if it has one
        file: for errors

    Raises:
        ValueError: if the folder says null, or the file's own column says something else

    """
    if value is None:
        raise ValueError(
            f"{key}: {name!r} of {file} is null, as its folder's name says ({name}={NULL}); give"
            " those rows a value, or move the folder away"
        )
    if stored is not None:
        own = _as_written(stored)
        differs = pc.not_equal(own, str(value)).fill_null(True)
        if pc.any(differs).as_py():
            other = stored[pc.index(differs, True).as_py()].as_py()
            raise ValueError(
                f"{key}: {name!r} of {file} is {value!r} by its folder's name, but {other!r} in"
                " the file; rename one of the two"
            )
    return pa.array([value] * rows)


def _as_written(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return pa.array([None if each is None else str(each) for each in column.to_pylist()])
