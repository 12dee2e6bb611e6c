"""The spec: one YAML file that says what is searched, on what, and how."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from search.spec.sections import Outline
from search.spec.yaml_files import dump_yaml
from trainables.parts import OneOf
from trainables.tasks import TASKS
from trainables.tasks.task import TaskConfig


class Spec(Outline):
    """What is searched, on what, and how.

    Validating one imports nothing: kinds that a plugin brings are known once the plugin is loaded,
    which `search.spec.read` and `search.spec.revive` see to.
    """

    tasks: list[Annotated[TaskConfig, OneOf(TASKS)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if len(self.tasks_by_name) != len(self.tasks):
            raise ValueError("tasks: the same task stands there twice")
        return self

    @property
    def tasks_by_name(self) -> dict[str, TaskConfig]:
        """Each task under its kind; where a kind comes again, with a number."""
        named: dict[str, TaskConfig] = {}
        for task in self.tasks:
            name, count = task.kind, 1
            while name in named and named[name] != task:
                count += 1
                name = f"{task.kind}-{count}"
            named[name] = task
        return named

    def to_yaml(self) -> str:
        """The spec with every default written out."""
        return dump_yaml(self.model_dump(mode="json"))
