import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.market.clocktime import (
    clock_ns,
    clock_seconds,
    date_of,
    day_number,
    ist_date,
    ist_day,
    ist_ns,
    ist_text,
    ist_times,
    midnight_ns,
    minute_of_day,
    ns_of_day,
)

IST = ZoneInfo("Asia/Kolkata")
INSTANTS = st.integers(min_value=0, max_value=4_000_000_000 * 10**9)


@given(INSTANTS)
def test_agrees_with_zoneinfo(ns):
    there = dt.datetime.fromtimestamp(ns // 10**9, IST)
    assert ist_date(ns) == there.date()
    assert minute_of_day(ns) == there.hour * 60 + there.minute
    assert ist_text(ns - ns % 10**9) == there.isoformat()
    assert ist_times(np.array([ns]))[0] == there.replace(tzinfo=None).isoformat()
    assert ns_of_day(ns) == clock_ns(f"{there:%H:%M:%S}") + ns % 10**9
    assert date_of(ist_day(ns)) == there.date()
    assert ist_day(np.array([ns]))[0] == day_number(there.date())
    assert ns_of_day(np.array([ns]))[0] == ns_of_day(ns)


@given(st.dates(min_value=dt.date(1970, 1, 2), max_value=dt.date(2100, 1, 1)), st.times())
def test_wall_clock_to_instant_agrees_with_zoneinfo(day, time):
    clock = time.strftime("%H:%M:%S")
    expected = dt.datetime.combine(day, time.replace(microsecond=0), IST)
    assert ist_ns(day, clock) == int(expected.timestamp()) * 10**9
    assert ist_ns(day, clock[:5]) == ist_ns(day, clock[:5] + ":00")
    assert ist_date(midnight_ns(day)) == day
    assert ist_date(midnight_ns(day) - 1) == day - dt.timedelta(days=1)


def test_text_is_cut_to_the_microsecond():
    ns = ist_ns(dt.date(2025, 9, 2), "09:15:00")
    assert ist_text(ns) == "2025-09-02T09:15:00+05:30"
    assert ist_text(ns + 250_000_000) == "2025-09-02T09:15:00.250000+05:30"
    assert ist_text(ns + 250_000_999) == "2025-09-02T09:15:00.250000+05:30"


@pytest.mark.parametrize("text", ["9:15", "24:00", "09:60", "09:15:60", "0915", "", "09:15:00:00", "-9:15", "²²:00"])
def test_no_time_of_day(text):
    with pytest.raises(ValueError, match="write HH:MM"):
        clock_seconds(text)
