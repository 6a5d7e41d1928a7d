"""The keeper's decisions, with a clock that the test holds."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.upstox.feed_settings import StreamSettings
from sos_actors.upstox.keeper import Drop, Keeper, State, Step

S = 1_000_000_000
PLAIN = {"backoff_first_s": 1.0, "backoff_cap_s": 8.0, "backoff_jitter": 0.0, "settled_s": 30.0}


def keeper(**changes):
    return Keeper(StreamSettings(**{**PLAIN, **changes}), random.Random(1))


def step(k, now, token="t", life=0, *, market_open=True):
    return k.step(now, token, life, market_open=market_open)


def fail(k, now, reason=Drop.LOST, token="t"):
    k.connecting(now, token)
    return k.ended(now, reason, delivered=False)


def test_waits_double_up_to_the_cap():
    k, now, waits = keeper(), 0, []
    for _ in range(6):
        assert step(k, now) is Step.CONNECT
        fail(k, now)
        waits.append(k.delay_s)
        assert step(k, now + round(k.delay_s * S) - 1) is Step.WAIT
        now += round(k.delay_s * S)
    assert waits == [1, 2, 4, 8, 8, 8]


@pytest.mark.parametrize(("lived_s", "delivered", "wait"), [(30, True, 1.0), (29, True, 4.0), (300, False, 4.0)])
def test_only_a_connection_that_lived_and_delivered_starts_afresh(lived_s, delivered, wait):
    k = keeper()
    fail(k, 0)
    fail(k, 10 * S)
    k.connecting(20 * S, "t")
    k.opened(21 * S)
    k.ended((21 + lived_s) * S, Drop.CLOSED, delivered=delivered)
    assert k.delay_s == wait


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=40), st.integers(0, 2**32))
def test_attempts_of_an_open_then_die_loop_are_bounded(lives_ms, seed):
    settings = StreamSettings(backoff_first_s=0.5, backoff_cap_s=30.0, backoff_jitter=0.5, settled_s=30.0)
    k, now, starts = Keeper(settings, random.Random(seed)), 0, []
    for life in lives_ms:
        while step(k, now, life=now) is not Step.CONNECT:
            now += S // 100
        starts.append(now)
        k.connecting(now, "t")
        k.opened(now)
        now += life * 1_000_000
        k.ended(now, Drop.CLOSED, delivered=True)
    gaps = [(b - a) / S for a, b in itertools.pairwise(starts)]
    least = [min(30.0, 0.5 * 2**n) * 0.5 for n in range(len(gaps))]
    assert all(gap >= wait - 1e-6 for gap, wait in zip(gaps, least, strict=True))


def test_a_dead_token_waits_for_another():
    k = keeper(dead_token_retry_s=0.0)
    assert fail(k, 0, Drop.DEAD_TOKEN)
    assert step(k, 10**9 * S) is Step.WAIT
    assert step(k, 1, token="") is Step.WAIT
    assert step(k, 1, token="new") is Step.CONNECT
    assert fail(k, 1, Drop.DEAD_TOKEN, token="new")
    assert step(k, 2, token="new") is Step.WAIT


def test_a_dead_token_is_tried_again_now_and_then_but_said_once():
    k = keeper(dead_token_retry_s=300.0)
    assert fail(k, 0, Drop.DEAD_TOKEN)
    now, waits = round(k.delay_s * S), [k.delay_s]
    for _ in range(6):
        assert step(k, now - 1) is Step.WAIT
        assert step(k, now) is Step.CONNECT
        assert not fail(k, now, Drop.DEAD_TOKEN)
        now += round(k.delay_s * S)
        waits.append(k.delay_s)
    assert waits == [2, 6, 18, 54, 162, 300, 300]
    assert fail(k, now, Drop.DEAD_TOKEN, token="new")
    assert k.delay_s == 2


def test_one_refusal_is_tried_again_soon_and_a_standing_one_is_not_hammered():
    k, now, waits = keeper(forbidden_retry_s=60.0), 0, []
    for _ in range(6):
        assert step(k, now) is Step.CONNECT
        fail(k, now, Drop.FORBIDDEN)
        waits.append(k.delay_s)
        assert step(k, now + round(k.delay_s * S) - 1) is Step.WAIT
        now += round(k.delay_s * S)
    assert waits == [2, 6, 18, 54, 60, 60]


def test_silence_is_judged_by_the_session():
    k = keeper(stale_open_s=30.0, stale_closed_s=180.0)
    k.connecting(0, "t")
    k.opened(S)
    assert step(k, 31 * S) is Step.WAIT
    assert step(k, 31 * S + 1) is Step.DROP_STALE
    assert step(k, 31 * S + 1, life=2 * S) is Step.WAIT
    assert step(k, 100 * S, market_open=False) is Step.WAIT
    assert step(k, 181 * S + 1, market_open=False) is Step.DROP_STALE


def test_a_silent_server_is_asked_for_a_sign_of_life_before_it_is_given_up():
    k = keeper(stale_open_s=30.0, stale_closed_s=180.0)
    k.connecting(0, "t")
    assert not k.asks(25 * S, 0, market_open=True)
    k.opened(S)
    asked = [now for now in range(1, 32) if k.asks(now * S, 0, market_open=True)]
    assert asked == [12, 23]
    assert not k.asks(35 * S, 30 * S, market_open=True)
    assert not k.asks(90 * S, 30 * S, market_open=False)
    assert k.asks(91 * S, 30 * S, market_open=False)


def test_a_handshake_that_hangs_is_given_up():
    k = keeper(connect_timeout_s=5.0)
    k.connecting(0, "t")
    assert step(k, 20 * S) is Step.WAIT
    assert step(k, 20 * S + 1) is Step.DROP_NO_ANSWER
    k.ended(20 * S + 1, Drop.NO_ANSWER, delivered=False)
    assert k.state is State.WAITING


@pytest.mark.parametrize("wrong", [{"backoff_jitter": 1.0}, {"stale_open_s": 0.0}, {"settled_s": -1.0}])
def test_settings_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="stream"):
        StreamSettings(**wrong)
