"""An error in one line, for whoever caused it."""

from __future__ import annotations

from pydantic import ValidationError


def one_line(error: BaseException | str, longest: int | None = None) -> str:
    """What an error says, without line breaks; at most the first ``longest`` characters.

    Of a configuration's error it is the first complaint: key, value, and what is allowed.
    """
    try:
        text = _complaint(error) if isinstance(error, ValidationError) else str(error)
    except Exception as another:  # of an error of somebody's own, which cannot say what it is
        text = f"{type(error).__name__}, and {type(another).__name__} when asked what it says"
    return " ".join(text.split())[:longest]


def named(error: BaseException) -> str:
    """In one line the error's type and what it says, for errors of somebody's own code."""
    return f"{type(error).__name__}: {one_line(error)}"


def _complaint(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(step) for step in first["loc"])
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        reason = "this key is not known"
    elif first["type"] == "missing":
        reason = "this key is required"
    elif first["type"] not in ("kind", "part", "value_error"):
        reason = f"{first['input']!r} is not allowed: {reason[0].lower()}{reason[1:]}"
    return f"{key}: {reason}" if key else reason


def duration(seconds: float) -> str:
    """A length of time in the unit that people would say it in."""
    for unit, size, most in (("s", 1, 90), ("min", 60, 90 * 60), ("h", 3600, 48 * 3600)):
        if seconds < most:
            return f"{seconds / size:.{1 if seconds < 10 * size and size > 1 else 0}f} {unit}"
    return f"{seconds / 86400:,.0f} days"
