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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes run the tests, no file is parted: its tests share what it has made.

    The files that read the small search share a process, so that it is run once. Other searches
    have each a Ray of their own and may run side by side.
    """
    sharing = {
        item.path
        for item in items
        if isinstance(item, pytest.Function) and "small_search" in item.fixturenames
    }
    for item in items:
        shared = item.path in sharing
        group = "small search" if shared else str(item.path.relative_to(TESTS))
        item.add_marker(pytest.mark.xdist_group(group))
