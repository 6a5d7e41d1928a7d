import csv
import datetime as dt
import gzip
import os
from collections import defaultdict
from pathlib import Path

import pytest

from sos_actors.errors import InputError
from sos_actors.market.calendar import INDIA, Session
from sos_actors.market.clocktime import ist_ns, minute_of_day
from sos_actors.market.tables import HOLIDAYS, SPECIAL_SESSIONS

DATA = Path(os.environ.get("SOS_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
D = dt.date


def hours(exchange, day):
    return [tuple(f"{m // 60:02d}:{m % 60:02d}" for m in map(minute_of_day, s)) for s in INDIA.sessions(exchange, day)]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (D(2026, 7, 31), [("09:15", "15:30")]),
        (D(2026, 8, 3), [("09:15", "15:40")]),
        (D(2026, 11, 23), [("09:15", "15:40")]),
        (D(2024, 1, 20), [("09:15", "15:30")]),
        (D(2024, 3, 2), [("09:15", "10:00"), ("11:30", "12:30")]),
        (D(2024, 11, 1), [("18:00", "19:00")]),
        (D(2025, 10, 21), [("13:45", "14:45")]),
        (D(2026, 2, 1), [("09:15", "15:30")]),
        (D(2026, 11, 24), []),
        (D(2026, 11, 8), []),
        (D(2026, 11, 21), []),
    ],
)
def test_sessions(day, expected):
    assert hours("NSE", day) == expected
    assert hours("BSE", day) == expected


def test_steps_over_holidays_and_special_days():
    assert INDIA.previous_trading_day("NSE", D(2026, 11, 25)) == D(2026, 11, 23)
    assert INDIA.next_trading_day("NSE", D(2026, 11, 23)) == D(2026, 11, 25)
    assert INDIA.next_trading_day("NSE", D(2024, 1, 19)) == D(2024, 1, 20)
    assert INDIA.previous_trading_day("BSE", D(2024, 1, 23)) == D(2024, 1, 20)
    days = INDIA.trading_days("NSE", D(2026, 11, 20), D(2026, 11, 27))
    assert days == (D(2026, 11, 20), D(2026, 11, 23), D(2026, 11, 25), D(2026, 11, 26), D(2026, 11, 27))


def test_unknown_year_and_exchange_say_what_to_do():
    with pytest.raises(InputError, match=r"no holiday list for 2027.*refresh the calendar"):
        INDIA.sessions("NSE", D(2027, 1, 4))
    with pytest.raises(InputError, match="NSE and BSE"):
        INDIA.sessions("MCX", D(2026, 1, 5))


def _row(day, kind, closed=(), opened=()):
    return {
        "date": day,
        "description": "",
        "holiday_type": kind,
        "closed_exchanges": list(closed),
        "open_exchanges": [
            {"exchange": name, "start_time": ist_ns(D.fromisoformat(day), a) // 10**6,
             "end_time": ist_ns(D.fromisoformat(day), b) // 10**6}
            for name, a, b in opened
        ],
    }  # fmt: skip


def test_broker_rows_count_by_exchange_not_by_type():
    calendar = INDIA.with_holidays(
        [
            _row("2026-11-08", "SPECIAL_TIMING", ["CDS"], [("NFO", "13:45", "14:45"), ("BFO", "13:45", "14:45")]),
            _row("2026-12-01", "TRADING_HOLIDAY", ["CDS", "BFO"], [("NFO", "09:15", "15:40")]),
            _row("2026-12-02", "SETTLEMENT_HOLIDAY", [], [("MCX", "09:00", "23:30")]),
            _row("2026-12-03", "TRADING_HOLIDAY", ["NFO", "BFO"]),
            _row("2027-01-26", "TRADING_HOLIDAY", ["NFO", "BFO", "NSE"]),
        ]
    )
    muhurat = D(2026, 11, 8)
    assert calendar.sessions("NSE", muhurat) == (Session(ist_ns(muhurat, "13:45"), ist_ns(muhurat, "14:45")),)
    assert calendar.is_trading_day("NSE", D(2026, 12, 1))
    assert not calendar.is_trading_day("BSE", D(2026, 12, 1))
    assert calendar.is_trading_day("NSE", D(2026, 12, 2))
    assert not calendar.is_trading_day("NSE", D(2026, 12, 3))
    assert not calendar.is_trading_day("NSE", D(2026, 11, 24)), "the tables stay where the rows say nothing"
    assert calendar.is_trading_day("NSE", D(2027, 1, 25))
    assert not calendar.is_trading_day("NSE", D(2027, 1, 26))
    assert INDIA.is_trading_day("NSE", D(2026, 12, 3)), "the first calendar is unchanged"


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"date": "26-01-2026"},
        {"date": "2026-01-26", "open_exchanges": [{"exchange": "NFO"}]},
        "2026-01-26",
        _row("2026-12-01", "SPECIAL_TIMING", [], [("NFO", "15:30", "09:15")]),
    ],
)
def test_bad_broker_rows(row):
    with pytest.raises(InputError, match="holiday row"):
        INDIA.with_holidays([row])


