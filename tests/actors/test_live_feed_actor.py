"""The live feed actor: what is wanted, ticks to the exchange first, and when an underlying's data is trusted."""

import datetime as dt

import pytest
from actor_helpers import DAY, EXPIRY, Ear, ist
from live_helpers import NIFTY, NS, FakeStream, Script

from sos_actors.actors.bar import BarActor
from sos_actors.actors.broker import exchange_key
from sos_actors.actors.live_feed import LiveFeedActor
from sos_actors.market.bars import BarBuilder
from sos_actors.market.freshness import FreshnessSettings
from sos_actors.market.ids import option_id
from sos_actors.messages import (
    AlertRaised,
    Bar,
    ContractsChosen,
    DayLoaded,
    FeedStatus,
    Phase,
    Right,
    SegmentStatusChanged,
    SessionPhase,
    StreamChanged,
    Subscribe,
    Tick,
    Unsubscribe,
)
from sos_actors.runtime import Session, SimRuntime

CALL = option_id("NIFTY", EXPIRY, 24_500.0, Right.CE)
PUT = option_id("NIFTY", EXPIRY, 24_500.0, Right.PE)
FUTURE = "NSE|FUT|NIFTY|2025-09-30"
BEFORE = ist("09:14")


def chosen(*options, ts=BEFORE, expiry=EXPIRY):
    return ContractsChosen("NIFTY", ts, expiry, options, (NIFTY, FUTURE), FUTURE)


class Stage:
    """A live feed actor on simulated time, its stream, and what a listener heard."""

    def __init__(self, *topics, left_out=None, underlyings=("NIFTY",)):
        self.heard = []
        self.runtime = SimRuntime(strict=True)
        self.stream = FakeStream(left_out)
        self.stream.runtime = self.runtime
        self.runtime.spawn(LiveFeedActor, "feed", self.stream, underlyings, FreshnessSettings())
        self.runtime.spawn(Ear, "ear", self.heard, *topics)

    def send(self, message, key=""):
        self.runtime.publish(message, key)
        self.runtime.drain()

    def play(self, *acts, ends="09:20"):
        """Play (HH:MM, seconds, function) and a session."""
        self.runtime.spawn(Script, "script", [(ist(clock) + s * NS, act) for clock, s, act in acts])
        self.runtime.clock.follow([Session(DAY, ist("09:15"), ist(ends))])
        self.runtime.run()
        assert not len(self.runtime.dead_letters), list(self.runtime.dead_letters)
        return self.heard

    def ticking(self, first, seconds, *instruments):
        """Acts that tick instruments every second."""
        return [
            (first, s, lambda name=name: self.stream.tick(name))
            for s in range(seconds) for name in instruments
        ]  # fmt: skip


def test_reasons_are_counted():
    stage = Stage()
    stage.runtime.drain()
    stage.send(Subscribe(CALL, "held"))
    stage.send(Subscribe(CALL, "watched"))
    stage.send(Subscribe(CALL, "held"))
    stage.send(Unsubscribe(CALL, "held"))
    stage.send(Unsubscribe(CALL, "never given"))
    stage.send(Unsubscribe(CALL, "held"))
    assert stage.stream.wants == [[CALL]]
    stage.send(Unsubscribe(CALL, "watched"))
    assert stage.stream.wants[-1] == []


def test_what_is_held_comes_first_and_stays_when_the_choice_moves():
    stage = Stage()
    stage.runtime.drain()
    stage.send(Subscribe(PUT, "held"))
    stage.send(chosen(CALL, PUT), "NIFTY")
    assert stage.stream.wants[-1] == [PUT, NIFTY, FUTURE, CALL]
    stage.send(chosen(CALL), "NIFTY")
    assert PUT in stage.stream.wants[-1]
    stage.send(Unsubscribe(PUT, "held"))
    assert stage.stream.wants[-1] == [NIFTY, FUTURE, CALL]


def test_asking_by_name_for_what_is_followed_anyway_is_no_news_to_the_stream():
    stage = Stage()
    stage.runtime.drain()
    stage.send(chosen(CALL, PUT), "NIFTY")
    told = len(stage.stream.wants)
    stage.send(Subscribe(PUT, "held"))
    stage.send(Unsubscribe(PUT, "held"))
    assert len(stage.stream.wants) == told
    stage.send(Subscribe(PUT, "held"))
    stage.send(chosen(CALL), "NIFTY")  # still wanted by name: nothing to say
    assert len(stage.stream.wants) == told
    stage.send(Unsubscribe(PUT, "held"))
    assert stage.stream.wants[told:] == [[NIFTY, FUTURE, CALL]]


