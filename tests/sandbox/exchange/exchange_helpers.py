"""A small exchange with a clock in its hand."""

import datetime as dt
import math

import msgspec
import numpy as np

from sos_actors.market.clocktime import ist_ns
from sos_actors.market.instruments import Instrument, InstrumentTable
from sos_actors.messages import Right
from sos_actors.sandbox.exchange import EventKind, Exchange, ExchangeSettings
from sos_actors.sandbox.exchange.settings import DepthSettings, RateSettings

DAY = dt.date(2026, 11, 20)
EXPIRY = dt.date(2026, 11, 23)
MS = 1_000_000
INDEX = Instrument(
    id="NSE|INDEX|NIFTY",
    upstox_key="NSE_INDEX|Nifty 50",
    exchange="NSE",
    kind="INDEX",
    underlying="NIFTY",
    trading_symbol="NIFTY",
)


def option(strike: float, right: Right, key: str, expiry: dt.date = EXPIRY) -> Instrument:
    return Instrument(
        id=f"NSE|OPT|NIFTY|{expiry}|{strike:g}|{right}",
        upstox_key=f"NSE_FO|{key}",
        exchange="NSE",
        kind="OPT",
        underlying="NIFTY",
        trading_symbol=f"NIFTY {strike:g} {right}",
        expiry=expiry,
        strike=strike,
        right=right,
        lot_size=65,
        freeze_quantity=1800,
        tick_size=0.05,
    )


CALL = option(25_000.0, Right.CE, "43885")
PUT = option(25_000.0, Right.PE, "43886")
FUTURE = Instrument(
    id="NSE|FUT|NIFTY|2026-11-23",
    upstox_key="NSE_FO|50000",
    exchange="NSE",
    kind="FUT",
    underlying="NIFTY",
    trading_symbol="NIFTY FUT 23 NOV 26",
    expiry=EXPIRY,
    lot_size=65,
    freeze_quantity=1800,
    tick_size=0.1,
)
INSTRUMENTS = (INDEX, CALL, PUT, FUTURE)
#: No limits on requests and whole executions: what most tests want to see is something else.
PLAIN = ExchangeSettings(
    rates=RateSettings(orders=(0, 0, 0), bulk=(0, 0, 0), reads=(0, 0, 0)),
    depth=DepthSettings(split_probability=0.0),
)


class Venue:
    """An exchange, the time, and what has come out of its stream."""

    def __init__(self, settings=PLAIN, faults=None, seed=1, at="10:00:00", day=DAY):
        self.exchange = Exchange(settings, InstrumentTable(INSTRUMENTS), np.random.default_rng(seed), faults)
        self.now = ist_ns(day, at)
        self.events = []
        self.volume = 1000
        self.quote(INDEX, math.nan, 0, math.nan, 0, 25_000.0)

    def quote(self, instrument=CALL, bid=99.95, bid_qty=650, ask=100.05, ask_qty=650, last=100.0, traded=0):
        self.volume += traded
        self.exchange.on_quote(instrument.id, bid, bid_qty, ask, ask_qty, last, self.volume, self.now)

    def body(self, instrument=CALL, **fields):
        return {
            "quantity": 65,
            "product": "I",
            "validity": "DAY",
            "price": 100.0,
            "tag": "t1",
            "slice": False,
            "instrument_token": instrument.upstox_key,
            "order_type": "LIMIT",
            "transaction_type": "BUY",
            "disclosed_quantity": 0,
            "trigger_price": 0.0,
            "is_amo": False,
            "market_protection": 0,
            **fields,
        }

    def send(self, instrument=CALL, **fields):
        """Place; give the answer."""
        return self.exchange.place(self.body(instrument, **fields), self.now)

    def place(self, instrument=CALL, **fields):
        """Place, let it reach the exchange, give the order's id."""
        answer = self.send(instrument, **fields)
        assert answer.ok, answer
        self.run()
        return answer.body["data"]["order_ids"][0]

    def modify(self, order_id, **fields):
        row = {"order_id": order_id, "order_type": "LIMIT", "validity": "DAY", "price": 100.0, "trigger_price": 0.0}
        return self.exchange.modify({**row, **fields}, self.now)

    def run(self, ms=200):
        """Let time pass; give what the stream said meanwhile."""
        self.now += int(ms * MS)
        events = self.exchange.advance(self.now)
        self.events += events
        return events

    def until(self, clock, day=DAY):
        self.now = ist_ns(day, clock)
        return self.run(0)

    def order(self, order_id):
        return next(one for one in self.exchange.books.orders() if one.order_id == order_id)

    def words(self, order_id):
        """The statuses the stream told of an order."""
        return [one["status"] for one in self.told(order_id)]

    def told(self, order_id):
        return [e.body for e in self.events if e.kind is EventKind.ORDER and e.body["order_id"] == order_id]

    def rows(self):
        return self.exchange.order_book(self.now).body["data"]

    def audited(self):
        assert self.exchange.books.audit() == ()
        return self.exchange.books


def with_settings(**groups):
    """PLAIN with some groups of settings changed: `with_settings(risk={"span_percent": 20})`."""
    changed = {name: msgspec.structs.replace(getattr(PLAIN, name), **fields) for name, fields in groups.items()}
    return msgspec.structs.replace(PLAIN, **changed)
