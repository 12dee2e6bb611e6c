"""Making a study, without Optuna's word that one was made."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.study import StudyDirection


def new_study(aims: int = 1, **given: Any) -> optuna.Study:
    """A study whose first value is maximised, and all others minimised.

    What is ``given`` is `optuna.create_study`'s to take.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [StudyDirection.MAXIMIZE, *[StudyDirection.MINIMIZE] * (aims - 1)]
    return optuna.create_study(directions=directions, **given)
