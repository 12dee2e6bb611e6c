"""What is known of an architecture before it is trained, and what explains where it ended."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from trainables.limits.capacity import NUMBERS, items_held, numbers_held
from trainables.limits.demand import ITEMS, demand_of
from trainables.limits.distance import blocks_of, limits_of
from trainables.limits.gradient import ATTENDING, KEPT
from trainables.limits.precision import SLOWEST
from trainables.limits.window import window_of
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.records import Limits
from trainables.models.cells import LAYERS
from trainables.models.config import ModelConfig
from trainables.models.layer import Surroundings
from trainables.tasks import TASKS

LADDER = LadderConfig(start=8, stop=4096)
RECALL = {"kind": "recall", "alphabet": 8}


def plain(**model: Any) -> dict[str, Any]:
    """A model of width 16, as plain values."""
    return ModelConfig.model_validate({"hidden_size": 16, **model}).model_dump(mode="json")


def of(task: dict[str, Any] = RECALL, ladder: LadderConfig = LADDER, **model: Any) -> Limits:
    return limits_of(plain(**model), task, ladder)


def test_nothing_heavy_is_imported() -> None:
    """The leaderboard reads limits, and starts without torch."""
    heavy = "{'torch', 'scipy', 'ray', 'optuna', 'mlflow'}"
    code = f"import trainables.limits.distance, sys; assert not {heavy} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_forget_gate_of_bias_one_ends_by_its_gradient() -> None:
    found = of(cell={"kind": "lstm"})
    assert found == Limits(24, math.inf, 2.0**23, math.inf, math.inf)
    assert list(found.finite) == ["gradient", "precision"]
    assert found.why(reach=16, failed=32) == found.why(0, 16) == "gradient"
    assert found.why(reach=0, failed=8) is None, "24 steps do not explain a failure at 8"
    assert found.why(reach=32, failed=64) is None, "it was passed"


def test_windows_add_up_and_a_stride_multiplies() -> None:
    cell = {"kind": "self_attention", "window": 9, "num_heads": 2}
    assert of(cell=cell, depth=3).window == 3 * 8
    strided = {"kind": "strided", "stride": 4, "kernel_width": 5}
    assert of(cell=cell, front_end=strided).window == 4 * 8 + 4
    assert of(cell=cell, front_end={"kind": "dilated", "num_layers": 4}).window == 8 + 15
    assert of(cell=cell, readout={"kind": "attention"}).window == math.inf
    assert (
        of(cell=cell, hybrid={"kind": "interleaved", "cell": {"kind": "lstm"}}).window == math.inf
    )
    assert of(cell={"kind": "lmu", "theta": 40}).window == 40
    learned = {"kind": "learned", "max_length": 100}
    for readout in ("last", "attention"):
        found = of(cell={"kind": "self_attention"}, positions=learned, readout={"kind": readout})
        assert found.window == 99, "the sequence has a step more than the lag"


def test_a_state_too_small_for_what_is_asked_holds_it_over_no_lag() -> None:
    """A matrix of 16 x 16 numbers, and pairs of which each value is one of 64."""
    pairs = {"kind": "associative_recall", "pairs": 30, "vocabulary": 128}
    cell = {"kind": "mlstm", "num_heads": 1}
    assert of(pairs, cell=cell).capacity == math.inf
    assert of({**pairs, "pairs": 31}, cell=cell).capacity == 0
    assert of({**pairs, "pairs": 31}, cell=cell, depth=2).capacity == math.inf
    assert of({**pairs, "pairs": 31}, cell={"kind": "self_attention"}).capacity == math.inf
    assert of({**pairs, "pairs": 65}, cell={"kind": "ntm", "num_slots": 64}).capacity == 0
    many = {"kind": "copying", "symbols": 129, "alphabet": 8}
    assert of(many, cell={"kind": "gru"}).capacity == 0, "387 bits in 16 numbers of 24"
    assert of({**many, "symbols": 128}, cell={"kind": "gru"}).capacity == math.inf
    assert of({"kind": "stream"}, cell={"kind": "gru"}).capacity is None


def test_precision_is_that_of_the_numbers_that_are_kept() -> None:
    """What numpy's and torch's floats do at the edge below 1."""
    tau = 1 / (1 - float(np.float32(1) / np.float32(1 + 2.0**-23)))
    assert of(cell={"kind": "lstm"}).precision == tau == 2.0**23
    largest = np.nextafter(np.float32(1), np.float32(0))
    assert of(cell={"kind": "lru"}).precision == 1 / (1 - float(largest)) == 2.0**24
    bf16 = limits_of(plain(cell={"kind": "lstm"}), RECALL, LADDER, precision="bf16")
    assert bf16.precision == 256
    kept = limits_of(plain(cell={"kind": "min_gru"}), RECALL, LADDER, precision="bf16")
    assert kept.precision == 2.0**23, "its state is kept in float32"
    for turned in ("rope", "xpos"):
        assert of(cell={"kind": "transformer"}, positions={"kind": turned}).precision == 2.0**23
    for first, lost in ((2**23 - 1000, False), (2**24 - 1000, True)):
        angles = np.arange(first, first + 1000).astype(np.float32) * np.float32(0.53)
        assert (np.diff(angles) == 0).any() == lost, "from there on two steps may look the same"
    assert of(cell={"kind": "transformer"}).precision == math.inf
    assert of(cell={"kind": "ntm"}).precision is None


def test_cost_ends_where_the_budget_no_longer_pays_for_the_sequences() -> None:
    """1000 sequences of a lag of d cost 3 x 1000 x 100 d operations: 0.03 GFLOP pay for 100."""
    ladder = LadderConfig(start=8, stop=4096, sequences=1000, gflop=0.03)

    def cost(ladder: LadderConfig) -> float | None:
        model = plain(cell={"kind": "rnn"})
        return limits_of(model, RECALL, ladder, flops=lambda lag: 100.0 * lag).cost

    assert cost(ladder) == 100
    assert cost(ladder.model_copy(update={"gflop": None})) == math.inf
    assert cost(ladder.model_copy(update={"gflop": 1e6})) == math.inf
    assert cost(ladder.model_copy(update={"gflop": 1e-6})) == 0
    assert of(ladder=ladder, cell={"kind": "rnn"}).cost is None


def test_every_kind_that_ships_is_in_the_tables_or_said_not_to_be() -> None:
    """A kind that is added must be thought of."""
    assert set(NUMBERS) == set(LAYERS)
    assert {kind for kind in LAYERS if window_of(_cell(kind)) is None} == set()
    no_gradient = {"mamba", "mamba2", "mamba3", "refined_lstm", "ind_rnn", "lmu", "ntm", "dnc"}
    no_gradient |= {"sam", "recurrent_memory", "bilinear_rnn"}
    assert set(LAYERS) - set(KEPT) - ATTENDING == no_gradient
    no_precision = {"rnn", "co_rnn", "lmu", "ntm", "dnc", "sam", "recurrent_memory"}
    assert set(LAYERS) - set(SLOWEST) - ATTENDING == no_precision
    assert set(TASKS) - set(ITEMS) == {"parquet", "stream"}
    for kind in ITEMS:
        demand = demand_of(TASKS[kind].Config(kind=kind).model_dump(mode="json"))
        assert demand is not None
        assert demand.bits >= 1


def test_a_kind_that_is_not_known_is_said_not_to_be() -> None:
    model = {**plain(cell={"kind": "lstm"}), "cell": {"kind": "mine"}}
    assert limits_of(model, {"kind": "mine"}, LADDER) == Limits(cost=math.inf)
    assert limits_of(model, {"kind": "mine"}, LADDER, choices=4).why(0, 8) is None


GROWING = {"hyena", "recurrent_memory", "ntm", "dnc", "sam"}
"""Kinds whose first state is not as large as later ones, or is not all numbers of slots."""


def _cell(kind: str) -> dict[str, Any]:
    return LAYERS[kind].Config(kind=kind).model_dump(mode="json")


@pytest.mark.parametrize("kind", sorted(set(LAYERS) - ATTENDING - GROWING))
def test_the_numbers_of_a_state_are_those_that_the_layer_carries(kind: str) -> None:
    """All of them, but for a short convolution's inputs and what keeps exponents in range."""
    layer = LAYERS[kind](LAYERS[kind].Config(kind=kind), Surroundings(16))
    carried = layer.initial_state(1)
    counted = numbers_held(_cell(kind), 16)
    assert counted in {
        sum(part[0].numel() for part in carried),
        sum(part[0].numel() for part in carried[1:]),
        4 * (16 // 4) ** 2,  # mlstm, whose normaliser stands beside its memory
    }


def test_blocks_are_those_of_the_model() -> None:
    config = ModelConfig.model_validate(
        {"cell": {"kind": "gru"}, "depth": 5, "hybrid": {"kind": "interleaved", "every": 2}}
    )
    kinds = [block["kind"] for block in blocks_of(config.model_dump(mode="json"))]
    assert kinds == [block.kind for block in config.blocks]


def test_half_of_the_pairs_are_recalled_at_the_predicted_number() -> None:
    """Sums of outer products of random keys and values: m = 2 n ln V, within a tenth of rate."""
    generator = np.random.default_rng(0)
    width, values = 32, 64
    pairs = items_held({"kind": "mlstm", "num_heads": 1}, width, values)
    assert pairs is not None
    rates = [_recalled(width, values, round(pairs * part), generator) for part in (0.25, 1, 4)]
    assert rates[0] > 0.95
    assert 0.4 < rates[1] < 0.6
    assert rates[2] < 0.2


def _recalled(width: int, values: int, pairs: int, generator: np.random.Generator) -> float:
    rates = []
    for _ in range(20):
        keys, book = (generator.normal(size=(n, width)) for n in (pairs, values))
        keys /= np.linalg.norm(keys, axis=1, keepdims=True)
        book /= np.linalg.norm(book, axis=1, keepdims=True)
        told = generator.choice(values, pairs)
        memory = keys.T @ book[told]
        rates.append(((keys @ memory @ book.T).argmax(1) == told).mean())
    return float(np.mean(rates))


def test_limits_are_the_same_after_json() -> None:
    limits = Limits(24, 0, math.inf, None)
    assert Limits.from_json(json.loads(json.dumps(limits.to_json(), allow_nan=False))) == limits
