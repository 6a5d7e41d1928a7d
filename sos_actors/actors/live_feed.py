"""LiveFeedActor: what is wanted of the live feed, its ticks to the topics, and whether they can be trusted."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from loguru import logger

from sos_actors.actors.broker import exchange_key
from sos_actors.market.clocktime import MINUTE_NS, SECOND_NS, ist_date
from sos_actors.market.freshness import FreshnessJudge, FreshnessSettings, Lateness, Verdict
from sos_actors.market.ids import parse_id
from sos_actors.messages import (
    NAN,
    AlertLevel,
    AlertRaised,
    CheckFeed,
    ContractsChosen,
    DayLoaded,
    FeedStatus,
    Phase,
    SegmentStatusChanged,
    SessionPhase,
    Stage,
    StreamChanged,
    Subscribe,
    Tick,
    Unsubscribe,
)
from sos_actors.runtime import Actor, Topic, handles


class MarketStream(Protocol):
    """Live market data, whoever's. `on_tick` and `on_change` are called from threads of its own."""

    def start(
        self, on_tick: Callable[[Tick], None], on_change: Callable[[StreamChanged | SegmentStatusChanged], None]
    ) -> None:
        """Connect; give ticks and changes to these from now on. Returns at once."""

    def stop(self) -> None:
        """Disconnect for good."""

    def want(self, instruments: Iterable[str]) -> dict[str, str]:
        """Follow exactly these, most important first. Gives those that cannot be followed, and why."""

    def session(self, *, market_open: bool) -> None:
        """Say whether the market is open."""

    def reconnect(self, detail: str) -> None:
        """Make every connection anew."""

    def status(self) -> dict[str, Any]:
        """Say how the stream does, as plain data."""


#: What a restart in place keeps.
_KEPT = (
    "_reasons", "_chosen", "_pulses", "_verdicts", "_up", "_down", "_phase", "_loaded", "_open_since", "_checking",
    "_revived_at",
)  # fmt: skip


class _Pulse:
    """When a tick of some kind last arrived (UTC ns), 0: never, and its price in rupees.

    Written by the stream's threads, read by the actor.
    """

    __slots__ = ("at", "price")

    def __init__(self) -> None:
        self.at = 0
        self.price = NAN


class _Route:
    """Where the ticks of one instrument go: the exchange's topic, everybody's, and the pulse they are."""

    __slots__ = ("everybody", "exchange", "lateness", "pulse")

    def __init__(self, exchange: Topic, everybody: Topic, pulse: _Pulse, lateness: Lateness | None) -> None:
        self.exchange, self.everybody, self.pulse, self.lateness = exchange, everybody, pulse, lateness


