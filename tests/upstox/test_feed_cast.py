"""The live actors on the real feed: socket, SDK, decoding, subscriptions, bars, trust; time is where a test puts it."""

import datetime as dt
import random
import time

import pytest
from feed_clients import EXPIRY, NIFTY, api_client, quick, table
from feed_server import FeedServer, snapshot, wait_for

from sos_actors.actors.live_feed import LiveFeedActor
from sos_actors.actors.subscription import SubscriptionActor
from sos_actors.market.bars import BarSettings
from sos_actors.market.clocktime import ist_ns
from sos_actors.market.following import FollowSettings
from sos_actors.market.freshness import FreshnessSettings
from sos_actors.market.ids import index_id, option_id
from sos_actors.messages import (
    Bar,
    CheckFeed,
    ContractsChosen,
    DayLoaded,
    FeedStatus,
    MinuteClosed,
    Phase,
    Right,
    SessionPhase,
    Subscribe,
    Tick,
)
from sos_actors.runtime import Actor, SimRuntime, handles
from sos_actors.upstox.feed_settings import FeedEndpoint, FeedSettings
from sos_actors.upstox.market_feed import UpstoxMarketFeed

DAY = dt.date(2026, 11, 20)
S = 1_000_000_000
CALL = option_id("NIFTY", EXPIRY, 25_000.0, Right.CE)


class Listener(Actor):
    """Keeps the last message of each kind."""

    def __init__(self, last):
        super().__init__()
        self._last = last
        self.subscribe(FeedStatus)
        self.subscribe(DayLoaded, "NIFTY")
        self.subscribe(ContractsChosen, "NIFTY")
        self.subscribe(Bar, CALL)

    @handles(FeedStatus, DayLoaded, ContractsChosen, Bar)
    def on_any(self, message):
        self._last.setdefault(type(message), []).append(message)


class Live:
    """The cast; the test's thread delivers, the sockets' threads only put."""

    def __init__(self, server):
        self.server = server
        self.heard = {}
        self.runtime = SimRuntime(strict=True)
        self.clock = self.runtime.clock
        self.clock.now = ist_ns(DAY, "09:14")
        listed = table(strikes=20)
        self.feed = UpstoxMarketFeed(
            api_client(), FeedEndpoint(server.base), FeedSettings(market=quick(), silent_s=30.0), lambda: listed,
            now=lambda: self.clock.now, rng=random.Random(1),
        )  # fmt: skip
        spawn = self.runtime.spawn
        spawn(LiveFeedActor, "feed", self.feed, ("NIFTY",), FreshnessSettings(), group="feed")
        spawn(
            SubscriptionActor, "subscription/NIFTY", "NIFTY", FollowSettings(strikes=2, recentre_s=0.0),
            lambda _: listed, lambda _: 25_000.0, BarSettings(hole_s=0.0), extras=(index_id("INDIAVIX"),),
        )  # fmt: skip
        spawn(Listener, "listener", self.heard)

    def until(self, condition):
        def drained():
            self.runtime.drain()
            return condition()

        return wait_for(drained)

    def say(self, message, key=""):
        self.runtime.publish(message, key)
        self.runtime.drain()

    def trusted(self):
        """Let the feed judge now, and give its verdict."""
        self.runtime.tell("feed", CheckFeed(self.clock.now))
        self.runtime.drain()
        return self.heard[FeedStatus][-1].live


@pytest.fixture
def live():
    with FeedServer() as server:
        server.index_price = 25_000.0
        server.trade_ms = ist_ns(DAY - dt.timedelta(days=1), "15:30") // 1_000_000
        cast = Live(server)
        yield cast
        cast.runtime.close()
        assert not len(cast.runtime.dead_letters), list(cast.runtime.dead_letters)


def begin(live):
    live.runtime.drain()
    live.say(SessionPhase(live.clock.now, DAY, Phase.PRE_OPEN))
    live.until(lambda: len(live.server.asked()) == 13)
    live.until(live.trusted)


