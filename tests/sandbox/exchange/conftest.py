"""Simulated exchanges to try things on."""

import pytest
from exchange_helpers import Venue, with_settings


@pytest.fixture
def venue():
    made = Venue()
    made.quote()
    return made


@pytest.fixture
def make_venue():
    def make(faults=None, **groups):
        made = Venue(with_settings(**groups), faults)
        made.quote()
        return made

    return make
