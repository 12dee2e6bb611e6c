"""How recurrences are computed: compiled where that runs, else scans and chunked forms of torch's."""

from trainables.models.kernels.compiled.door import describe

__all__ = ["describe"]
