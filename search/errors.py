"""What a user can put right."""

from __future__ import annotations


class UserError(Exception):
    """Something a user can put right, in one line: the key or file, the value, what is allowed."""
