"""Settings of every test."""

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

import search  # noqa: F401  Ray of the tests, wherever it is imported first, is as a search's

# Time limits would fail at random on a busy machine; pytest's own limit, on what hangs, stays.
settings.register_profile(
    "no time limits", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("no time limits")

# Tests run side by side, a process for each core.
torch.set_num_threads(1)

TESTS = Path(__file__).parent
LONGEST_FIRST = (
    "cluster/test_cluster.py",
    "trainables/formats",
    "golden",
    "test_add_a_layer.py",
    "test_tutorial.py",
    "search/test_extension.py",
    "cluster",
    "search/test_older_version.py",
    "search/test_chaos.py",
    "search/test_full_disk.py",
    "search/test_search.py",
    "search/taken_away",
    "search",
    "trainables/models/test_layer_contract.py",
    "trainables/test_trial.py",
    "spaces",
)
"""What takes minutes, so that processes side by side end together; any other file takes less."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first; within a file as they stand there."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    places = [item.path.is_relative_to(TESTS / place) for place in LONGEST_FIRST]
    return [*places, True].index(True)
