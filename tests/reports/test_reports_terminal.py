"""The report as people read it."""

import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.market.day import DataQuality
from sos_actors.market.rupees import grouped, rupees
from sos_actors.reports.formats import decimal, percent, span
from sos_actors.reports.run import from_json, run_result, to_json
from sos_actors.reports.terminal import PIPE_WIDTH, SIMULATED_BANNER, print_run


def printed(record, trades=0) -> str:
    out = io.StringIO()
    print_run(run_result(record), out, trades)
    return out.getvalue()


def test_in_a_pipe_it_is_plain_text(record):
    text = printed(record, 10)
    assert text.isascii()
    assert "\x1b" not in text
    lines = text.split("\n")
    assert max(map(len, lines)) <= PIPE_WIDTH
    assert all(line == line.rstrip() for line in lines)


def test_says_what_matters_first(record):
    lines = printed(record).split("\n")
    assert lines[0] == SIMULATED_BANNER
    assert "BROKEN RUN: 2 failures" in lines[1]
    assert lines[2] == "NIFTY  2025-09-02 to 2025-09-03  (2 trading days, data: simulated)"
    assert lines[3] == "Net P&L 1,03,752.34 | 3 trades | won 33.3% | profit factor 6.32 | max drawdown 19,489.99"


def test_everything_is_told(record):
    text = printed(record, 3)
    told = [
        "round_level_rejection_short",
        "SQUARE_OFF",
        "09:00",
        "COOLDOWN",
        "11:00-11:03",
        "below_zero 2",
        "2,43,456",
        "no open",
        "Brokerage, STT",
        record.run_hash,
        record.config_hash,
        record.code_version,
        "ZeroDivisionError: [x]",
        "Trades: 3 of 3",
        "NIFTY 24450 PE",
        "1,23,242.33",
    ]
    assert [part for part in told if part not in text] == []


def test_figures_stand_under_their_heading_to_the_right(record):
    lines = printed(record).split("\n")
    place = next(n for n, line in enumerate(lines) if line.startswith("By exit"))
    end = lines[place + 1].index(" net") + len(" net")
    rows = lines[place + 3 : place + 6]
    assert [row[:end].split()[-1] for row in rows] == ["-525.62", "-18,964.37", "1,23,242.33"]


@pytest.mark.parametrize(("limit", "shown"), [(0, 0), (2, 2), (9, 3)])
def test_limit_of_trades(record, limit, shown):
    text = printed(record, limit)
    assert (f"Trades: {shown} of 3" in text) == (shown > 0)
    assert ("09-03 14:20" in text) == (shown == 3)


def test_no_banner_for_real_data(record):
    quality = [msgspec.structs.replace(day, simulated=False) for day in record.quality]
    assert "SIMULATED" not in printed(msgspec.structs.replace(record, quality=quality))


def test_no_trades(record):
    empty = msgspec.structs.replace(record, trades=(), marks=(), fills=(), failed=(), benched=(), quality=())
    lines = printed(empty, 5).split("\n")
    assert lines[1] == "No trades: 18 signals, 15 refusals."
    assert "By strategy" not in lines
    nothing = msgspec.structs.replace(empty, signals=(), refusals=(), assumptions={}, timings={}, sessions=())
    assert "nan" not in printed(nothing).lower()


def test_many_bad_days_are_cut_short_and_say_so(record):
    days = [msgspec.structs.replace(record.quality[0], quality=DataQuality(snapped=1))] * 13
    assert "and 3 more days" in printed(msgspec.structs.replace(record, quality=days))


def test_a_pipe_that_knows_only_ascii(record):
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    print_run(run_result(msgspec.structs.replace(record, strategies=("निफ्टी",))), out)
    out.flush()
    assert b"?" in raw.getvalue()


def test_prints_the_same_from_the_json(record):
    out = io.StringIO()
    print_run(from_json(to_json(record)), out, 0)
    assert out.getvalue() == printed(record)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.00"),
        (999.999, "1,000.00"),
        (123456.7, "1,23,456.70"),
        (-123456.7, "-1,23,456.70"),
        (12345678, "1,23,45,678.00"),
        (-0.001, "0.00"),
        (-0.5, "-0.50"),
        (None, "-"),
        (float("nan"), "-"),
        (100000, "1,00,000.00"),
    ],
)
def test_rupees(amount, text):
    assert rupees(amount) == text


@given(st.integers(-(10**15), 10**15))
def test_grouping_keeps_the_digits(number):
    text = grouped(number)
    assert int(text.replace(",", "")) == number
    groups = text.lstrip("-").split(",")
    assert len(groups) == 1 or (len(groups[-1]) == 3 and all(len(group) == 2 for group in groups[1:-1]))


def test_other_formats():
    assert (decimal(-0.001), decimal(1 / 3, 3), decimal(float("inf"))) == ("0.00", "0.333", "-")
    assert (percent(0.5125), percent(None)) == ("51.2%", "-")
    assert [span(minutes) for minutes in (7.5, 185, 1440 * 2 + 240, None)] == ["7.5 min", "3 h 05 min", "2 d 4 h", "-"]
