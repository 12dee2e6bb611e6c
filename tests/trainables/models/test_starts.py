"""First weights of whole models: each part's own, or normal ones that add up to a quiet stream."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from torch import nn

from tests.trainables.formats.cases import Interface
from trainables.models.config import ModelConfig
from trainables.models.model import Model, build, outline
from trainables.models.starts import STARTS
from trainables.tasks.task import ClassAnswer, Reals, Symbols

WIDTH, STD = 64, 0.02
SHOWN = Interface(Symbols(200), ClassAnswer(100))
ATTENTION = {"kind": "self_attention", "num_heads": 1}
READOUTS: dict[str, dict[str, Any]] = {
    "last": {"kind": "last"},
    "dot": {"kind": "attention"},
    "additive": {"kind": "attention", "score": "additive"},
}


def model_of(interface: Interface = SHOWN, **parts: Any) -> Model:
    config = {"cell": "transformer", "hidden_size": WIDTH, "depth": 2, "residual": "add", **parts}
    return build(ModelConfig.model_validate(config), interface, seed=0)


def normal(**choices: Any) -> dict[str, Any]:
    return {"kind": "normal", **choices}


def require_normal(weight: torch.Tensor, std: float) -> None:
    """Mean and deviation within five standard errors, and as many beyond two deviations."""
    numbers = weight.detach().flatten().double()
    n = len(numbers)
    assert abs(numbers.mean().item()) < 5 * std / n**0.5
    assert numbers.std().item() == pytest.approx(std, rel=5 / (2 * n) ** 0.5)
    beyond = (numbers.abs() > 2 * std).double().mean().item()
    assert beyond == pytest.approx(0.0455, abs=5 * (0.0455 / n) ** 0.5)


@pytest.mark.parametrize("std", [STD, 0.3])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize(("cell", "layers"), [("transformer", 4), (ATTENTION, 2)])
def test_every_matrix_starts_as_gpt_2s(cell: Any, layers: int, readout: str, std: float) -> None:
    """By their names: those that end a layer are smaller by the root of their count."""
    model = model_of(
        cell=cell,
        positions={"kind": "learned", "max_length": 50},
        readout=READOUTS[readout],
        first_weights=normal(std=std),
    )
    ends = 0
    for name, weight in model.named_parameters():
        if name.startswith("front_end.") or ".pre." in name or name in ("norm.weight", "norm.bias"):
            continue
        if name == "readout.score.v":  # of additive scores, no matrix
            continue
        if name.endswith(".bias"):
            assert not weight.any(), name
            continue
        is_end = name.endswith((".layer.out.weight", ".layer.narrow.weight"))
        ends += is_end
        require_normal(weight, std / math.sqrt(layers) if is_end else std)
    assert ends == layers


def test_what_else_a_model_has_stays_its_own() -> None:
    """The map behind the inputs, norms, the bias of a gate, what scores are made of."""
    parts: dict[str, Any] = {
        "cell": {"kind": "self_attention", "num_heads": 2, "forget_bias": 3.0, "sharpened": True},
        "depth": 1,
        "front_end": {"kind": "conv", "kernel_width": 3},
        "residual": {"kind": "gated", "gate_bias": -2.0},
    }
    own = dict(model_of(**parts).named_parameters())
    drawn = dict(model_of(first_weights=normal(), **parts).named_parameters())
    changed = {name for name, weight in drawn.items() if not torch.equal(weight, own[name])}
    layer = "blocks.0.layer"
    maps = ["readout.map", f"{layer}.qkv", f"{layer}.out"]
    expected = {f"{name}.{of}" for name in maps for of in ("weight", "bias")}
    assert changed == {"embedding.weight", *expected}
    assert (own[f"{layer}.forget.bias"] == 3).all()


def test_a_tied_read_out_starts_with_the_table() -> None:
    tied = {"kind": "last", "tied": True}
    interface = Interface(Symbols(200), ClassAnswer(3), (5, 1, 6))
    model = model_of(interface, readout=tied, first_weights=normal())
    require_normal(model.embedding.weight, STD)


def test_own_weights_are_what_they_were() -> None:
    """To the last bit, with the kind or without it; nothing more is drawn or written."""
    plain, named = model_of(), model_of(first_weights="own")
    for name, weight in plain.named_parameters():
        assert torch.equal(weight, named.get_parameter(name)), name
    torch.manual_seed(0)
    assert torch.equal(plain.embedding.weight, nn.Embedding(200, WIDTH).weight)
    assert "first_weights" not in plain.config.model_dump(mode="json")


@pytest.mark.parametrize("kind", sorted(STARTS))
def test_configuration_round_trips(kind: str) -> None:
    config = ModelConfig.model_validate({"cell": "transformer", "first_weights": kind})
    again = ModelConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again == config
    assert again.first_weights.kind == kind


def test_other_layers_are_refused_in_one_line() -> None:
    """Those that start by a bias or a rotation of their own would lose what they are for."""
    said = (
        "first_weights.kind: normal is not allowed; lstm has first weights of its own; allowed: own"
    )
    with pytest.raises(ValueError, match=f"^{said}$"):
        model_of(cell="lstm", first_weights=normal())
    hybrid = {"kind": "interleaved", "every": 1}
    with pytest.raises(ValueError, match=f"^{said}$"):
        model_of(cell="lstm", hybrid=hybrid, first_weights=normal())


def test_numbers_have_no_table() -> None:
    model = model_of(Interface(Reals(2)), first_weights=normal())
    require_normal(model.get_parameter("blocks.0.layer.qkv.weight"), STD)


def test_it_can_be_outlined() -> None:
    """Without numbers in it, as sizes are counted before anything is trained."""
    config = {"cell": "transformer", "hidden_size": 8, "first_weights": normal()}
    model = outline(ModelConfig.model_validate(config), SHOWN)
    assert {weight.device.type for weight in model.parameters()} == {"meta"}
