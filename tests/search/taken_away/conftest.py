"""One search, made once, for every test of what people take away."""

from pathlib import Path

import pytest

from tests.search.conftest import once
from tests.search.taken_away.taken import make


@pytest.fixture(scope="session")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `tests.search.taken_away.taken`, which no test changes."""
    return once("taken-away", make, tmp_path_factory)
