"""``recurrent``: every net with a state, from the plain one to state spaces."""

from __future__ import annotations

from optuna import Trial

from spaces.choices.cells import suggest_inside
from spaces.choices.ends import suggest_front_end, suggest_readout
from spaces.choices.learning import suggest_optimisation, suggest_regime
from spaces.choices.stacks import suggest_depth, suggest_hidden_size, suggest_residual


def recurrent(trial: Trial) -> None:
    """A front end, recurrent blocks on residual paths, a read-out, a regime, how to optimise."""
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
    ]
    cell = trial.suggest_categorical("model/cell/kind", kinds)
    suggest_inside(trial, cell)
    suggest_front_end(trial)
    suggest_depth(trial)
    suggest_residual(trial)
    suggest_hidden_size(trial)
    suggest_readout(trial)
    suggest_regime(trial)
    suggest_optimisation(trial, cell)
