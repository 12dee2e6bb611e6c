"""The spec: one YAML file that says what is searched, on what, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from search.folder import NAME, UserError
from trainables.config import LadderConfig
from trainables.parts import Config, OneOf, one_line
from trainables.tasks import TASKS
from trainables.tasks.task import TaskConfig


class SearchConfig(Config):
    """How architectures are proposed and how long trials are given.

    Attributes:
        trials: how many trials to run to an end
        sampler: Optuna's: ``tpe`` learns from what was tried, ``random`` does not
        scheduler: ``asha`` stops trials that progress less than others for the same training cost;
            ``none`` lets each trial climb to its end
        seed: everything random derives from it
        concurrency: trials side by side; null for as many as the machine holds
        start_with: configurations to try first, each a mapping from parameters of the space, by
            path, to values; what one leaves out is proposed by the sampler
    """

    trials: int = Field(default=64, ge=1)
    sampler: Literal["tpe", "random"] = "tpe"
    scheduler: Literal["asha", "none"] = "asha"
    objectives: list[Literal["progress"]] = Field(default=["progress"], min_length=1, max_length=1)
    seed: int = Field(default=0, ge=0)
    concurrency: int | None = Field(default=None, ge=1)
    start_with: list[dict[str, str | int | float]] = []


class ResourcesConfig(Config):
    """What one trial is given; ``gpus`` may be a fraction."""

    cpus: float = Field(default=1, gt=0)
    gpus: float = Field(default=0, ge=0)


class TrackingConfig(Config):
    """Where MLflow records; null for SQLite under the runs folder, and for ``longspan``."""

    uri: str | None = None
    experiment: str | None = None


class Spec(Config):
    """What is searched, on what, and how.

    Attributes:
        controls: of the tasks, before the first search on them: ``refuse`` a task that fails one,
            ``warn`` of it, or ``off``
    """

    name: str = Field(pattern=f"^{NAME.pattern}$")
    space: str
    tasks: list[Annotated[TaskConfig, OneOf(TASKS)]] = Field(min_length=1)
    ladder: LadderConfig = LadderConfig()
    search: SearchConfig = SearchConfig()
    resources: ResourcesConfig = ResourcesConfig()
    tracking: TrackingConfig = TrackingConfig()
    controls: Literal["refuse", "warn", "off"] = "refuse"

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
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def read(path: Path) -> Spec:
    """The spec in a YAML file, with its data paths made absolute.

    Relative data paths count from the spec's own folder, or, where nothing is there, from the
    current folder.

    Raises:
        UserError: in one line, if the file or a key is not as it should be.
    """
    content = _yaml(path)
    for task in content.get("tasks") or []:
        if isinstance(task, dict) and isinstance(task.get("path"), str):
            task["path"] = str(_located(Path(task["path"]), path.parent))
    try:
        return Spec.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {one_line(error)}") from None


def _yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give a YAML spec") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: a spec is a mapping of keys, not {type(content).__name__}")
    return content


def _located(data: Path, folder: Path) -> Path:
    beside = folder / data
    return (beside if beside.exists() else data).absolute()