def test_tables_are_consistent():
    for year, days in HOLIDAYS.items():
        assert all(day.year == year and day.weekday() < 5 for day in days)
    for day, sessions in SPECIAL_SESSIONS.items():
        assert day.weekday() >= 5 or day in HOLIDAYS[day.year]
        assert list(sessions) == sorted(sessions)


@pytest.mark.filterwarnings("ignore:Series.values returning")  # inside exchange_calendars
def test_same_weekday_holidays_as_exchange_calendars():
    """XBOM lists the full closures of weekdays; it has neither Muhurat nor weekend sessions, nor 15:40."""
    exchange_calendars = pytest.importorskip("exchange_calendars")
    theirs = {
        day.date() for day in exchange_calendars.get_calendar("XBOM", start="2023-01-01", end="2026-12-31").sessions
    }
    ours = set(INDIA.trading_days("NSE", D(2023, 1, 1), D(2026, 12, 31)))
    assert ours - theirs == set(SPECIAL_SESSIONS), "only the special sessions are ours alone"
    assert theirs - ours == set()


@pytest.mark.real_data
def test_real_minutes_fall_in_sessions_and_fill_them():
    path = DATA / "index_1m_NIFTY.csv.gz"
    if not path.exists():
        pytest.skip("no real market data")
    minutes = defaultdict(set)
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            minutes[D.fromisoformat(row["ts"][:10])].add(ist_ns(D.fromisoformat(row["ts"][:10]), row["ts"][11:16]))
    assert len(minutes) > 200
    for day, seen in minutes.items():
        sessions = INDIA.sessions("NSE", day)
        assert sessions, f"{day} has data but no session"
        wanted = {t for s in sessions for t in range(s.open_ns, s.close_ns, 60 * 10**9)}
        assert len(wanted - seen) <= 5, day
        # Outside there are only the pre-open's 09:07 and prices that stand still after the close.
        strays = {minute_of_day(t) for t in seen - wanted}
        assert all(m == 547 or m >= 930 for m in strays), day
    listed = INDIA.trading_days("NSE", D(2024, 1, 1), D(2024, 8, 23))
    missing = set(listed) - set(minutes)
    assert missing == {D(2024, 2, 1), D(2024, 3, 4), D(2024, 4, 5), D(2024, 5, 7), D(2024, 7, 10)}, "as the data says"


@pytest.mark.real_data
def test_three_years_of_option_days_are_trading_days():
    path = DATA / "options_15m_ATM_NIFTY_2023-01_2026-01.csv.gz"
    if not path.exists():
        pytest.skip("no real market data")
    with gzip.open(path, "rt") as file:
        days = {row["ts"][:10] for row in csv.DictReader(file)}
    assert len(days) == 491
    assert [day for day in sorted(days) if not INDIA.is_trading_day("NSE", D.fromisoformat(day))] == []
