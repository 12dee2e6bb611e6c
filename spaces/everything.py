"""``everything``: every kind of every part."""

from __future__ import annotations

from optuna import Trial

from spaces.choices.cells import (
    suggest_inside,
    suggest_repairs,
    suggest_scores,
    suggest_window,
    suggest_writes,
)
from spaces.choices.ends import suggest_front_end, suggest_positions, suggest_readout
from spaces.choices.learning import suggest_any_regime, suggest_learning, suggest_optimisation
from spaces.choices.stacks import (
    suggest_depth,
    suggest_hidden_size,
    suggest_hybrid,
    suggest_residual,
)


def everything(trial: Trial) -> None:
    """Any front end, cell, hybrid, positions, residual path, read-out and regime together."""
    kinds = [
        "rnn",
        "lstm",
        "gru",
        "ind_rnn",
        "dilated_lstm",
        "min_gru",
        "min_lstm",
        "lru",
        "s4d",
        "mamba",
        "mlstm",
        "gated_delta",
        "mamba2",
        "mamba3",
        "kda",
        "rwkv7",
        "slstm",
        "refined_lstm",
        "lem",
        "co_rnn",
        "orthogonal_rnn",
        "bilinear_rnn",
        "hyena",
        "linoss",
        "lmu",
        "transformer",
        "self_attention",
        "recurrent_memory",
        "ntm",
        "dnc",
        "sam",
    ]
    cell = trial.suggest_categorical("model/cell/kind", kinds)
    suggest_inside(trial, cell)
    if cell in ("gated_delta", "kda"):
        suggest_writes(trial, cell)
    if cell == "dnc":
        suggest_repairs(trial)
    attends = cell in ("transformer", "self_attention")
    if attends:
        suggest_window(trial)
        suggest_scores(trial)
    suggest_front_end(trial)
    depth = suggest_depth(trial)
    if not attends:
        attends = suggest_hybrid(trial, depth)
    if attends:
        suggest_positions(trial)
    suggest_residual(trial)
    suggest_hidden_size(trial)
    suggest_readout(trial)
    suggest_any_regime(trial)
    suggest_optimisation(trial, cell, suggest_learning(trial))
