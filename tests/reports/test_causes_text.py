"""A chain of causes as a trader reads it: times of the clock, no line too wide, nothing that is not known."""

import datetime as dt
import math

from sos_actors.market.clocktime import ist_ns
from sos_actors.reports.causes import PhaseStep, Step
from sos_actors.reports.causes_text import WIDTH, in_lines, in_words

T = ist_ns(dt.date(2026, 11, 20), "09:35:00")
DAY = 86_400_000_000_000


def test_values_are_told_as_a_person_writes_them():
    values = {"ts": T, "price": 29_935.399_999_999_998, "oi": math.nan, "day_volume": -1, "detail": "", "captured": [],
              "net": -12.5, "merged": 0, "flip": False, "bar": list(range(100)), "right": None}  # fmt: skip
    assert (
        in_words(values, "2026-11-20")
        == "ts=09:35:00 price=29935.4 net=-12.5 merged=0 flip=False (long, not shown: bar)"
    )
    assert in_words({"ts": T}, "2026-11-21") == "ts=2026-11-20T09:35:00"


def test_a_message_is_a_line_and_its_values_below_it():
    lines = list(in_lines([
        Step(7, T, "timer", "clock", "MinuteClosed", {"ts": T}),
        Step(9, T + 1_500_000, "clock", "bar/" + "X" * 30, "Bar", {f"value_{n}": n for n in range(30)}),
        Step(11, T + DAY, "broker", "orders", "Fill", {"ts": T}),
    ]))  # fmt: skip
    assert lines[:4] == ["2026-11-20", "09:35:00         #7  MinuteClosed: timer -> clock", "    ts=09:35:00",
                         "09:35:00.001500  #9  Bar: clock -> bar/" + "X" * 30]  # fmt: skip
    assert lines[-3:] == ["2026-11-21", "09:35:00         #11  Fill: broker -> orders", "    ts=2026-11-20T09:35:00"]
    assert max(map(len, lines)) <= WIDTH
    assert " ".join(lines[4:-3]).split() == [f"value_{n}={n}" for n in range(30)]


def test_a_phase_tells_its_conditions_and_what_it_captured():
    conditions = (("close > ema(20)", {"close": 7.5, "ema(20)": 7.0}),)
    step = PhaseStep(5, T + 1, "strategy/NIFTY/s", "BREAK", 1, 2, T, conditions, {"low": 6.5})
    unseen = PhaseStep(-1, 0, "strategy/NIFTY/s", "WAIT", 2, 2, T - DAY, (), {})
    assert list(in_lines([unseen, step])) == [
        "2026-11-19",
        "09:35:00         phase 2 of 2, WAIT",
        "    passed by strategy/NIFTY/s on the bar that ended 09:35:00",
        "2026-11-20",
        "09:35:00         #5  phase 1 of 2, BREAK",
        "    passed by strategy/NIFTY/s on the bar that ended 09:35:00",
        "    close > ema(20):  close=7.5 ema(20)=7",
        "    captured:  low=6.5",
    ]