class LiveFeedActor(Actor):
    """Keeps the stream's wanted instruments equal to what the cast asked for, and judges every underlying's data.

    Ticks go from the stream's thread straight to the topics, the exchange's first. What is wanted: everything
    subscribed, counted by instrument and reason, then what each SubscriptionActor chose. A FeedStatus goes out for
    each underlying every `check_s` of the session and at each change of the connection; changes of it also go to the
    underlying's own key, for the bar actors.
    """

    def __init__(
        self, stream: MarketStream, underlyings: Sequence[str], freshness: FreshnessSettings, *, speed: float = 1.0,
        grace_ns: int = SECOND_NS,
    ) -> None:  # fmt: skip
        """`speed`: seconds of the clock in a second of real time. `grace_ns`: how long a minute waits to be closed."""
        super().__init__()
        self._stream = stream
        self._check_ns = round(freshness.check_s * SECOND_NS)
        self._revive_ns = round(freshness.revive_s * speed * SECOND_NS)
        self._revived_at = 0
        self._judge = FreshnessJudge(freshness, speed)
        self._underlyings = tuple(underlyings)
        self._reasons: dict[str, Counter[str]] = {}
        self._chosen: dict[str, ContractsChosen] = {}
        self._wanted: dict[str, None] = {}
        self._left_out: dict[str, str] = {}
        self._routes: dict[str, _Route] = {}
        self._pulses = {(name, kind): _Pulse() for name in underlyings for kind in ("INDEX", "OPT")}
        self._lateness = {name: Lateness(grace_ns) for name in underlyings} if speed <= 1.0 else {}
        self._late: dict[str, float] = {}
        self._late_told: dict[str, dt.date] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._up: dict[str, int] = {}
        self._down: dict[str, str] = {"": "not connected yet"}  # until a connection says of itself what it is
        self._phase: SessionPhase | None = None
        self._loaded: dict[str, dt.date | None] = dict.fromkeys(underlyings)
        self._open_since = 0
        self._checking = False
        self._status = self.topic(FeedStatus)
        for kind in (SessionPhase, Subscribe, Unsubscribe):
            self.subscribe(kind)
        for name in underlyings:
            self.subscribe(ContractsChosen, name)

    def on_start(self) -> None:
        """Connect; after a restart in place the stream goes on, and only learns whom to tell."""
        self._stream.start(self._publish_tick, self.actor_ref.tell)
        if self._reasons or self._chosen:
            self._want()

    def checkpoint(self) -> dict[str, Any]:
        """Give what is wanted and why, and what is known of the connections: neither is said a second time."""
        return {name: getattr(self, name) for name in _KEPT}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from that."""
        for name, value in state.items():
            setattr(self, name, value)

    def on_stop(self) -> None:
        """Disconnect."""
        self._stream.stop()

    # -- the stream's thread -----------------------------------------------------------------------------------

    def _publish_tick(self, tick: Tick) -> None:
        """Give a tick out: to the exchange first if it waits for one, then to everybody."""
        route = self._routes.get(tick.instrument) or self._route(tick.instrument)
        pulse = route.pulse
        pulse.at, pulse.price = tick.ts_recv, tick.price
        if route.lateness is not None:
            route.lateness.note(tick.ts, tick.ts_recv)
        if route.exchange.targets:
            route.exchange.publish(tick)
        route.everybody.publish(tick)

    def _route(self, instrument: str) -> _Route:
        parts = parse_id(instrument)
        pulse = self._pulses.get((parts.underlying, parts.kind)) or _Pulse()
        lateness = self._lateness.get(parts.underlying) if parts.kind == "INDEX" else None
        route = _Route(self.topic(Tick, exchange_key(instrument)), self.topic(Tick, instrument), pulse, lateness)
        self._routes[instrument] = route
        return route

    # -- what is wanted ----------------------------------------------------------------------------------------

    @handles(Subscribe)
    def on_subscribe(self, message: Subscribe) -> None:
        """Follow an instrument for one more reason."""
        reasons = self._reasons.setdefault(message.instrument, Counter())
        reasons[message.reason] += 1
        if reasons.total() == 1:
            self._want()

    @handles(Unsubscribe)
    def on_unsubscribe(self, message: Unsubscribe) -> None:
        """Follow it for one reason less; a reason that was never given takes nothing away."""
        reasons = self._reasons.get(message.instrument)
        if reasons is None or not reasons[message.reason]:
            return
        reasons[message.reason] -= 1
        if not reasons.total():
            del self._reasons[message.instrument]
            self._want()

    @handles(ContractsChosen)
    def on_chosen(self, message: ContractsChosen) -> None:
        """Follow what was chosen in place of what was chosen before."""
        before = self._chosen.get(message.underlying)
        self._chosen[message.underlying] = message
        if before is not None and before.expiry != message.expiry:
            self._pulses[message.underlying, "OPT"].at = 0  # ticks of the expiry before are no sign of this one
        self._want()
        self._load_day(message.underlying)
        self._say(message.underlying, anew=True)

    def _want(self, *, new_day: bool = False) -> None:
        """Tell the stream what is wanted: what is held or asked for by name first, then indices, then the chains.

        The same instruments in another order are no news while all of them are followed: every trade asks by name for
        what is followed anyway, just when its orders go out.
        """
        wanted = dict.fromkeys(self._reasons)
        for chosen in self._chosen.values():
            wanted.update(dict.fromkeys(chosen.others))
        for chosen in self._chosen.values():
            wanted.update(dict.fromkeys(chosen.instruments))
        if not new_day and not self._left_out and wanted.keys() == self._wanted.keys():
            return
        self._wanted = wanted
        self._left_out = self._stream.want(wanted)

    # -- whether it can be trusted -----------------------------------------------------------------------------

    @handles(StreamChanged)
    def on_stream(self, message: StreamChanged) -> None:
        """Note that a connection came or went; say at once what that means."""
        self._down.pop("", None)
        if message.live:
            self._up[message.name] = message.ts
            self._down.pop(message.name, None)
        else:
            self._down[message.name] = message.detail
        self.publish(message)
        self._check()

    @handles(SegmentStatusChanged)
    def on_segments(self, message: SegmentStatusChanged) -> None:
        """Pass on what the broker says of the exchange's segments."""
        self.publish(message)

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Follow the session; at the first phase of a day say what data the day has."""
        market_open = message.phase is Phase.OPEN
        self._open_since = message.ts if market_open else 0
        for lateness in self._lateness.values():
            lateness.begin(self.clock.now)
        self._stream.session(market_open=market_open)
        if self._phase is None or message.day != self._phase.day:
            self._phase = message
            self._want(new_day=True)  # the instruments' keys may be others today
            for name in self._underlyings:
                self._load_day(name)
        self._check()
        if message.phase is not Phase.CLOSED and not self._checking:
            self._check_later()
        elif message.phase is Phase.CLOSED:
            self._checking = False

    def _load_day(self, underlying: str) -> None:
        """Say once a day what its data will be, when its contracts are known too.

        What traded before a start in mid-session is not known.
        """
        phase, chosen = self._phase, self._chosen.get(underlying)
        if phase is None or chosen is None or ist_date(chosen.ts) != phase.day or self._loaded[underlying] == phase.day:
            return
        self._loaded[underlying] = phase.day
        now = self.clock.now
        since = now if now > phase.ts + 2 * MINUTE_NS else 0
        self.publish(DayLoaded(underlying, phase.day, True, False, chosen.future, True, since=since), underlying)

    @handles(CheckFeed)
    def on_check(self, _: CheckFeed) -> None:
        """Judge the ages, as long as the day lasts."""
        if self._checking:
            self._check_later()  # first: the next look comes, whatever becomes of this one
            self._check()
            self._revive()
            self._look_at_clock()

    def _check_later(self) -> None:
        self._checking = True
        at = self.clock.now + self._check_ns
        self.clock.schedule(at, Stage.TIMER, self, CheckFeed(at))

    def _check(self) -> None:
        """Publish every underlying's status."""
        for name in self._underlyings:
            self._say(name)

    def _revive(self) -> None:
        """Reconnect where the connections live and yet an underlying has been silent for very long."""
        if not self._revive_ns or not self._open_since or self._down:
            return
        now = self.clock.now
        fresh_start = max(self._open_since, self._revived_at, *self._up.values())
        for name, verdict in self._verdicts.items():
            if not verdict.live and now - max(verdict.since, fresh_start) > self._revive_ns:
                self._revived_at = now
                self._stream.reconnect(f"{name}: {verdict.detail}")
                return

    def _look_at_clock(self) -> None:
        """Say once a day where ticks come later than minutes are closed: no bar is whole then, and nothing shows it."""
        now = self.clock.now
        for name, lateness in self._lateness.items():
            late = lateness.late(now) if self._open_since else None
            if late is None:
                continue
            self._late[name] = late
            if late and self._late_told.get(name) != ist_date(now):
                self._late_told[name] = ist_date(now)
                text = (
                    f"{name}: ticks come {late:.1f} s after their time by this machine's clock, later than minutes are"
                    " closed: every bar lacks its last seconds; set the clock (NTP), or raise clock.grace_s"
                )
                self.publish(AlertRaised(now, AlertLevel.WARNING, self.path, text))

    def _say(self, underlying: str, *, anew: bool = False) -> None:
        """Publish one underlying's status; to its bar actors where it changed, or (`anew`) some of them are new."""
        now = self.clock.now
        verdict = self._verdict(underlying, now)
        status = FeedStatus(underlying, now, verdict.live, verdict.detail, verdict.since)
        self._status.publish(status)
        before = self._verdicts.get(underlying)
        changed = before is None or before.live != verdict.live
        self._verdicts[underlying] = verdict
        if changed:
            say = logger.info if verdict.live else logger.warning
            say("{}: market data {}", underlying, verdict.detail or "live")
        if changed or (anew and not verdict.live):
            self.publish(status, underlying)

    def _verdict(self, underlying: str, now: int) -> Verdict:
        index_at = self._pulses[underlying, "INDEX"].at
        options_at = self._pulses[underlying, "OPT"].at
        for why in self._down.values():
            return Verdict(False, why, max(index_at, options_at))
        for name, why in self._left_out.items():
            if parse_id(name).underlying == underlying:
                return Verdict(False, f"{name}: {why}", now)
        chosen = self._chosen.get(underlying)
        follows = chosen is not None and bool(chosen.instruments)
        up_since = max(self._up.values())
        return self._judge.judge(now, up_since, self._open_since, index_at, options_at if follows else None)

    def inspect(self) -> dict[str, Any]:
        """Say what is wanted, why, what the verdicts are, and how the stream does."""
        return {
            "asked_for": {name: dict(reasons) for name, reasons in self._reasons.items()},
            "chosen": {name: len(chosen.instruments) + len(chosen.others) for name, chosen in self._chosen.items()},
            "index": {name: self._index(name) for name in self._underlyings},
            "verdicts": {name: verdict.detail or "live" for name, verdict in self._verdicts.items()},
            "late_s": {name: late for name, late in self._late.items() if late},
            "left_out": dict(self._left_out),
            "stream": self._stream.status(),
        }

    def _index(self, underlying: str) -> dict[str, float]:
        pulse = self._pulses[underlying, "INDEX"]
        return {"at": pulse.at, "price": pulse.price}
