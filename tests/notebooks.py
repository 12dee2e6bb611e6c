"""Runs a notebook's cells, one after the other in one process, and keeps what they show.

    python -m tests.notebooks examples/tour.ipynb

puts the outputs into the notebook anew; `tests/test_tour.py` holds them to what a run gives. What a
cell shows is what Jupyter would: the lines that it prints, and its last expression's value, as text
and, where the value offers it, as a table or a plotly figure.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import io
import json
import os
import tempfile
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

Cell = dict[str, Any]

PLOTLY = "application/vnd.plotly.v1+json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--to", type=Path, help="in place of the notebook itself")
    given = parser.parse_args()
    source, target = given.notebook.absolute(), (given.to or given.notebook).absolute()
    notebook = json.loads(source.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        warnings.simplefilter("ignore")
        run(notebook["cells"])
        os.chdir("/")
    notebook["metadata"]["ran"] = sources(notebook["cells"])
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
    target.write_text(f"{text}\n", encoding="utf-8")


def sources(cells: list[Cell]) -> str:
    """The SHA-256 of what the cells say: of another text the outputs are not."""
    return hashlib.sha256("\0".join("".join(c["source"]) for c in cells).encode()).hexdigest()


def run(cells: list[Cell]) -> None:
    """Run the cells that hold code, in one namespace, and give them their outputs."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for count, cell in enumerate((c for c in cells if c["cell_type"] == "code"), start=1):
        printed = io.StringIO()
        with redirect_stdout(printed):
            value = evaluate("".join(cell["source"]), names)
        lines = printed.getvalue().splitlines(keepends=True)
        cell["execution_count"] = count
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": lines}] * bool(lines)
        if value is not None:
            cell["outputs"].append(
                {
                    "output_type": "execute_result",
                    "execution_count": count,
                    "metadata": {},
                    "data": shown(value),
                }
            )


def evaluate(source: str, names: dict[str, Any]) -> Any:
    """Run the statements; the value of the last one, if it is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if not isinstance(last, ast.Expr):
        return None
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def shown(value: Any) -> dict[str, Any]:
    """A value as a notebook shows it, by the kind of content."""
    if hasattr(value, "to_plotly_json"):
        return {PLOTLY: json.loads(value.to_json()), "text/plain": [type(value).__name__]}
    found: dict[str, Any] = {"text/plain": repr(value).splitlines(keepends=True)}
    if hasattr(value, "_repr_html_"):
        found["text/html"] = value._repr_html_().splitlines(keepends=True)
    return found


if __name__ == "__main__":
    main()
