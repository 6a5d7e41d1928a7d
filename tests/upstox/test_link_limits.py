"""The rate windows: never more than the limit in any of them, room for exits, silence after a 429."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sos_actors.upstox.limits import RateLimiter, RateSettings, RateWindows, RequestClass

WINDOWS = (1.0, 60.0, 1800.0)


class Clock:
    """Monotonic seconds that stand still until they are moved."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


limits = st.tuples(st.integers(1, 12), st.integers(1, 40), st.integers(1, 120))
arrivals = st.lists(st.tuples(st.floats(0.0, 20.0), st.booleans()), min_size=1, max_size=300)


@settings(max_examples=150, deadline=None)
@given(limits, arrivals, st.floats(0.1, 1.0), st.floats(0.0, 0.9))
def test_no_window_ever_holds_more_than_its_share(limit, steps, share, reserve):
    rates = RateSettings(share=share, exit_reserve=reserve)
    windows, now, sent = RateWindows(limit, rates), 0.0, []
    for gap, exits in steps:
        now += gap
        if windows.wait(now, exits=exits) <= 0:
            windows.sent(now)
            sent.append((now, exits))
    for end, _ in sent:
        for most, seconds in zip(limit, WINDOWS, strict=True):
            inside = [one for one in sent if end - seconds < one[0] <= end]
            assert len(inside) <= max(1, int(most * share))


@settings(max_examples=150, deadline=None)
@given(arrivals, st.booleans())
def test_the_wait_is_exact(steps, exits):
    windows, now = RateWindows((3, 10, 30), RateSettings(share=1.0, exit_reserve=0.3)), 0.0
    for gap, _ in steps:
        now += gap
        wait = windows.wait(now, exits=exits)
        if wait > 0:
            assert windows.wait(now + wait * 0.99, exits=exits) > 0
            now += wait + 1e-6
            assert windows.wait(now, exits=exits) <= 0
        windows.sent(now)


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(st.integers(10, 60), st.integers(100, 600), st.integers(700, 3000)),
    st.lists(st.floats(0, 2), max_size=60),
)
def test_an_exit_finds_room_whenever_entries_have_none(limit, gaps):
    windows, now = RateWindows(limit, RateSettings(share=0.8, exit_reserve=0.3)), 0.0
    for gap in gaps:
        now += gap
        while windows.wait(now) <= 0:  # entries take all they may
            windows.sent(now)
        assert windows.wait(now, exits=True) <= 0


def test_the_documented_limits_and_shares():
    windows, sent = RateWindows(RateSettings().of(RequestClass.ORDER), RateSettings()), 0
    while windows.wait(5.0) <= 0:
        windows.sent(5.0)
        sent += 1
    assert sent == 5  # 70 % of 80 % of 10
    while windows.wait(5.0, exits=True) <= 0:
        windows.sent(5.0)
        sent += 1
    assert sent == 8


def test_a_429_makes_silence_that_doubles_within_a_minute_and_starts_afresh_after():
    windows = RateWindows((10, 500, 2000), RateSettings(pause_s=2.0))
    assert windows.refused(0.0) == 2.0
    assert windows.wait(1.5, exits=True) == pytest.approx(0.5)
    assert windows.refused(3.0) == 4.0
    assert windows.refused(8.0) == 8.0
    assert windows.refused(200.0) == 2.0
    assert windows.refused(400.0, retry_after_s=30.0) == 30.0


def test_a_429_after_something_was_taken_is_a_first_one_again():
    windows = RateWindows((10, 500, 2000), RateSettings(pause_s=2.0))
    assert [windows.refused(0.0), windows.refused(3.0)] == [2.0, 4.0]
    windows.taken(5.0)  # left before the silence, which it says nothing about
    assert windows.refused(8.0) == 8.0
    windows.taken(17.0)
    assert windows.refused(18.0) == 2.0


def test_429s_of_requests_that_left_together_are_one():
    windows = RateWindows((10, 500, 2000), RateSettings(pause_s=2.0))
    assert windows.refused(0.0) == 2.0
    assert [windows.refused(at) for at in (0.5, 1.0, 1.5)] == [1.5, 1.0, 0.5]
    assert windows.wait(1.75) == pytest.approx(0.25)
    assert windows.refused(2.0) == 4.0


def test_an_exit_is_silent_for_seconds_only_unless_the_broker_says_otherwise():
    windows, at = RateWindows((10, 500, 2000), RateSettings(pause_s=2.0)), 0.0
    pauses = []
    for _ in range(6):
        pauses.append(windows.refused(at, exits=True))
        assert windows.wait(at, exits=True) == pytest.approx(pauses[-1])
        at += windows.wait(at) + 0.5
    assert pauses == [2.0, 4.0, 8.0, 8.0, 8.0, 8.0]
    assert windows.refused(at, retry_after_s=40.0, exits=True) == pytest.approx(40.0)
    assert windows.wait(at, exits=True) == pytest.approx(40.0)


def test_a_429_of_one_class_leaves_the_others_alone():
    limiter = RateLimiter(RateSettings(), Clock())
    limiter.refused(RequestClass.ORDER)
    assert limiter.acquire(RequestClass.ORDER) > 0
    assert limiter.acquire(RequestClass.MULTI) == 0
    assert limiter.acquire(RequestClass.STANDARD) == 0


def test_reads_of_the_books_find_room_when_history_has_used_its_share():
    limiter = RateLimiter(RateSettings(), Clock())
    used = 0
    while limiter.acquire(RequestClass.STANDARD) == 0:
        used += 1
    assert used == 28  # 70 % of 80 % of 50 in this second
    assert limiter.acquire(RequestClass.STANDARD, books=True) == 0


def test_reads_of_the_books_keep_the_whole_silence_after_a_429():
    windows = RateWindows((10, 500, 2000), RateSettings(pause_s=20.0))
    windows.refused(0.0)
    assert windows.wait(0.0, exits=True) == pytest.approx(8.0)
    assert windows.wait(0.0, books=True) == pytest.approx(20.0)


def test_a_scaled_clock_scales_what_may_be_sent():
    clock = Clock()
    limiter = RateLimiter(RateSettings(multi=(1, 5, 9), share=1.0, exit_reserve=0.0), clock, speed=30.0)
    assert limiter.acquire(RequestClass.MULTI) == 0
    assert limiter.acquire(RequestClass.MULTI) == pytest.approx(1 / 30)  # seconds of real time
    clock.now += 1.001 / 30
    assert limiter.acquire(RequestClass.MULTI) == 0
    assert limiter.refused(RequestClass.MULTI) == pytest.approx(2 / 30)


def test_without_patience_the_wait_is_told_at_once():
    clock = Clock()
    limiter = RateLimiter(RateSettings(multi=(1, 5, 9), share=1.0, exit_reserve=0.0), clock)
    assert limiter.acquire(RequestClass.MULTI) == 0
    clock.now += 0.25
    assert limiter.acquire(RequestClass.MULTI, patience_s=0.5) == pytest.approx(0.75)
    clock.now += 0.75
    assert limiter.acquire(RequestClass.MULTI) == 0


def test_many_threads_together_keep_the_limit():
    clock = Clock()
    limiter = RateLimiter(RateSettings(order=(10, 500, 2000), share=1.0, exit_reserve=0.0), clock)
    leave = []

    def ask():
        leave.extend(limiter.acquire(RequestClass.ORDER) == 0 for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (len(leave), sum(leave)) == (160, 10)