def test_what_is_held_goes_ahead_where_not_everything_is_followed():
    stage = Stage(left_out={PUT: "does not fit"})
    stage.runtime.drain()
    stage.send(chosen(CALL, PUT), "NIFTY")
    stage.send(Subscribe(PUT, "held"))
    assert stage.stream.wants[-1] == [PUT, NIFTY, FUTURE, CALL]


def test_a_new_day_asks_for_the_same_again():
    stage = Stage()
    stage.runtime.drain()
    stage.send(chosen(CALL), "NIFTY")
    told = len(stage.stream.wants)
    stage.send(SessionPhase(BEFORE, DAY, Phase.PRE_OPEN))
    stage.send(SessionPhase(BEFORE, DAY + dt.timedelta(days=1), Phase.PRE_OPEN))
    assert stage.stream.wants[told:] == [[NIFTY, FUTURE, CALL]] * 2


def test_the_exchange_sees_a_tick_first():
    stage = Stage((Tick, exchange_key(CALL)), (Tick, CALL))
    stage.runtime.drain()
    order = []
    stage.runtime.topic(Tick, exchange_key(CALL))
    stage.stream.tick(CALL)
    stage.runtime.drain()
    assert [type(m) for m in stage.heard] == [Tick, Tick]
    for key in (CALL, exchange_key(CALL)):  # whoever is told is told in this order
        topic = stage.runtime.topic(Tick, key)
        port = topic.targets[0][1]
        topic.add(lambda item, key=key: order.append(key), type(port)(port.actor, port.method))
    stage.stream.tick(CALL)
    assert order == [exchange_key(CALL), CALL]


def test_a_day_is_said_once_its_contracts_are_known():
    stage = Stage((DayLoaded, "NIFTY"))
    heard = stage.play(("09:14", 5, lambda: stage.runtime.publish(chosen(CALL, ts=ist("09:14")), "NIFTY")))
    assert heard == [DayLoaded("NIFTY", DAY, True, False, FUTURE, True)]
    assert stage.stream.sessions == [False, True, False]


def test_a_start_in_mid_session_says_since_when():
    stage = Stage((DayLoaded, "NIFTY"))
    at = ist("09:18")
    heard = stage.play(("09:18", 0, lambda: stage.runtime.publish(chosen(CALL, ts=at), "NIFTY")))
    assert [day.since for day in heard] == [at]


def changes(heard):
    """(HH:MM:SS, live, detail) of statuses that differ from the one before."""
    said, last = [], None
    for status in heard:
        if isinstance(status, FeedStatus) and status.live != last:
            last = status.live
            seconds = (status.ts - ist("09:00")) // NS
            said.append((f"09:{seconds // 60:02d}:{seconds % 60:02d}", status.live, status.detail))
    return said


def test_a_dropped_connection_is_not_trusted_until_fresh_data_came():
    stage = Stage((FeedStatus, ""))
    up, down = stage.stream.up, stage.stream.down
    stage.play(
        ("09:14", 0, lambda: stage.runtime.publish(chosen(CALL), "NIFTY")),
        ("09:14", 1, up),
        *stage.ticking("09:14", 60, NIFTY, CALL), *stage.ticking("09:15", 60, NIFTY, CALL),
        ("09:16", 0, down),
        ("09:16", 10, up),
        ("09:16", 12, lambda: stage.stream.tick(NIFTY)),
        ("09:16", 14, lambda: stage.stream.tick(CALL)),
        ends="09:16",
    )  # fmt: skip
    assert changes(stage.heard) == [
        ("09:14:00", False, "not connected yet"),
        ("09:14:01", True, ""),
        ("09:16:00", False, "cut"),
    ]


def test_recovery_needs_index_and_options():
    stage = Stage((FeedStatus, ""))
    up, down = stage.stream.up, stage.stream.down
    stage.play(
        ("09:14", 0, lambda: stage.runtime.publish(chosen(CALL), "NIFTY")),
        ("09:14", 1, up),
        *stage.ticking("09:14", 60, NIFTY, CALL), *stage.ticking("09:15", 20, NIFTY, CALL),
        ("09:15", 20, down),
        ("09:15", 25, up),
        ("09:15", 27, lambda: stage.stream.tick(NIFTY)),
        ("09:15", 29, lambda: stage.stream.tick(CALL)),
        *[("09:15", s, lambda: stage.stream.tick(NIFTY)) for s in range(30, 70)],
        ends="09:16",
    )  # fmt: skip
    said = changes(stage.heard)[2:]
    closed = ("09:16:00", True)  # outside the session ages do not count
    assert [(at, live) for at, live, _ in said] == [
        ("09:15:20", False), ("09:15:29", True), ("09:15:45", False), closed,
    ]  # fmt: skip
    assert "any option" in said[2][2]
    details = [s.detail for s in stage.heard if ist("09:15") + 20 * NS <= s.ts < ist("09:15") + 29 * NS]
    assert any("index's first price" in text for text in details)
    assert any("options' first prices" in text for text in details)


