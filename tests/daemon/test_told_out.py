"""That nobody is logged in is told where alerts go, in time and not every second."""

import datetime as dt
from types import SimpleNamespace

from sos_actors.daemon.daemon import Daemon
from sos_actors.market.clocktime import ist_ns
from sos_actors.messages import AlertLevel

FRIDAY, SATURDAY = dt.date(2026, 11, 20), dt.date(2026, 11, 21)


def heart(told):
    """Give a daemon that waits for a log-in, its clock, and what keeps it out."""
    daemon = object.__new__(Daemon)
    clock = SimpleNamespace(now=lambda: clock.at, at=0)
    daemon._live, daemon._told_out, daemon._wall = False, None, clock
    daemon._request = SimpleNamespace(symbols=("NIFTY",))
    daemon._tokens, daemon._admission = SimpleNamespace(trouble=""), SimpleNamespace(trouble="")
    daemon._alerts = SimpleNamespace(put=told.append)
    return daemon, clock


def test_a_missing_log_in_is_told_in_the_morning_of_a_trading_day_once_for_each_reason():
    told = []
    daemon, clock = heart(told)

    def beat(day, time, trouble):
        clock.at, daemon._tokens.trouble = ist_ns(day, time), trouble
        daemon._tell_if_out()
        return [event.text for event in told]

    assert beat(FRIDAY, "03:31", "it died") == []
    assert beat(FRIDAY, "08:44", "it died") == []
    assert beat(FRIDAY, "08:45", "it died") == ["not let in at the broker: it died"]
    assert len(beat(FRIDAY, "09:00", "it died")) == 1
    assert len(beat(FRIDAY, "09:01", "")) == 1
    assert len(beat(FRIDAY, "10:00", "of another")) == 2
    assert len(beat(FRIDAY, "16:00", "it died")) == 2
    assert len(beat(SATURDAY, "09:00", "it died")) == 2
    assert len(beat(dt.date(2026, 11, 23), "08:45", "it died")) == 3
    assert {event.level for event in told} == {AlertLevel.CRITICAL}
