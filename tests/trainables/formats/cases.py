"""A small model for every kind in the tables, each by the part that it is and its name."""

from __future__ import annotations

from typing import Any, NamedTuple

from trainables.models.cells import LAYERS
from trainables.models.config import ModelConfig
from trainables.models.front_ends import FRONT_ENDS
from trainables.models.hybrids import HYBRIDS
from trainables.models.memory.controllers import CONTROLLERS
from trainables.models.model import Model, build
from trainables.models.positions import POSITIONS
from trainables.models.readouts import READOUTS
from trainables.models.residuals import RESIDUALS
from trainables.tasks.task import ClassAnswer, NumberAnswer, Reals, Symbols

TABLES: dict[str, Any] = {
    "cell": LAYERS,
    "controller": CONTROLLERS,
    "front end": FRONT_ENDS,
    "positions": POSITIONS,
    "residual": RESIDUALS,
    "read-out": READOUTS,
    "hybrid": HYBRIDS,
}

ATTENTION = {"kind": "self_attention"}


class Interface(NamedTuple):
    """What is shown and asked."""

    inputs: Symbols | Reals = Symbols(5)
    answer: ClassAnswer | NumberAnswer = ClassAnswer(3)
    class_symbols: tuple[int, ...] = (1, 4, 2)


def model(interface: Interface = Interface(), **parts: Any) -> Model:
    """An untrained model of width 8 that answers with one of three classes."""
    config = ModelConfig.model_validate({"hidden_size": 8, "cell": {"kind": "gru"}, **parts})
    return build(config, interface, seed=0).eval()


def parts_of(part: str, kind: str) -> dict[str, Any]:
    """The configuration of a model that has this kind for this part."""
    if part == "controller":
        return {"cell": {"kind": "ntm", "controller": {"kind": kind}}}
    if part == "positions":
        return {"cell": ATTENTION, "positions": {"kind": kind}}
    if part == "hybrid":
        return {"hybrid": {"kind": kind}, "depth": 2}
    name = {"front end": "front_end", "read-out": "readout"}.get(part, part)
    return {name: {"kind": kind}}
