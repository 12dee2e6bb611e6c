"""Which of a file's numbers stand for nothing, and what a model is shown in their place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Num
from pydantic import BeforeValidator, Field

from trainables.parts import Config

NULL, NAN = "null", "nan"


def _listed(given: Any) -> Any:
    """A list of what was given: one value alone, YAML's null and its .nan are taken as well."""
    if given is None:
        return ()
    values = given if isinstance(given, list | tuple) else (given,)
    return tuple(_named(value) for value in values)


def _named(value: Any) -> Any:
    if value is None:
        return NULL
    if isinstance(value, float) and math.isnan(value):
        return NAN
    if isinstance(value, bool):
        raise ValueError(f"{value} is not allowed; numbers such as -999, null, nan")
    if isinstance(value, int | float):
        with suppress(OverflowError):  # of whole numbers without end
            return float(value)
    if isinstance(value, str) and value.lower() in (NULL, NAN):
        return value.lower()
    raise ValueError(f"{value!r} is not allowed; numbers such as -999, null, nan")


MissingValue = Annotated[float, Field(allow_inf_nan=False)] | Literal["null", "nan"]

MissingValues = Annotated[tuple[MissingValue, ...], BeforeValidator(_listed)]
"""Numbers, and the words ``null`` and ``nan``."""


class Missing(Config):
    """Values that are missing, and what is put there instead.

    Attributes:
        values: as the user wrote them: numbers, ``null``, ``nan``
        fill: of each feature, the number put in their place: the training values' mean, or
            median where the scale is robust
        indicator: whether each feature is followed, behind all of them, by one that is 1 where its
            value was missing and else 0
    """

    values: MissingValues
    fill: tuple[float, ...]
    indicator: bool = False

    @property
    def takes_nan(self) -> bool:
        """Whether a row may hold nulls or NaN; once read, they are one."""
        return NULL in self.values or NAN in self.values


def is_null(value: Any) -> bool:
    """Whether a single value is none: Python's, pandas' or a time's."""
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def is_missing(
    values: Num[np.ndarray, "*shape"], missing: Sequence[float | str]
) -> Bool[np.ndarray, "*shape"]:
    """Which values are NaN, or one of the numbers in ``missing`` as far as float32 tells."""
    found = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, dtype=bool)
    for value in missing:
        if isinstance(value, str):
            continue
        found |= values == value
        with np.errstate(over="ignore"):
            single = np.float32(value)
            if values.dtype.kind == "f" and np.isfinite(single):
                found |= values.astype(np.float32) == single
    return found


def filled(values: Num[np.ndarray, "*shape F"], missing: Missing) -> Float[np.ndarray, "*shape F"]:
    """The values as float64, with `Missing.fill` where they are missing."""
    return np.where(
        is_missing(values, missing.values), np.array(missing.fill), values.astype(np.float64)
    )
