"""What did well on several tasks, to be tried first: ``search.portfolio``.

The configurations stand in ``spaces/portfolio.yaml``, the best first; how they were chosen, and
what they were worth on tasks that had no part in the choice, is told in ``docs/searching.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

import yaml
from pydantic import ValidationError

from search.checking.answered import answered
from search.proposing.draws import nested, proposed
from search.spec import Prior
from spaces import Space
from trainables.config import TrialConfig

SHIPPED = files("spaces") / "portfolio.yaml"


def of_portfolio(space: Space) -> Iterator[Prior]:
    """The configurations that are in the space, each as the space asks for it."""
    for each in map(Prior.model_validate, yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))):
        trial = answered(each.parameters)
        try:
            found = TrialConfig.model_validate(proposed(space, trial))
        except ValidationError:  # of the random rest of another space
            continue
        if found == TrialConfig.model_validate(nested(each.parameters)):
            yield Prior(origin=f"portfolio: {each.origin}", parameters=dict(trial.params))