def test_a_silent_index_is_said_with_its_age_and_every_second():
    stage = Stage((FeedStatus, ""))
    stage.play(
        ("09:14", 0, lambda: stage.runtime.publish(chosen(CALL), "NIFTY")),
        ("09:14", 1, stage.stream.up),
        *stage.ticking("09:14", 60, NIFTY, CALL), *stage.ticking("09:15", 10, NIFTY), *stage.ticking("09:15", 60, CALL),
        ends="09:16",
    )  # fmt: skip
    assert changes(stage.heard)[-2] == ("09:15:20", False, "no tick of the index for 11 s")
    stale = [status for status in stage.heard if not status.live and status.ts > ist("09:15")]
    assert len(stale) >= 39
    assert {status.since for status in stale} == {ist("09:15") + 9 * NS}


def test_connections_that_live_and_bring_nothing_are_made_anew():
    stage = Stage()
    stage.play(
        ("09:14", 0, lambda: stage.runtime.publish(chosen(CALL), "NIFTY")),
        ("09:14", 1, stage.stream.up),
        *stage.ticking("09:14", 60, NIFTY, CALL), *stage.ticking("09:15", 10, NIFTY, CALL),
        *[act for minute in range(15, 20) for act in stage.ticking(f"09:{minute}", 60, CALL)],
        ends="09:20",
    )  # fmt: skip
    times = [(at - ist("09:15")) // NS for at, _ in stage.stream.reconnects]
    assert times == [130, 251]
    assert "index" in stage.stream.reconnects[0][1]


def test_a_connection_that_is_down_is_left_to_its_keeper():
    stage = Stage()
    stage.play(("09:14", 1, stage.stream.down), ends="09:20")
    assert stage.stream.reconnects == []


def test_two_connections_are_live_only_together():
    stage = Stage((FeedStatus, ""))
    stage.play(
        ("09:14", 1, stage.stream.up),
        ("09:14", 2, lambda: stage.stream.tick(NIFTY)),
        ("09:14", 3, lambda: stage.stream.down("market-2", "second cut")),
        ("09:14", 4, lambda: stage.stream.up("market-2")),
        ("09:14", 5, lambda: stage.stream.tick(NIFTY)),
        ends="09:16",
    )
    assert [(at, live) for at, live, _ in changes(stage.heard)][1:4] == [
        ("09:14:02", True), ("09:14:03", False), ("09:14:05", True),
    ]  # fmt: skip


def test_what_cannot_be_followed_is_said():
    stage = Stage((FeedStatus, ""), left_out={CALL: "does not fit"})
    stage.play(
        ("09:14", 0, lambda: stage.runtime.publish(chosen(CALL), "NIFTY")),
        ("09:14", 1, stage.stream.up),
        *stage.ticking("09:14", 60, NIFTY),
        ends="09:16",
    )  # fmt: skip
    assert not any(status.live for status in stage.heard)
    assert stage.heard[-1].detail == f"{CALL}: does not fit"


def test_changes_are_passed_on_and_the_stream_is_stopped():
    stage = Stage((StreamChanged, ""), (SegmentStatusChanged, ""))
    stage.runtime.drain()
    stage.stream.up()
    stage.stream.on_change(SegmentStatusChanged(1, (("NSE_FO", "NORMAL_OPEN"),)))
    stage.runtime.drain()
    assert [type(m) for m in stage.heard] == [StreamChanged, SegmentStatusChanged]
    stage.runtime.close()
    assert stage.stream.stopped


def test_bars_of_an_untrusted_time_are_incomplete():
    """A gap shorter than what the bar builder itself would notice."""
    stage = Stage((Bar, CALL))
    stage.runtime.spawn(BarActor, f"bar/{CALL}", CALL, BarBuilder(CALL), (CALL,))
    up, down = stage.stream.up, stage.stream.down
    ticks = [act for minute in range(14, 19) for act in stage.ticking(f"09:{minute}", 60, NIFTY, CALL)]
    lost = [act for act in ticks if not (act[0] == "09:16" and 20 <= act[1] < 25)]
    stage.play(
        ("09:14", 0, up), *lost, ("09:16", 20, down), ("09:16", 23, up),
        ("09:14", 0, lambda: stage.runtime.publish(chosen(CALL), "NIFTY")), ends="09:19",
    )  # fmt: skip
    assert [bar.complete for bar in stage.heard if bar.start >= ist("09:15")] == [True, False, True, True]


def test_bars_born_while_the_feed_is_down_learn_of_it():
    stage = Stage((Bar, CALL))

    def born():
        bars = stage.runtime.spawn(BarActor, f"bar/{CALL}", CALL, BarBuilder(CALL), (CALL,))
        bars.tell(SessionPhase(BEFORE, DAY, Phase.PRE_OPEN))
        stage.runtime.publish(chosen(CALL), "NIFTY")

    ticks = [act for minute in range(17, 20) for act in stage.ticking(f"09:{minute}", 60, NIFTY, CALL)]
    late = [act for act in ticks if act[:2] > ("09:17", 5)]
    stage.play(("09:14", 2, born), ("09:17", 5, stage.stream.up), *late)
    assert [bar.complete for bar in stage.heard] == [False, True, True]


def test_another_expirys_ticks_are_no_sign_of_life():
    stage = Stage((FeedStatus, ""))
    other = dt.date(2025, 9, 9)
    stage.play(
        ("09:14", 0, lambda: stage.runtime.publish(chosen(CALL), "NIFTY")),
        ("09:14", 1, stage.stream.up),
        *stage.ticking("09:14", 30, NIFTY, CALL),
        ("09:14", 31, lambda: stage.runtime.publish(chosen(PUT.replace("09-02", "09-09"), expiry=other), "NIFTY")),
        ("09:14", 40, lambda: stage.stream.tick(PUT.replace("09-02", "09-09"))),
        ends="09:16",
    )
    said = [(at, live) for at, live, _ in changes(stage.heard)]
    assert said[2:4] == [("09:14:31", False), ("09:14:40", True)]


def test_a_restart_in_place_keeps_what_is_wanted_and_what_is_known(monkeypatch):
    def on_segments(*_):
        raise ValueError("planted")

    monkeypatch.setattr(LiveFeedActor, "on_segments", on_segments)
    stage = Stage((Tick, CALL))
    stage.runtime.drain()
    stage.send(SessionPhase(BEFORE, DAY, Phase.PRE_OPEN))
    stage.send(Subscribe(CALL, "held"))
    stage.send(chosen(PUT), "NIFTY")
    stage.stream.up()
    stage.runtime.drain()
    before, wanted = stage.runtime.actor("feed").inspect(), stage.stream.wants[-1]
    stage.runtime.tell("feed", SegmentStatusChanged(BEFORE, {"NSE_FO": "NORMAL_OPEN"}))
    stage.runtime.drain()
    assert {one.path: one.restarts for one in stage.runtime.stats()}["feed"] == 1
    assert stage.runtime.actor("feed").inspect() == before
    assert stage.stream.wants[-1] == wanted
    assert CALL in wanted
    stage.stream.tick(CALL)
    stage.runtime.drain()
    assert [tick.instrument for tick in stage.heard] == [CALL]
    stage.send(Unsubscribe(CALL, "held"))
    assert CALL not in stage.stream.wants[-1]


@pytest.mark.parametrize(("late_s", "said"), [(0.9, 0), (1.5, 1)])
def test_ticks_that_come_later_than_minutes_are_closed_are_said_once(late_s, said):
    stage = Stage((AlertRaised, ""))

    def tick(clock, s):
        at = ist(clock) + s * NS
        return clock, s, lambda: stage.stream.on_tick(Tick(NIFTY, at - round(late_s * NS), at, 24_500.0))

    heard = stage.play(("09:14", 1, stage.stream.up), *(tick(f"09:{m}", s) for m in range(15, 19) for s in range(60)))
    assert len(heard) == said
    assert stage.runtime.actor("feed").inspect()["late_s"] == ({"NIFTY": late_s} if said else {})
    if said:
        assert heard[0].text.startswith("NIFTY: ticks come 1.5 s after their time by this machine's clock")


def test_an_index_that_stands_still_says_nothing_of_the_clock():
    stage = Stage((AlertRaised, ""))
    old = ist("09:15")

    def tick(clock, s):
        return clock, s, lambda: stage.stream.on_tick(Tick(NIFTY, old, ist(clock) + s * NS, 24_500.0))

    acts = [tick(f"09:{m}", s) for m in range(15, 19) for s in range(60)]
    assert stage.play(("09:14", 1, stage.stream.up), *acts) == []
