"""Subscriptions that follow the market, their bar actors, and the chain actor that reads them: history, then live."""

import datetime as dt
import math

from actor_helpers import DAY, EXPIRY, Ear, chain_of, clock_of, index_bars, ist, market_day
from live_helpers import NIFTY, NS, VIX, FakeStream, Script, listed

from sos_actors import assembly
from sos_actors.actors.chain import ChainActor
from sos_actors.actors.feed import FeedActor
from sos_actors.actors.live_feed import LiveFeedActor
from sos_actors.actors.subscription import SubscriptionActor
from sos_actors.config import Config
from sos_actors.market.bars import BarSettings
from sos_actors.market.following import FollowSettings
from sos_actors.market.freshness import FreshnessSettings
from sos_actors.market.ids import near_future, option_id, parse_id
from sos_actors.messages import (
    Bar,
    ChainSnapshot,
    ContractsChosen,
    MinuteClosed,
    Phase,
    Right,
    SessionPhase,
    Subscribe,
    Tick,
    Unsubscribe,
)
from sos_actors.quant.analyst import ChainAnalyst
from sos_actors.runtime import Session, SimRuntime

NEXT = dt.date(2025, 9, 9)
FUTURE = "NSE|FUT|NIFTY|2025-09-30"
MONTH = dt.date(2025, 9, 30)


class Follow:
    """A subscription actor of NIFTY on simulated time."""

    def __init__(self, *topics, close=24_500.0, **settings):
        self.heard = []
        self.runtime = SimRuntime(strict=True)
        self.table = listed(EXPIRY, NEXT, futures=(MONTH,))
        follow = FollowSettings(**{"strikes": 2, "recentre_s": 0.0, **settings})
        self.runtime.spawn(
            SubscriptionActor, "subscription/NIFTY", "NIFTY", follow, lambda _: self.table, lambda _: close,
            BarSettings(hole_s=0.0), extras=(VIX,),
        )  # fmt: skip
        self.runtime.spawn(Ear, "ear", self.heard, (ContractsChosen, "NIFTY"), *topics)

    def phase(self, phase=Phase.PRE_OPEN, day=DAY):
        self.runtime.clock.now = ist("09:14", day) if phase is Phase.PRE_OPEN else ist("09:15", day)
        self.publish(SessionPhase(self.runtime.clock.now, day, phase))

    def publish(self, message, key=""):
        self.runtime.publish(message, key)
        self.runtime.drain()
        assert not len(self.runtime.dead_letters), list(self.runtime.dead_letters)

    def price(self, price):
        self.runtime.clock.now += NS
        now = self.runtime.clock.now
        self.publish(Tick(NIFTY, now, now, price), NIFTY)

    def bars(self):
        """Instruments that have a bar actor at work."""
        return {
            path.removeprefix("bar/")
            for path in self.runtime
            if path.startswith("bar/") and not self.runtime.actor(path).closed
        }

    def strikes(self):
        return sorted({parse_id(name).strike for name in self.heard[-1].instruments})


def call(strike, expiry=EXPIRY):
    return option_id("NIFTY", expiry, strike, Right.CE)


def test_before_the_open_it_follows_around_the_last_close():
    follow = Follow()
    follow.phase()
    (choice,) = follow.heard
    assert choice.expiry == EXPIRY
    assert follow.strikes() == [24_400, 24_450, 24_500, 24_550, 24_600]
    assert choice.others == (NIFTY, FUTURE, VIX)
    assert choice.future == FUTURE
    assert follow.bars() == {*choice.instruments, *choice.others}


def test_without_a_close_it_waits_for_the_index():
    follow = Follow(close=math.nan)
    follow.phase()
    assert follow.heard[-1].instruments == ()
    assert follow.bars() == {NIFTY, FUTURE, VIX}
    follow.price(24_700.0)
    assert follow.strikes() == [24_600, 24_650, 24_700, 24_750, 24_800]


def test_the_window_moves_and_every_contract_in_it_has_one_bar_actor():
    follow = Follow()
    follow.phase()
    for price in (24_510.0, 24_560.0, 24_610.0, 24_900.0, 24_500.0, 24_420.0):
        follow.price(price)
        choice = follow.heard[-1]
        assert follow.bars() == {*choice.instruments, *choice.others}
    assert len(follow.heard) == 5  # the close, 24610, 24900, 24500, 24420
    assert follow.strikes() == [24_300, 24_350, 24_400, 24_450, 24_500]
    # A contract that came back has a bar actor again, and what hears ticks is one actor an instrument.
    assert len(follow.runtime.topic(Tick, call(24_500.0)).targets) == 1