def test_a_morning(live):
    begin(live)
    (chosen,) = live.heard[ContractsChosen]
    listed = table(strikes=20)
    keys = {listed.by_id(name).upstox_key for name in (*chosen.instruments, *chosen.others)}
    assert set(live.server.asked()) == keys
    assert live.heard[DayLoaded] == [DayLoaded("NIFTY", DAY, True, False, chosen.future, True)]
    live.clock.now = ist_ns(DAY, "09:15")
    live.say(SessionPhase(live.clock.now, DAY, Phase.OPEN))
    live.clock.now += 5 * S
    live.server.send(snapshot([listed.by_id(CALL).upstox_key], 123.0, live.clock.now // 1_000_000))
    live.until(lambda: live.runtime.actor(f"bar/{CALL}")._builder._open)
    live.say(MinuteClosed(ist_ns(DAY, "09:16")))
    (bar,) = live.heard[Bar]
    assert (bar.open, bar.volume, bar.oi, bar.bid, bar.ask, bar.complete) == (
        123.0,
        7_500.0,
        1_500.0,
        122.5,
        123.5,
        True,
    )


def test_the_window_moves_and_what_is_held_stays(live):
    begin(live)
    live.say(Subscribe(CALL, "held"))
    live.server.send(snapshot(["NSE_INDEX|Nifty 50"], 25_500.0, live.clock.now // 1_000_000))
    live.until(lambda: len(live.heard[ContractsChosen]) == 2)
    dropped = {
        table(strikes=20).by_id(name).upstox_key for name in live.heard[ContractsChosen][0].instruments if name != CALL
    }
    live.until(lambda: set(live.server.asked("unsub")) == dropped)
    assert not live.runtime.actor(f"bar/{CALL}").closed


def test_a_lost_connection_is_not_trusted_and_bars_say_so(live):
    begin(live)
    live.clock.now = ist_ns(DAY, "09:15")
    live.say(SessionPhase(live.clock.now, DAY, Phase.OPEN))
    live.clock.now += 10 * S
    live.server.trade_ms = live.clock.now // 1_000_000
    live.server.forbid = True
    live.server.drop()
    live.until(lambda: not live.heard[FeedStatus][-1].live)
    live.clock.now += 10 * S
    live.server.forbid = False
    live.until(live.trusted)  # the new connection's snapshot has come
    live.say(MinuteClosed(ist_ns(DAY, "09:16")))
    (bar,) = live.heard[Bar]
    assert not bar.complete


def test_a_silent_index_is_noticed(live):
    begin(live)
    live.clock.now = ist_ns(DAY, "09:15")
    live.say(SessionPhase(live.clock.now, DAY, Phase.OPEN))
    live.clock.now += 9 * S
    assert live.trusted()
    live.clock.now += 2 * S
    assert not live.trusted()
    assert "index" in live.heard[FeedStatus][-1].detail
    live.server.send(snapshot(["NSE_INDEX|Nifty 50"], 25_000.0, live.clock.now // 1_000_000))
    live.until(live.trusted)


def test_the_way_of_a_tick_is_short(live):
    """Not a measurement: only that ticks pass the socket far faster than a market sends them, none lost."""
    begin(live)
    key = table(strikes=20).by_id(CALL).upstox_key
    got = []
    live.runtime.topic(Tick, CALL).add(got.append, live.runtime.actor("feed").ports[CheckFeed])
    began = time.monotonic()
    for n in range(500):
        live.server.send(snapshot([key], 100.0 + n, live.clock.now // 1_000_000 + n))
    live.until(lambda: len(got) == 500)
    assert [item[1].price for item in got] == [100.0 + n for n in range(500)]
    assert time.monotonic() - began < 20
    assert NIFTY in {name.removeprefix("bar/") for name in live.runtime}
