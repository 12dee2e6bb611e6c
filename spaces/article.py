"""``article``: the remedies of the classic article, and no others."""

from __future__ import annotations

from optuna import Trial

from spaces.choices.cells import suggest_inside
from spaces.choices.ends import suggest_convolution, suggest_early_positions, suggest_readout
from spaces.choices.learning import suggest_optimisation, suggest_regime
from spaces.choices.stacks import suggest_depth, suggest_hidden_size, suggest_plain_residual


def article(trial: Trial) -> None:
    """A convolution or none, gates, attention or a memory, a read-out, a regime."""
    kinds = ["lstm", "gru", "transformer", "ntm", "dnc"]
    cell = trial.suggest_categorical("model/cell/kind", kinds)
    suggest_inside(trial, cell)
    if cell == "transformer":
        suggest_early_positions(trial)
    suggest_convolution(trial)
    suggest_depth(trial)
    suggest_plain_residual(trial)
    suggest_hidden_size(trial)
    suggest_readout(trial)
    suggest_regime(trial)
    suggest_optimisation(trial, cell)
