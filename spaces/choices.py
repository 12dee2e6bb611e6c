"""The single choices that spaces are made of, one function each.

A parameter's name is its path in the nested configuration. Choices are written out, never built
from a table: Optuna refuses a categorical that changed, so a list that grew with a table would
break every study under way.
"""

from __future__ import annotations

from typing import Any

from optuna import Trial

Fixed = dict[str, Any]
"""Parameters that a space sets without a choice, by path."""


def suggest_first_cell(trial: Trial) -> None:
    """A plain, an LSTM or a GRU recurrence, or a Transformer, each with what goes with it."""
    cell = trial.suggest_categorical("model/cell/kind", ["rnn", "lstm", "gru", "transformer"])
    if cell in ("lstm", "gru"):
        suggest_forget_bias(trial)
    if cell == "transformer":
        suggest_positions(trial)


def suggest_forget_bias(trial: Trial) -> None:
    """The gate's bias at the start: 0 forgets half a step, 5 less than a hundredth."""
    trial.suggest_categorical("model/cell/forget_bias", [0.0, 1.0, 3.0, 5.0])


def suggest_positions(trial: Trial) -> None:
    """What tells self-attention which step is which."""
    trial.suggest_categorical("model/positions/kind", ["none", "sinusoidal", "rope"])


def suggest_front_end(trial: Trial) -> None:
    """Each step by itself, or a causal convolution over several."""
    if trial.suggest_categorical("model/front_end/kind", ["none", "conv"]) == "conv":
        trial.suggest_categorical("model/front_end/kernel_width", [3, 5, 9, 17])


def suggest_depth(trial: Trial) -> None:
    """One layer, or more with or without residual paths around them."""
    if trial.suggest_int("model/depth", 1, 3) > 1:
        trial.suggest_categorical("model/residual/kind", ["none", "add"])


def suggest_hidden_size(trial: Trial) -> None:
    """The width of the stream."""
    trial.suggest_categorical("model/hidden_size", [32, 64, 128])


def suggest_readout(trial: Trial) -> None:
    """The last step alone, or attention over all of them."""
    trial.suggest_categorical("model/readout/kind", ["last", "attention"])


def suggest_regime(trial: Trial) -> None:
    """Whether weights are carried up the ladder, and how much of the old is rehearsed."""
    regime = trial.suggest_categorical("training/regime/kind", ["incremental", "scratch"])
    if regime == "incremental":
        trial.suggest_categorical("training/regime/rehearsal_fraction", [0.0, 0.1, 0.25])


def suggest_optimisation(trial: Trial) -> None:
    """Learning rate and clipping."""
    trial.suggest_float("training/learning_rate", 3e-4, 1e-2, log=True)
    trial.suggest_categorical("training/clip_norm", [0.1, 1.0, 10.0])
