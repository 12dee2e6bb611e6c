"""``first``: every choice of the first set of architectures."""

from __future__ import annotations

from optuna import Trial

from spaces.choices import (
    suggest_depth,
    suggest_first_cell,
    suggest_front_end,
    suggest_hidden_size,
    suggest_optimisation,
    suggest_readout,
    suggest_regime,
)


def first(trial: Trial) -> None:
    """A front end, cells in one to three layers, a read-out, a regime and how to optimise."""
    suggest_front_end(trial)
    suggest_first_cell(trial)
    suggest_depth(trial)
    suggest_hidden_size(trial)
    suggest_readout(trial)
    suggest_regime(trial)
    suggest_optimisation(trial)
