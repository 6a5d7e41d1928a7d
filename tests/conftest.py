"""Settings of every test: property tests try the same examples each time and have no time limit an example."""

from itertools import groupby

import pytest
from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files of daemons on the sandbox exchange evenly over all others, each file whole.

    They mostly wait, and the list is handed to the workers in as many parts as there are: one would wait for all.
    """
    files = [list(found) for _, found in groupby(items, key=lambda item: item.path)]
    live = [found for found in files if found[0].path.parent.name == "live"]
    rest = [item for found in files if found[0].path.parent.name != "live" for item in found]
    step = len(rest) // (len(live) or 1)
    if not live or not step:
        return
    spread: list[pytest.Item] = []
    for number, found in enumerate(live):
        spread += found
        spread += rest[number * step : (number + 1) * step]
    items[:] = spread + rest[len(live) * step :]