def test_what_is_held_is_never_dropped():
    follow = Follow()
    follow.phase()
    follow.publish(Subscribe(call(24_500.0), "held"))
    follow.publish(Subscribe("NSE|OPT|BANKNIFTY|2025-09-30|55000|CE", "held"))
    before = follow.runtime.actor(f"bar/{call(24_500.0)}")
    follow.price(25_500.0)
    assert call(24_500.0) not in follow.heard[-1].instruments
    assert call(24_500.0) in follow.bars()
    assert follow.runtime.actor(f"bar/{call(24_500.0)}") is before
    assert not [name for name in follow.bars() if "BANKNIFTY" in name]
    follow.publish(Unsubscribe(call(24_500.0), "held"))
    assert call(24_500.0) not in follow.bars()


def test_what_is_held_outside_the_window_gets_a_bar_actor():
    follow = Follow()
    follow.phase()
    follow.publish(Subscribe(call(26_000.0), "held"))
    assert call(26_000.0) in follow.bars()


def test_a_future_that_becomes_the_near_one_is_published_as_such():
    follow = Follow((Bar, near_future("NIFTY")))
    october = dt.date(2025, 10, 28)
    follow.table = listed(EXPIRY, NEXT, october, futures=(MONTH, october))
    follow.phase()
    follow.publish(Subscribe("NSE|FUT|NIFTY|2025-10-28", "held"))
    day = MONTH + dt.timedelta(days=1)
    follow.phase(day=day)
    assert follow.heard[-1].future == "NSE|FUT|NIFTY|2025-10-28"
    at = ist("09:15", day) + NS
    follow.publish(Tick("NSE|FUT|NIFTY|2025-10-28", at, at, 100.0, 75, 75), "NSE|FUT|NIFTY|2025-10-28")
    follow.publish(MinuteClosed(ist("09:16", day)))
    assert [m.instrument for m in follow.heard if isinstance(m, Bar)] == ["NSE|FUT|NIFTY|2025-10-28"]


def test_what_is_held_before_the_day_begins_gets_its_bar_actor_with_the_day():
    follow = Follow()
    follow.publish(Subscribe(FUTURE, "held"))
    assert follow.bars() == set()
    follow.phase()
    assert FUTURE in follow.bars()


def test_a_benched_bar_actor_that_is_dropped_can_come_back():
    follow = Follow()
    follow.phase()
    follow.runtime.strict = False
    path = f"bar/{call(24_500.0)}"
    for _ in range(4):
        follow.runtime.tell(path, Tick("broken", follow.runtime.clock.now, 0, 1.0, 0, "no number"))
        follow.runtime.drain()
    assert follow.runtime.actor(path).closed
    follow.runtime.dead_letters = type(follow.runtime.dead_letters)()
    follow.price(25_500.0)
    follow.price(24_500.0)
    assert call(24_500.0) in follow.bars()


def test_the_chain_rolls_on_the_day_after_expiry():
    follow = Follow()
    follow.phase(day=DAY)
    follow.phase(day=EXPIRY)
    assert follow.heard[-1].expiry == EXPIRY
    follow.phase(day=EXPIRY + dt.timedelta(days=1))
    assert follow.heard[-1].expiry == NEXT
    assert {parse_id(name).expiry for name in follow.heard[-1].instruments} == {NEXT}
    assert {parse_id(name).expiry for name in follow.bars() if "|OPT|" in name} == {NEXT}


def test_bars_started_before_the_open_are_whole_and_those_in_mid_session_are_not():
    follow = Follow((Bar, call(24_500.0)), (Bar, call(24_900.0)), (Bar, near_future("NIFTY")))
    follow.phase()
    follow.phase(Phase.OPEN)
    bars = []
    for minute in range(15, 18):
        start = ist(f"09:{minute}")
        if minute == 16:
            follow.runtime.clock.now = start + 5 * NS
            follow.price(24_810.0)
        for second in range(10, 60, 10):
            at = start + second * NS
            for name in (call(24_500.0), call(24_900.0), FUTURE):
                follow.publish(Tick(name, at, at, 100.0, 75, 75 * (minute - 14), 1.0), name)
        follow.runtime.publish(_minute(start))
        follow.runtime.drain()
    bars = [m for m in follow.heard if isinstance(m, Bar)]
    said = {(bar.instrument, clock_of(bar.start)): bar.complete for bar in bars}
    assert said[call(24_500.0), "09:15"]
    assert (call(24_500.0), "09:17") not in said
    assert not said[call(24_900.0), "09:16"]
    assert said[call(24_900.0), "09:17"]
    assert said[FUTURE, "09:15"]


