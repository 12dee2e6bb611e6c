"""What is refused before a search starts, in one line, rather than by every trial."""

from __future__ import annotations

import warnings

from pydantic import ValidationError

from search.checking.own_code import BUILT, made, try_space
from search.errors import UserError
from search.proposing.constraints import Constraints
from search.proposing.draws import DRAWS, draw
from search.proposing.new_study import new_study
from search.proposing.samplers import make_sampler, require_taken
from search.spec import Spec
from search.spec.spaces import find_space
from spaces import Space
from trainables.config import TrialConfig
from trainables.measure.reliability import look_confidence, trials_needed
from trainables.messages import named, one_line
from trainables.models.model import outline
from trainables.tasks.held_out import require_held_out
from trainables.tasks.task import Task


def check(spec: Spec, tasks: dict[str, Task] | None = None) -> dict[str, Task]:
    """Refuse a spec that names what is not there or asks for what cannot be.

    Args:
        spec: what is asked for
        tasks: as `read_tasks` gives them, where that was done

    Returns:
        its tasks, by name

    Raises:
        UserError: in one line.
    """
    tasks = check_tasks(spec, tasks)
    _check_space(spec, tasks)
    return tasks


def read_tasks(spec: Spec) -> dict[str, Task]:
    """The spec's tasks by name, with their data.

    Raises:
        UserError: in one line.
    """
    try:
        return {name: made(name, config) for name, config in spec.tasks_by_name.items()}
    except (ValueError, OSError) as error:
        raise UserError(f"tasks: {one_line(error)}") from None


def check_tasks(spec: Spec, tasks: dict[str, Task] | None = None) -> dict[str, Task]:
    """The spec's tasks by name, if their data and the ladder fit together.

    Raises:
        UserError: in one line.
    """
    tasks = read_tasks(spec) if tasks is None else tasks
    try:
        for name, task in tasks.items():
            _check_task(spec, name, task)
    except (ValueError, OSError) as error:
        raise UserError(f"tasks: {one_line(error)}") from None
    return tasks


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
    require_held_out(task, spec.ladder.success, spec.ladder.rungs)


def _check_space(spec: Spec, tasks: dict[str, Task]) -> None:
    """Read many draws, build some: what a space suggests must be what a model is built from."""
    space = find_space(spec)
    try:
        try_space(spec, space, tasks)
    except ValueError as error:
        raise UserError(str(error)) from None
    _check_start(spec, space)
    try:
        drawn = draw(space, DRAWS)
        for config in drawn[:BUILT]:
            for task in tasks.values():
                outline(config.model, task)
    except ValidationError as error:
        raise UserError(f"space: {spec.space!r} gives no model: {one_line(error)}") from None
    except (Exception, SystemExit) as error:  # whatever the user's own function raises
        reason = named(error)
        raise UserError(f"space: {spec.space!r} gives no model: {reason}") from None
    require_taken(spec, space)
    _check_constraints(spec, drawn)


def _check_constraints(spec: Spec, drawn: list[TrialConfig]) -> None:
    """Refuse constraints that hardly any proposal could keep."""
    constraints = Constraints(spec)
    sizes = [constraints.sizes(config) for config in drawn]
    limits = constraints.limits
    if any(all(size[key] <= limits[key] for key in limits) for size in sizes):
        return
    keeping = {key: sum(size[key] <= limits[key] for size in sizes) for key in limits}
    tightest = min(keeping, key=lambda key: keeping[key])
    smallest = min(size[tightest] for size in sizes)
    raise UserError(
        f"constraints.{tightest}: {limits[tightest]:,} leaves nothing of {spec.space!r}: of "
        f"{len(sizes)} random proposals {keeping[tightest]} keep it and none keeps them all; "
        f"the smallest seen is {smallest:,.0f}"
    )


def _check_start(spec: Spec, space: Space) -> None:
    """Refuse parameters to start with that the space would not take up."""
    for parameters in spec.search.start_with:
        study = new_study(sampler=make_sampler("random", 0, 0))
        study.enqueue_trial(dict(parameters))
        trial = study.ask()
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Optuna only warns of a value out of range
            try:
                space(trial)
            except Exception as error:
                reason = one_line(error)
                raise UserError(f"search.start_with: {reason}") from None
        for path, value in parameters.items():
            if trial.params.get(path) != value:
                raise UserError(
                    f"search.start_with: {path}: {value!r} is not suggested by {spec.space!r} "
                    "together with the other values"
                )
