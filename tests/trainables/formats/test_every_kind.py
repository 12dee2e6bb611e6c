"""Every kind in the tables takes a side in the documents, and is what they say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.formats.cases import ATTENTION, TABLES, Interface, model, parts_of
from trainables.exports.formats import FORMATS
from trainables.exports.formats.checked import TOLERANCE, convert, difference
from trainables.tasks.task import Reals

PAGE = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()
KINDS = [(part, kind) for part, table in TABLES.items() for kind in table]


def claimed() -> dict[tuple[str, str], tuple[str, str]]:
    """What the page says of each kind in each format."""
    rows = re.findall(r"^\| ([a-z -]+) (`.*?) \| (.*?) \| (.*?) \| .+ \|$", PAGE, re.MULTILINE)
    return {
        (part, kind): (by_torch, by_onnx)
        for part, kinds, by_torch, by_onnx in rows
        for kind in re.findall(r"`(\w+)`", kinds)
    }


def test_every_kind_takes_a_side() -> None:
    said = claimed()
    assert {place for place in said if place[0] in TABLES} == set(KINDS)
    assert all(side == "yes" or side.startswith("no: ") for pair in said.values() for side in pair)


WINDOW = {"kind": "self_attention", "window": 5}

TOGETHER: dict[str, dict[str, Any]] = {
    "conv sinusoidal add attention": {
        "cell": ATTENTION,
        "front_end": {"kind": "conv"},
        "positions": {"kind": "sinusoidal"},
        "residual": {"kind": "add"},
        "readout": {"kind": "attention", "num_heads": 2},
    },
    "dilated rope gated additive": {
        "cell": ATTENTION,
        "front_end": {"kind": "dilated", "num_layers": 2},
        "positions": {"kind": "rope"},
        "residual": {"kind": "gated", "norm": "post"},
        "readout": {"kind": "attention", "score": "additive"},
    },
    "strided alibi scaled window": {
        "cell": WINDOW,
        "front_end": {"kind": "strided"},
        "positions": {"kind": "alibi"},
        "residual": {"kind": "scaled"},
    },
    "xpos": {"cell": ATTENTION, "positions": {"kind": "xpos"}},
    "interleaved learned": {
        "hybrid": {"kind": "interleaved", "every": 1},
        "positions": {"kind": "learned", "max_length": 20},
        "interface": Interface(Reals(2)),
    },
    "scores": {
        "cell": {**WINDOW, "sink": True, "distance_bias": 64, "contextual_positions": 5},
    },
    "tied": {
        "front_end": {"kind": "none", "mapped": False},
        "readout": {"kind": "last", "tied": True},
    },
    "attention tied": {"readout": {"kind": "attention", "tied": True}},
    "feed_forward": parts_of("controller", "feed_forward"),
    "rnn": parts_of("controller", "rnn"),
    "gru": {"cell": {"kind": "dnc", "links": False, "controller": {"kind": "gru"}}},
}
"""Kinds besides cells, several to a model; the controller ``lstm`` is that of ``ntm`` itself."""

CONVERTED = {**{f"cell {kind}": parts_of("cell", kind) for kind in TABLES["cell"]}, **TOGETHER}


def test_every_kind_is_converted() -> None:
    """``none`` and ``last`` stand in every model of a cell."""
    known = {kind for name in CONVERTED for kind in name.split()} | {"none", "last", "lstm"}
    assert {kind for _, kind in KINDS} <= known


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CONVERTED))
def test_each_answers_as_pytorch_does(name: str) -> None:
    """At lengths and batches besides those that the conversion itself looks at."""
    made = model(**CONVERTED[name])
    converted = convert(FORMATS, made, lag=40, about={"lag": "40"})
    for form, file in converted.items():
        answer = FORMATS[form].open(file.content)
        for batch_size, steps in ((1, 1), (2, 2), (5, 13)):
            assert difference(made, answer, batch_size, steps) <= TOLERANCE, (form, steps)


@pytest.mark.slow
def test_many_answers_at_any_steps() -> None:
    made = model(readout={"kind": "attention"})
    inputs = torch.randint(5, (4, 9))
    scored = torch.tensor([[0, 3, 8], [1, 2, 3], [6, 7, 8], [0, 4, 5]])
    for form, file in convert(FORMATS, made, lag=8, about={}).items():
        with torch.no_grad():
            expected = made(inputs, scored)
        torch.testing.assert_close(FORMATS[form].open(file.content)(inputs, scored), expected)
