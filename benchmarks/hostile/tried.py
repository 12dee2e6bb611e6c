"""A line of the table."""

from __future__ import annotations

from typing import NamedTuple


class Tried(NamedTuple):
    """How many of a kind were tried, and how many were met well."""

    kind: str
    tried: int
    met_well: int
