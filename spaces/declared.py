"""Spaces that are declared instead of programmed: a mapping from parameters to what they may be.

Parameters are asked for in the order of the mapping, so that a condition can only look back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from optuna import Trial
from pydantic import ConfigDict, Field, RootModel, model_validator

from spaces.parameter import Parameter, Scalar

PATH = re.compile(r"[A-Za-z]\w*(/[A-Za-z]\w*)*")


class DeclaredSpace(RootModel[dict[str, Parameter]]):
    """A space, as a mapping from each parameter's path in the configuration to what it may be."""

    model_config = ConfigDict(frozen=True)

    root: dict[str, Parameter] = Field(min_length=1)

    @model_validator(mode="after")
    def _readable_in_order(self) -> Self:
        earlier: dict[str, Parameter] = {}
        for path, parameter in self.root.items():
            _require_path(path, self.root)
            for name, wanted in parameter.when.items():
                _require_condition(f"{path}.when", name, _several(wanted), earlier)
            earlier[path] = parameter
        return self

    def __call__(self, trial: Trial) -> dict[str, Any]:
        """Suggest the parameters whose conditions hold, and return the fixed ones."""
        taken: dict[str, Scalar] = {}
        for path, parameter in self.root.items():
            if all(
                name in taken and taken[name] in _several(wanted)
                for name, wanted in parameter.when.items()
            ):
                taken[path] = parameter.suggest(trial, path)
        return {path: value for path, value in taken.items() if not self.root[path].is_chosen}


def _several(wanted: Scalar | list[Scalar]) -> list[Scalar]:
    return wanted if isinstance(wanted, list) else [wanted]


def _require_path(path: str, paths: Mapping[str, Parameter]) -> None:
    if not PATH.fullmatch(path):
        raise ValueError(f"{path!r} is not a parameter's path, such as model/cell/kind")
    for other in paths:
        if other.startswith(f"{path}/"):
            raise ValueError(f"{path}: not allowed beside {other}, which lies inside it")


def _require_condition(
    where: str, name: str, wanted: list[Scalar], earlier: Mapping[str, Parameter]
) -> None:
    chosen = [path for path, parameter in earlier.items() if parameter.is_chosen]
    if name not in chosen:
        allowed = ", ".join(chosen) or "none, it is the first"
        raise ValueError(f"{where}: {name!r} is not chosen earlier; allowed: {allowed}")
    for value in wanted:
        if not earlier[name].allows(value):
            allowed = earlier[name].allowed
            raise ValueError(f"{where}.{name}: {value!r} is not among its values: {allowed}")
