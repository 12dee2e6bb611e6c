"""How recurrences are computed: compiled where that runs, else by scans and chunked forms."""

from trainables.models.kernels.door import describe, switch

__all__ = ["describe", "switch"]
