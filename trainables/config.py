"""A trial's configuration: what a space chooses and a trial is built from."""

from __future__ import annotations

from trainables.learning.config import TrainingConfig
from trainables.measure.plain import digest
from trainables.models.config import ModelConfig
from trainables.parts import Config


class TrialConfig(Config):
    """One architecture and how it is trained."""

    model: ModelConfig
    training: TrainingConfig = TrainingConfig()

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration: equal configurations, equal digests."""
        return digest(self.model_dump(mode="json"))
