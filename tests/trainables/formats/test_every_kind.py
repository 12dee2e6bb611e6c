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


OTHERS: dict[str, dict[str, Any]] = {
    "window": {"cell": {**ATTENTION, "window": 5}},
    "window and alibi": {"cell": {**ATTENTION, "window": 5}, "positions": {"kind": "alibi"}},
    "additive": {"readout": {"kind": "attention", "score": "additive", "num_heads": 2}},
    "no links": {"cell": {"kind": "dnc", "links": False}},
    "no norm": {"residual": {"kind": "gated", "norm": "post"}},
    "few steps": {"cell": ATTENTION, "positions": {"kind": "learned", "max_length": 20}},
    "numbers": {"cell": ATTENTION, "interface": Interface(Reals(2))},
}

CONVERTED = {
    f"{part} {kind}": parts_of(part, kind)
    for part, kind in KINDS
    if kind != "none" and (part, kind) not in {("cell", "ntm"), ("read-out", "last")}
}
"""What is converted: ``none`` and ``last`` stand in every other, ``ntm`` under its controllers."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CONVERTED, *OTHERS])
def test_each_answers_as_pytorch_does(name: str) -> None:
    """At lengths and batches besides those that the conversion itself looks at."""
    known = {**CONVERTED, **OTHERS}[name]
    made = model(**known)
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
