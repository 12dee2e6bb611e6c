"""Settings of every test."""

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

# Time limits would fail at random on a busy machine; pytest's own limit, on what hangs, stays.
settings.register_profile(
    "no time limits", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("no time limits")

# Tests run side by side, a process for each core.
torch.set_num_threads(1)

TESTS = Path(__file__).parent
SEARCHES = (TESTS / "search", TESTS / "test_add_a_layer.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes run the tests, one has those that start Ray and share a search.

    The tests of any other file share what that has made, so no file is parted.
    """
    for item in items:
        searches = any(item.path.is_relative_to(place) for place in SEARCHES)
        group = "searches" if searches else str(item.path.relative_to(TESTS))
        item.add_marker(pytest.mark.xdist_group(group))
