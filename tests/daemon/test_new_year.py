"""A year whose holidays nobody knows yet: the broker tells those of the current year only."""

import datetime as dt
import threading
from types import SimpleNamespace

import pytest

from sos_actors.config import Config
from sos_actors.daemon import edges as edges_module
from sos_actors.daemon.daemon import Daemon
from sos_actors.daemon.edges import Edges
from sos_actors.errors import DataError, InputError
from sos_actors.market.calendar import INDIA, TradingCalendar
from sos_actors.market.clocktime import ist_ns
from sos_actors.upstox.settings import UpstoxSettings

NEW_YEAR = dt.date(2027, 1, 1)
LIST = [{"date": "2027-01-26", "closed_exchanges": ["NFO", "BFO"], "open_exchanges": []}]


@pytest.fixture(autouse=True)
def _calendar_as_it_was():
    yield
    INDIA.become(TradingCalendar())


@pytest.fixture
def told(monkeypatch):
    """What the broker says are the year's holidays."""
    rows = []
    monkeypatch.setattr(edges_module, "MarketInfo", lambda _: SimpleNamespace(holidays=lambda: rows))
    return rows


def made(tmp_path):
    return Edges.make(Config(), UpstoxSettings(), tmp_path, lambda: ist_ns(NEW_YEAR, "08:40"))


def test_a_start_in_a_year_without_a_list_waits_for_the_brokers(tmp_path, told):
    edges = made(tmp_path)
    with pytest.raises(DataError, match="no list of the holidays of 2027 yet"):
        edges.open_calendar()
    told += LIST
    assert 2027 in edges.open_calendar()
    assert INDIA.is_trading_day("NSE", NEW_YEAR)
    assert not INDIA.is_trading_day("NSE", dt.date(2027, 1, 26))


def heart(edges):
    daemon = object.__new__(Daemon)
    daemon._live, daemon._stop, daemon._status, daemon._edges = False, threading.Event(), 0, edges
    daemon._day = dt.date(2026, 12, 31)
    daemon._wall = SimpleNamespace(now=edges.now)
    daemon._request = SimpleNamespace(symbols=("NIFTY",))
    return daemon


def test_a_daemon_that_comes_into_such_a_year_ends_to_be_started_anew(tmp_path):
    daemon = heart(made(tmp_path))
    daemon._new_day()
    assert (daemon._stop.is_set(), daemon._status) == (True, 1)  # 1: systemd starts it again
    assert daemon._day == dt.date(2026, 12, 31)


def test_a_day_of_a_known_year_is_brought(tmp_path, told):
    told += LIST
    edges = made(tmp_path)
    edges.open_calendar()
    brought = []
    edges.listed.of = brought.append
    daemon = heart(edges)
    daemon._new_day()
    assert (brought, daemon._day, daemon._stop.is_set()) == ([NEW_YEAR], NEW_YEAR, False)
    edges.bring_day("NSE", dt.date(2027, 1, 26))
    assert brought == [NEW_YEAR]
    with pytest.raises(InputError):
        edges.bring_day("NSE", dt.date(2028, 1, 3))
