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

    Another has the cluster's, which share that.
    """
    for item in items:
        if any(item.path.is_relative_to(place) for place in SEARCHES):
            item.add_marker(pytest.mark.xdist_group("searches"))
        elif item.get_closest_marker("cluster"):
            item.add_marker(pytest.mark.xdist_group("cluster"))
