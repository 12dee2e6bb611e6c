"""``records``: the kinds that hold the longest lags reported, each as it is trained for them."""

from __future__ import annotations

from optuna import Trial

from spaces.choices.cells import suggest_counted_positions, suggest_inside, suggest_writes
from spaces.choices.learning import suggest_any_regime, suggest_learning, suggest_optimisation
from spaces.choices.stacks import suggest_depth, suggest_hidden_size, suggest_residual


def records(trial: Trial) -> None:
    """One to three blocks of a holder on residual paths, a regime, how to optimise."""
    kinds = [
        "lstm",
        "ind_rnn",
        "lru",
        "mamba",
        "gated_delta",
        "mamba2",
        "mamba3",
        "kda",
        "rwkv7",
        "slstm",
        "refined_lstm",
        "lem",
        "orthogonal_rnn",
        "bilinear_rnn",
        "hyena",
        "linoss",
        "lmu",
        "recurrent_memory",
        "self_attention",
    ]
    cell = trial.suggest_categorical("model/cell/kind", kinds)
    suggest_inside(trial, cell)
    if cell in ("gated_delta", "kda"):
        suggest_writes(trial, cell)
    counts = cell == "self_attention"
    if counts:
        suggest_counted_positions(trial)
    suggest_depth(trial)
    suggest_residual(trial)
    suggest_hidden_size(trial)
    suggest_any_regime(trial)
    suggest_optimisation(trial, cell, suggest_learning(trial), counts=counts)
