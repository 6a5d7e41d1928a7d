"""A live stream that a test plays, and a script of what happens when, on simulated time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from sos_actors.market.ids import future_id, index_id, option_id
from sos_actors.market.instruments import Instrument, InstrumentTable
from sos_actors.messages import Message, Right, Stage, StreamChanged, Tick
from sos_actors.runtime import Actor, handles

NS = 1_000_000_000
NIFTY = index_id("NIFTY")
VIX = index_id("INDIAVIX")


class Cue(Message, frozen=True):
    """Do what the script says at this place. Script -> itself."""

    number: int


class Script(Actor):
    """Calls functions at times (UTC ns)."""

    def __init__(self, acts: list[tuple[int, Callable[[], Any]]]) -> None:
        super().__init__()
        self._acts = acts
        for number, (at, _) in enumerate(acts):
            self.clock.schedule(at, Stage.MARKET_DATA, self, Cue(number))

    @handles(Cue)
    def on_cue(self, message: Cue) -> None:
        """Do it."""
        self._acts[message.number][1]()


class FakeStream:
    """A market stream: keeps what is wanted of it; a test lets it connect, drop and tick."""

    def __init__(self, left_out: dict[str, str] | None = None) -> None:
        self.wants: list[list[str]] = []
        self.sessions: list[bool] = []
        self.stopped = False
        self.left_out = left_out or {}
        self.runtime: Any = None

    def start(self, on_tick, on_change):
        self.on_tick, self.on_change = on_tick, on_change

    def stop(self):
        self.stopped = True

    def want(self, instruments):
        self.wants.append(list(instruments))
        return self.left_out

    def session(self, *, market_open):
        self.sessions.append(market_open)

    def status(self):
        return {"fake": True}

    def up(self, name="market-1"):
        self.on_change(StreamChanged(name, self.runtime.clock.now, True, "connected"))

    def down(self, name="market-1", detail="cut"):
        self.on_change(StreamChanged(name, self.runtime.clock.now, False, detail))

    def tick(self, instrument, price=100.0, **fields):
        now = self.runtime.clock.now
        self.on_tick(Tick(instrument, fields.pop("ts", now), now, price, **fields))


def listed(*expiries: dt.date, middle: float = 24_500.0, strikes: int = 40, futures: tuple[dt.date, ...] = ()):
    """A table of NIFTY: the index, VIX, futures, and a ladder of options for each expiry."""
    rows = [
        Instrument(
            id=name, upstox_key=name, exchange="NSE", kind="INDEX", underlying=name.split("|")[2], trading_symbol=""
        )
        for name in (NIFTY, VIX)
    ]
    for expiry in futures:
        name = future_id("NIFTY", expiry)
        rows.append(
            Instrument(
                id=name,
                upstox_key=name,
                exchange="NSE",
                kind="FUT",
                underlying="NIFTY",
                trading_symbol="",
                expiry=expiry,
            )
        )
    for expiry in expiries:
        for k in range(-strikes, strikes + 1):
            for right in Right:
                strike = middle + 50.0 * k
                name = option_id("NIFTY", expiry, strike, right)
                rows.append(
                    Instrument(
                        id=name, upstox_key=name, exchange="NSE", kind="OPT", underlying="NIFTY", trading_symbol="",
                        expiry=expiry, strike=strike, right=right,
                    )
                )  # fmt: skip
    return InstrumentTable(rows)
