"""``quick``: small models for a first look, some minutes on a laptop."""

from __future__ import annotations

from typing import Any

from optuna import Trial

from spaces.choices import suggest_first_cell, suggest_front_end


def quick(trial: Trial) -> dict[str, Any]:
    """One layer of a plain, gated or attending cell, with or without a convolution before it."""
    suggest_first_cell(trial)
    suggest_front_end(trial)
    trial.suggest_categorical("model/readout/kind", ["last", "attention"])
    trial.suggest_categorical("model/hidden_size", [32, 64])
    trial.suggest_float("training/learning_rate", 2e-3, 8e-3, log=True)
    return {"training/batch_size": 16}
