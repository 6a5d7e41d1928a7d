"""Settings of every test: property tests try the same examples each time and have no time limit an example."""

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")
