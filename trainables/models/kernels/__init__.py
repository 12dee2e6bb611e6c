"""How recurrences are computed: compiled where that runs, else by scans and chunked forms."""

from trainables.models.kernels.compiled.door import describe

__all__ = ["describe"]
