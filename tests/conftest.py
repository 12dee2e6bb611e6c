"""Settings of every test."""

from hypothesis import settings

# A time limit an example would fail at random on a busy machine; pytest's own limit stays.
settings.register_profile("no time limit an example", deadline=None)
settings.load_profile("no time limit an example")
