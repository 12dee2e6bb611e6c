"""``quick``: small models for a first look, some minutes on a laptop."""

from __future__ import annotations

from typing import Any

from optuna import Trial

from spaces.choices import suggest_forget_bias, suggest_front_end, suggest_positions


def quick(trial: Trial) -> dict[str, Any]:
    """One small layer of a plain, gated or attending cell, with or without a convolution before it.

    GRUs are left to the larger spaces: on a processor they train two to three times slower than
    LSTMs.
    """
    cell = trial.suggest_categorical("model/cell/kind", ["rnn", "lstm", "transformer"])
    if cell == "lstm":
        suggest_forget_bias(trial)
    if cell == "transformer":
        suggest_positions(trial)
    suggest_front_end(trial)
    trial.suggest_categorical("model/readout/kind", ["last", "attention"])
    trial.suggest_categorical("model/hidden_size", [16, 32])
    trial.suggest_float("training/learning_rate", 2e-3, 8e-3, log=True)
    return {"training/batch_size": 16}
