"""What is refused before a search starts, in one line, rather than by every trial."""

from __future__ import annotations

import warnings

import optuna
import torch

from search.folder import UserError
from search.scheduler import draw
from search.searcher import make_sampler
from search.spaces import find_space
from search.spec import Spec
from spaces import Space
from trainables.models.model import build
from trainables.reliability import look_confidence, trials_needed
from trainables.tasks import TASKS
from trainables.tasks.held_out import require_held_out
from trainables.tasks.task import Task

DRAWS = 8


def check(spec: Spec) -> None:
    """Refuse a spec that names what is not there or asks for what cannot be.

    Raises:
        UserError: in one line.
    """
    try:
        tasks = {name: TASKS[config.kind](config) for name, config in spec.tasks_by_name.items()}
        for name, task in tasks.items():
            _check_task(spec, name, task)
    except (ValueError, OSError) as error:
        raise UserError(f"tasks: {' '.join(str(error).split())}") from None
    _check_space(spec, tasks)


def _check_task(spec: Spec, name: str, task: Task) -> None:
    if spec.ladder.start < task.shortest_lag:
        raise UserError(
            f"ladder.start: {spec.ladder.start} is not allowed; the shortest lag of {name} is "
            f"{task.shortest_lag}"
        )
    needed = trials_needed(spec.ladder.success, look_confidence(1))
    if spec.ladder.test_sequences < needed:
        raise UserError(
            f"ladder.test_sequences: {spec.ladder.test_sequences} cannot establish success "
            f"{spec.ladder.success:g}; it takes at least {needed}"
        )
    require_held_out(task, spec.ladder.success)


def _check_space(spec: Spec, tasks: dict[str, Task]) -> None:
    """Build a few draws: what a space suggests must be something that a model is built from."""
    space = find_space(spec.space)
    _check_start(spec, space)
    try:
        for config in draw(space, DRAWS):
            for task in tasks.values():
                with torch.device("meta"):
                    build(config.model, task, seed=0)
    except Exception as error:  # whatever the user's own function raises
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(f"space: {spec.space!r} gives no model: {reason}") from None


def _check_start(spec: Spec, space: Space) -> None:
    """Refuse parameters to start with that the space would not take up."""
    for parameters in spec.search.start_with:
        study = optuna.create_study(sampler=make_sampler("random", 0, 0))
        study.enqueue_trial(dict(parameters))
        trial = study.ask()
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Optuna only warns of a value out of range
            try:
                space(trial)
            except Exception as error:
                reason = " ".join(str(error).split())
                raise UserError(f"search.start_with: {reason}") from None
        for path, value in parameters.items():
            if trial.params.get(path) != value:
                raise UserError(
                    f"search.start_with: {path}: {value!r} is not suggested by {spec.space!r} "
                    "together with the other values"
                )
