"""``memory``: nets with an external memory, and how large it is."""

from __future__ import annotations

from optuna import Trial

from spaces.choices.cells import suggest_inside
from spaces.choices.ends import suggest_convolution, suggest_readout
from spaces.choices.learning import suggest_optimisation, suggest_regime
from spaces.choices.stacks import suggest_hidden_size, suggest_residual


def memory(trial: Trial) -> None:
    """A convolution or none, one net with a memory, a residual path, a read-out, a regime."""
    kinds = ["ntm", "dnc", "sam"]
    cell = trial.suggest_categorical("model/cell/kind", kinds)
    suggest_inside(trial, cell)
    suggest_convolution(trial)
    suggest_residual(trial)
    suggest_hidden_size(trial)
    suggest_readout(trial)
    suggest_regime(trial)
    suggest_optimisation(trial, cell)
