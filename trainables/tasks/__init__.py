"""Tasks: what is to be remembered."""

from trainables.tasks.task import Task

TASKS: dict[str, type[Task]] = {}

__all__ = ["TASKS"]
