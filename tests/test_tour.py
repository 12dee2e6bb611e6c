"""`examples/tour.ipynb` shows what its cells give: they are run, and what they show is compared.

Which trial is best and how long each took may differ on another machine; what kind of thing a cell
shows, and how much of it, does not.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks import PLOTLY, run, sources

TOUR = Path("examples/tour.ipynb").absolute()


def cells(path: Path) -> list[dict[str, Any]]:
    return [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]


def shape(output: dict[str, Any]) -> Any:
    """What kind of thing is shown: columns and rows of a table, kinds of traces of a figure."""
    if output["output_type"] == "stream":
        return sorted("trial" in line and "reach" in line for line in output["text"])
    data = output["data"]
    if PLOTLY in data:
        figure = data[PLOTLY]
        return sorted({trace["type"] for trace in figure["data"]}), figure["layout"]["xaxis"][
            "title"
        ]
    heads = [line.strip() for line in data.get("text/html", []) if "<th>" in line]
    return sorted(data), heads


def test_its_outputs_are_of_the_cells_as_they_stand() -> None:
    """Remade by: python -m tests.notebooks examples/tour.ipynb."""
    notebook = json.loads(TOUR.read_text())
    assert notebook["metadata"]["ran"] == sources(notebook["cells"])
    assert [cell["execution_count"] for cell in cells(TOUR)] == [1, 2, 3, 4, 5, 6, 7]
    assert all(cell["outputs"] for cell in cells(TOUR))


def test_a_cell_shows_what_jupyter_would() -> None:
    made: list[dict[str, Any]] = [
        {"cell_type": "code", "source": ["x = 2\n", "print('two')\n", "x + 1"]},
        {"cell_type": "markdown", "source": ["x"]},
        {"cell_type": "code", "source": ["y = x"]},
    ]
    run(made)
    stream, value = made[0]["outputs"]
    assert (stream["text"], value["data"]) == (["two\n"], {"text/plain": ["3"]})
    assert (made[2]["outputs"], made[2]["execution_count"]) == ([], 2)
    with pytest.raises(ZeroDivisionError):
        run([{"cell_type": "code", "source": ["1 / 0"]}])


@pytest.mark.slow  # a search of six trials in a notebook
def test_it_runs_and_shows_the_same(tmp_path: Path) -> None:
    again = tmp_path / "tour.ipynb"
    command = [sys.executable, "-m", "tests.notebooks", str(TOUR), "--to", str(again)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for before, now in zip(cells(TOUR), cells(again), strict=True):
        assert before["source"] == now["source"]
        assert list(map(shape, before["outputs"])) == list(map(shape, now["outputs"]))
