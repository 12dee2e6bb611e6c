"""Making a study, without Optuna's word that one was made."""

from __future__ import annotations

from typing import Any

import optuna


def new_study(**given: Any) -> optuna.Study:
    """A study whose value is maximised; what is ``given`` is `optuna.create_study`'s to take."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="maximize", **given)
