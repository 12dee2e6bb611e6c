"""``attention``: nets that look back over all steps, or over a window of them."""

from __future__ import annotations

from optuna import Trial

from spaces.choices.cells import suggest_inside, suggest_window
from spaces.choices.ends import suggest_front_end, suggest_positions, suggest_readout
from spaces.choices.learning import suggest_optimisation, suggest_regime
from spaces.choices.stacks import suggest_depth, suggest_hidden_size, suggest_residual


def attention(trial: Trial) -> None:
    """A front end, positions, attending blocks on residual paths, a read-out, a regime."""
    kinds = ["transformer", "self_attention"]
    cell = trial.suggest_categorical("model/cell/kind", kinds)
    suggest_inside(trial, cell)
    suggest_window(trial)
    suggest_front_end(trial)
    suggest_positions(trial)
    suggest_depth(trial)
    suggest_residual(trial)
    suggest_hidden_size(trial)
    suggest_readout(trial)
    suggest_regime(trial)
    suggest_optimisation(trial, cell)
