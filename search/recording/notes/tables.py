"""Tables in Markdown as MLflow shows them."""

from __future__ import annotations


def spaced(table: str) -> str:
    """A table whose columns stand apart: MLflow leaves no space between them."""
    lines = table.split("\n")
    apart = [line.replace(" | ", "&ensp; | ") if line.startswith("| ") else line for line in lines]
    return "\n".join(apart).replace("| below ", "| below&nbsp;")
