"""What computes a recurrence over time: compiled kernels where they run, torch's operators elsewhere."""

from trainables.models.kernels.compiled.door import describe

__all__ = ["describe"]
