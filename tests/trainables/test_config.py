"""A trial's configuration and the ladder: defaults, round trips, refusals, schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from search.spec import Spec
from trainables.config import TrialConfig
from trainables.measure.ladder import Rule
from trainables.measure.ladder_config import LadderConfig, StallRule
from trainables.messages import one_line
from trainables.models.cells import LAYERS
from trainables.models.config import ModelConfig
from trainables.regimes import REGIMES

GRU = {"model": {"cell": "gru"}}


def refusal(kind: type[Any], value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(value)
    return one_line(caught.value)


# Configurations


def test_a_cell_is_all_that_a_configuration_takes() -> None:
    config = TrialConfig.model_validate(GRU)
    assert (config.model.hidden_size, config.model.depth) == (64, 1)
    for part in ("front_end", "positions", "hybrid", "residual"):
        assert getattr(config.model, part).kind == "none"
    assert config.model.readout.kind == "last"
    assert config.training.regime.kind == "incremental"
    assert [block.kind for block in config.model.blocks] == ["gru"]


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("regime", REGIMES)
def test_every_configuration_goes_out_and_comes_back(cell: str, regime: str) -> None:
    """As YAML and JSON carry it, with the same digest."""
    chosen = {"kind": regime, "window": 64} if regime == "truncated" else regime
    config = TrialConfig.model_validate(
        {"model": {"cell": cell, "depth": 2, "residual": "add"}, "training": {"regime": chosen}}
    )
    plain = json.loads(json.dumps(config.model_dump(mode="json")))
    assert TrialConfig.model_validate(plain) == config
    assert TrialConfig.model_validate(plain).digest == config.digest
    assert plain["model"]["cell"]["kind"] == cell


def test_a_digest_does_not_tell_how_the_configuration_was_written() -> None:
    """Defaults left out or spelled out, numbers as text or not: the same trial."""
    written_out = {
        "training": {"learning_rate": "1e-3", "batch_size": 32.0},
        "model": {"depth": 1, "cell": {"kind": "gru"}},
    }
    digest = TrialConfig.model_validate(GRU).digest
    assert TrialConfig.model_validate(written_out).digest == digest
    other = {**GRU, "training": {"learning_rate": 0.00100001}}
    assert TrialConfig.model_validate(other).digest != digest


def test_configurations_are_frozen() -> None:
    config = TrialConfig.model_validate(GRU)
    with pytest.raises(ValidationError, match="frozen"):
        config.model = config.model
    with pytest.raises(ValidationError, match="frozen"):
        config.model.hidden_size = 3
    with pytest.raises(ValidationError, match="frozen"):
        LadderConfig().start = 3


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({}, "model: this key is required"),
        ({"model": {}}, "model.cell: this key is required"),
        ({"model": {"cell": "gru", "width": 3}}, "model.width: this key is not known"),
        ({"model": {"cell": "grue"}}, "model.cell: kind: 'grue' is not known; allowed: rnn, lstm"),
        (
            {"model": {"cell": "gru", "hidden_size": 0}},
            "model.hidden_size: 0 is not allowed: input should be greater than or equal to 1",
        ),
        (
            {"model": {"cell": "gru", "hidden_size": 1 << 20}},
            "model.hidden_size: 1048576 is not allowed: input should be less than or equal to "
            "16384",
        ),
        (
            {"model": {"cell": "gru", "positions": "rope"}},
            "model: positions.kind: rope is not allowed; it acts inside self-attention, and gru "
            "has none; allowed: none, sinusoidal, learned",
        ),
        (
            {**GRU, "training": {"learning_rate": 0}},
            "training.learning_rate: 0 is not allowed: input should be greater than 0",
        ),
        (
            {**GRU, "training": {"clip_norm": float("inf")}},
            "training.clip_norm: inf is not allowed: input should be a finite number",
        ),
        (
            {**GRU, "training": {"regime": {"kind": "incremental", "rehearsal_fraction": 1}}},
            "training.regime: rehearsal_fraction: 1 is not allowed: input should be less than 1",
        ),
        (
            {**GRU, "training": {"regime": "increments"}},
            "training.regime: kind: 'increments' is not known; "
            "allowed: incremental, scratch, mixed",
        ),
    ],
)
def test_a_refused_configuration_says_why_in_one_line(value: Any, line: str) -> None:
    said = refusal(TrialConfig, value)
    assert said.startswith(line)
    assert len(said.splitlines()) == 1


def test_positions_inside_attention_go_with_whatever_attends() -> None:
    """A transformer, or a recurrent cell with attention between its blocks."""
    ModelConfig.model_validate({"cell": "transformer", "positions": "rope"})
    mixed = {"cell": "gru", "hybrid": {"kind": "interleaved"}, "depth": 4, "positions": "alibi"}
    ModelConfig.model_validate(mixed)


# The ladder


def test_the_ladder_gives_its_rungs_and_rule() -> None:
    ladder = LadderConfig(start=8, stop=100, ratio=2, members=4, quorum=3)
    assert ladder.rungs == (8, 16, 32, 64, 100)
    assert ladder.rule == Rule(members=4, quorum=3)
    assert LadderConfig.model_validate(ladder.model_dump(mode="json")) == ladder
    assert LadderConfig(stall=None).stall is None
    assert LadderConfig().stall == StallRule(patience=0.3, improvement=0.01)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"start": 1}, "start: 1 is not allowed: input should be greater than or equal to 2"),
        ({"start": 9, "stop": 8}, "stop: 8 is not allowed; it must be at least start (9)"),
        ({"ratio": 1}, "ratio: 1 is not allowed: input should be greater than or equal to 1.01"),
        ({"ratio": float("inf")}, "ratio: inf is not allowed: input should be a finite number"),
        ({"members": 0}, "members: 0 is not allowed: input should be greater than or equal to 1"),
        ({"members": 2}, "quorum: 3 is not allowed; it lies between 1 and members (2)"),
        ({"quorum": 0}, "quorum: 0 is not allowed: input should be greater than or equal to 1"),
        ({"success": 1}, "success: 1 is not allowed: input should be less than 1"),
        ({"success": 0}, "success: 0 is not allowed: input should be greater than 0"),
        ({"sequences": 0}, "sequences: 0 is not allowed: input should be greater than or equal"),
        ({"sequences": 1.5}, "sequences: 1.5 is not allowed: input should be a valid integer"),
        ({"gflop": 0}, "gflop: 0 is not allowed: input should be greater than 0"),
        ({"seconds": 0}, "seconds: 0 is not allowed: input should be greater than 0"),
        ({"stall": {"patience": 0}}, "stall.patience: 0 is not allowed: input should be greater"),
        ({"stall": {"patient": 1}}, "stall.patient: this key is not known"),
        ({"budget": 1}, "budget: this key is not known"),
    ],
)
def test_a_ladder_that_cannot_be_climbed_is_refused_in_one_line(
    changes: dict[str, Any], line: str
) -> None:
    said = refusal(LadderConfig, changes)
    assert said.startswith(line)
    assert len(said.splitlines()) == 1


# The schema


def references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


@pytest.mark.parametrize("kind", [Spec, TrialConfig, LadderConfig])
def test_the_schema_is_json_and_whole(kind: type[Any]) -> None:
    """It can be printed, refuses unknown keys, and every reference in it leads somewhere."""
    schema = json.loads(json.dumps(kind.model_json_schema()))
    assert schema["additionalProperties"] is False
    for reference in references(schema):
        there: Any = schema
        for step in reference.removeprefix("#/").split("/"):
            there = there[step]
        assert "properties" in there


def test_the_schema_lists_every_cell() -> None:
    schema = ModelConfig.model_json_schema()
    kinds = [s["properties"]["kind"]["const"] for s in schema["properties"]["cell"]["oneOf"]]
    assert kinds == list(LAYERS)
