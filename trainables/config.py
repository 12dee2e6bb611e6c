"""A trial's configuration: what a space chooses and a trial is built from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from trainables.models.config import ModelConfig
from trainables.parts import Config, OneOf
from trainables.randomness import digest
from trainables.regimes import REGIMES, RegimeConfig


class TrainingConfig(Config):
    """How a member is trained: Adam (Kingma & Ba 2015) on the mean loss of the scored answers.

    Attributes:
        batch_size: sequences a step
        clip_norm: gradients are scaled down to this norm (Pascanu et al. 2013); null for never

    """

    regime: Annotated[RegimeConfig, OneOf(REGIMES)] = REGIMES["incremental"].Config(
        kind="incremental"
    )
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    clip_norm: float | None = Field(default=1.0, gt=0)
    batch_size: int = Field(default=32, ge=1)


class TrialConfig(Config):
    """One architecture and how it is trained."""

    model: ModelConfig
    training: TrainingConfig = TrainingConfig()

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration: equal configurations, equal digests."""
        return digest(self.model_dump(mode="json"))


def describe(configuration: Mapping[str, Any]) -> str:
    """A configuration in a few words."""
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
    words.append(f"read-out {model['readout']['kind']}")
    words.append(f"lr {configuration['training']['learning_rate']:.1e}")
    return " · ".join(words)