def _minute(start):
    return MinuteClosed(start + 60 * NS)


def test_history_first_then_live_on_one_chain_actor():
    """Yesterday comes as minute frames, today as ticks; contracts change in mid-session; the open interest stays."""
    yesterday = dt.date(2025, 8, 29)
    index = index_bars({}, until="09:40", day=yesterday)
    history = market_day(index, chain_of(index), day=yesterday)
    heard = []
    runtime = SimRuntime(strict=True)
    stream = FakeStream()
    stream.runtime = runtime
    settings = Config().chain
    table = listed(EXPIRY, futures=(MONTH,))
    follow = FollowSettings(strikes=2, recentre_s=0.0)
    runtime.spawn(FeedActor, "history", lambda day: [history] if day == yesterday else [])
    runtime.spawn(
        ChainActor, "chain/NIFTY", ChainAnalyst("NIFTY", settings), assembly.years_to_expiry_of("NIFTY"),
        lambda _: None, rate=settings.rate,
    )  # fmt: skip
    runtime.spawn(Ear, "ear", heard, (ChainSnapshot, "NIFTY"), (ContractsChosen, "NIFTY"))
    runtime.clock.follow([Session(yesterday, ist("09:15", yesterday), ist("09:40", yesterday))])
    runtime.run()
    past = [m for m in heard if isinstance(m, ChainSnapshot)]
    assert len(past) == 25
    assert past[-1].spot == 24_500.0

    runtime.spawn(LiveFeedActor, "feed", stream, ("NIFTY",), FreshnessSettings())
    runtime.spawn(
        SubscriptionActor,
        "subscription/NIFTY",
        "NIFTY",
        follow,
        lambda _: table,
        lambda _: 24_500.0,
        BarSettings(hole_s=0.0),
    )
    acts = []

    def market(at, spot):
        def act():
            stream.tick(NIFTY, spot)
            for k in range(-20, 21):
                for right in Right:
                    strike = 24_500.0 + 50.0 * k
                    intrinsic = max(spot - strike if right is Right.CE else strike - spot, 0.0)
                    name = option_id("NIFTY", EXPIRY, strike, right)
                    if name in stream.wants[-1]:
                        volume = (at - ist("09:15")) // NS * 75
                        stream.tick(name, intrinsic + 80.0, quantity=75, day_volume=volume, oi=1_000.0)

        return act

    acts.append((ist("09:14") + NS, stream.up))
    for minute in range(15, 25):
        spot = 24_500.0 if minute < 20 else 24_650.0
        for second in (5, 25, 45):
            at = ist(f"09:{minute}") + second * NS
            acts.append((at, market(at, spot)))
    runtime.spawn(Script, "script", acts)
    runtime.clock.follow([Session(DAY, ist("09:15"), ist("09:25"))])
    runtime.run()
    assert not len(runtime.dead_letters), list(runtime.dead_letters)
    today = [m for m in heard if isinstance(m, ChainSnapshot) and m.ts > ist("09:00")]
    assert [clock_of(s.ts) for s in today] == [f"09:{m}" for m in range(16, 26)]
    assert all("stale" not in s.missing for s in today)
    assert [s.spot for s in today] == [24_500.0] * 5 + [24_650.0] * 5
    assert today[0].strikes.tolist() == [24_400, 24_450, 24_500, 24_550, 24_600]
    assert today[-1].strikes.tolist() == [24_550, 24_600, 24_650, 24_700, 24_750]
    assert today[-1].atm_strike == 24_650.0
    assert (today[-1].oi == 1_000.0).all()
    assert today[0].pcr == today[-1].pcr == 1.0
    chosen = [m for m in heard if isinstance(m, ContractsChosen)]
    assert len(chosen) == 2
