"""Tasks, models, training and the ladder: everything of a trial that needs no cluster."""

from trainables.exported import load

__all__ = ["load"]
