"""Wall time: real, shifted, scaled, and what the environment says of it."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.errors import InputError
from sos_actors.runtime.walltime import ClockSettings, StepWatch, WallTime, ns_of, with_clock

TEN = dt.datetime.fromisoformat("2026-11-20T10:00:00+05:30")
TEN_NS = 1_795_149_000_000_000_000
SECOND = 1_000_000_000


def test_the_real_clock_shows_the_systems_time_and_runs_with_the_monotonic_one():
    reading = [50]
    wall = WallTime.starting(ClockSettings(), lambda: reading[0], lambda: 7_000)
    assert wall.is_real
    assert wall.now() == 7_000
    reading[0] = 57
    assert wall.now() == 7_007
    assert wall.instant_of(7_007) == 57


def test_a_shifted_and_scaled_clock():
    reading = [1_000]
    wall = WallTime.starting(ClockSettings(start=TEN, speed=30), lambda: reading[0], lambda: 1)
    assert not wall.is_real
    assert wall.now() == TEN_NS == ns_of(TEN)
    reading[0] += 2 * SECOND
    assert wall.now() == TEN_NS + 60 * SECOND
    assert wall.instant_of(TEN_NS + 60 * SECOND) == reading[0]


@given(speed=st.floats(0.01, 1000), instants=st.lists(st.integers(0, 10**15), min_size=2))
def test_time_never_goes_back_and_its_inverse_is_near(speed, instants):
    wall = WallTime(anchor=5, shown=TEN_NS, speed=speed)
    shown = [wall.at(instant) for instant in sorted(instants)]
    assert shown == sorted(shown)
    for instant in instants:
        assert abs(wall.instant_of(wall.at(instant)) - instant) <= 2 + 1 / speed + instant * 1e-12


def test_speed_alone_or_start_alone_is_not_the_real_time():
    assert not WallTime.starting(ClockSettings(speed=2)).is_real
    assert not WallTime.starting(ClockSettings(start=TEN)).is_real


def test_what_the_environment_says_decides():
    house = ClockSettings(speed=2, grace_s=3)
    assert with_clock(house, None) is house
    assert with_clock(house, "") is house
    both = with_clock(house, "2026-11-20T10:00:00+05:30@30")
    assert (both.start, both.speed, both.grace_s) == (TEN, 30, 3)
    assert (with_clock(house, "@5").start, with_clock(house, "@5").speed) == (None, 5)
    assert (with_clock(house, "2026-11-20T04:30:00Z").start, house.speed) == (TEN, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yesterday@30", "'yesterday' is no date and time"),
        ("2026-11-20T10:00:00@30", "has no time zone"),
        ("2026-11-20T10:00:00+05:30@fast", "'fast' is no speed"),
        ("2026-11-20T10:00:00+05:30@", "'' is no speed"),
        ("@0", "clock.speed is 0.0: write more than 0"),
        ("@nan", "clock.speed is nan"),
        ("@-1", "clock.speed is -1.0"),
    ],
)
def test_a_bad_word_of_the_environment_is_one_line_that_says_how(text, said):
    with pytest.raises(InputError, match="SOS_CLOCK") as caught:
        with_clock(ClockSettings(), text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "bad", [{"speed": 0.0}, {"grace_s": 60.0}, {"step_s": 0.0}, {"start": TEN.replace(tzinfo=None)}]
)
def test_bad_settings_are_refused(bad):
    with pytest.raises(ValueError, match="clock"):
        ClockSettings(**bad)


def test_settings_read_a_date_of_yaml():
    assert msgspec.convert({"start": TEN}, ClockSettings, builtin_types=(dt.datetime,)).start == TEN


def test_a_step_of_the_systems_clock_is_told_once_and_slow_drift_never():
    watch = StepWatch(SECOND, 0, 1_000 * SECOND)
    assert watch.step(10 * SECOND, 1_010 * SECOND + 900_000_000) == 0
    assert watch.step(20 * SECOND, 1_025 * SECOND) == 5 * SECOND
    assert watch.step(30 * SECOND, 1_035 * SECOND) == 0
    assert watch.step(40 * SECOND, 1_040 * SECOND) == -5 * SECOND
    assert watch.step(50 * SECOND, 1_050 * SECOND) == 0
