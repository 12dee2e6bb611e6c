"""``modern``: recurrences that train in parallel over time, with attention between them or not."""

from __future__ import annotations

from optuna import Trial

from spaces.choices.cells import suggest_inside
from spaces.choices.ends import suggest_front_end, suggest_positions, suggest_readout
from spaces.choices.learning import suggest_optimisation, suggest_regime
from spaces.choices.stacks import (
    suggest_depth,
    suggest_hidden_size,
    suggest_hybrid,
    suggest_residual,
)


def modern(trial: Trial) -> None:
    """A front end, parallel recurrences, perhaps attention between them, a read-out, a regime."""
    kinds = [
        "min_gru",
        "min_lstm",
        "lru",
        "s4d",
        "mamba",
        "mlstm",
        "gated_delta",
    ]
    cell = trial.suggest_categorical("model/cell/kind", kinds)
    suggest_inside(trial, cell)
    suggest_front_end(trial)
    if suggest_hybrid(trial, suggest_depth(trial)):
        suggest_positions(trial)
    suggest_residual(trial)
    suggest_hidden_size(trial)
    suggest_readout(trial)
    suggest_regime(trial)
    suggest_optimisation(trial, cell)
