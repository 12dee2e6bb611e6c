"""``quick``: small models for a first look, some minutes on a laptop."""

from __future__ import annotations

from typing import Any

from optuna import Trial


def quick(trial: Trial) -> dict[str, Any]:
    """One small layer of a plain, gated or attending cell, with or without a convolution first."""
    cell = trial.suggest_categorical("model/cell/kind", ["rnn", "gru", "lstm", "transformer"])
    if cell == "lstm":
        trial.suggest_categorical("model/cell/forget_bias", [0.0, 1.0, 3.0, 5.0])
    if cell == "transformer":
        trial.suggest_categorical("model/positions/kind", ["none", "sinusoidal", "rope"])
    if trial.suggest_categorical("model/front_end/kind", ["none", "conv"]) == "conv":
        trial.suggest_categorical("model/front_end/kernel_width", [3, 5, 9, 17])
    trial.suggest_categorical("model/readout/kind", ["last", "attention"])
    trial.suggest_categorical("model/hidden_size", [16, 32])
    trial.suggest_float("training/learning_rate", 2e-3, 8e-3, log=True)
    return {"training/batch_size": 16}
