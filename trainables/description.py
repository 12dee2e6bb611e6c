"""A recorded configuration, said in a few words; it needs no kind's own code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def describe(configuration: Mapping[str, Any]) -> str:
    """A configuration in a few words."""
    words = [stack(configuration), f"read-out {configuration['model']['readout']['kind']}"]
    training = configuration["training"]
    if "optimiser" in training:
        words.append(training["optimiser"]["kind"])
    words.append(f"lr {training['learning_rate']:.1e}")
    return " · ".join(words)


def stack(configuration: Mapping[str, Any]) -> str:
    """Its layers and what stands before and between them, in fewer words."""
    model = configuration["model"]
    layers = f"{model['depth']} x " if model["depth"] > 1 else ""
    words = [f"{layers}{model['cell']['kind']} {model['hidden_size']}"]
    front_end = model["front_end"]
    if front_end["kind"] != "none":
        width = front_end.get("kernel_width")
        words.append(front_end["kind"] + (f" {width}" if width else ""))
    if model["positions"]["kind"] != "none":
        words.append(model["positions"]["kind"])
    if model["residual"]["kind"] != "none":
        words.append(f"residual {model['residual']['kind']}")
    return " · ".join(words)
