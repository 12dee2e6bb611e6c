"""Tasks, models, training and the ladder: everything of a trial that needs no cluster."""

from trainables.exports.exported import load

__all__ = ["load"]
