"""The two ways a recurrence is computed, and when one of them is not there."""

import pytest

from trainables.models.kernels import describe
from trainables.models.kernels.door import SWITCH

PATHS = ["compiled", "torch"]


def take(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have recurrences computed this way from here on; skip where nothing is compiled."""
    monkeypatch.setenv(SWITCH, "on" if path == "compiled" else "off")
    if path == "compiled" and not describe().startswith("c:"):
        pytest.skip(describe())
