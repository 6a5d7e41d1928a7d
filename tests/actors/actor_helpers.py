"""A tiny made-up market and the whole cast on it, strict: a message nobody handles is an error."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import msgspec
import numpy as np

from sos_actors import assembly
from sos_actors.config import Config
from sos_actors.market.day import BarColumns, ChainColumns, MarketDay
from sos_actors.messages import CHAIN_FIELDS, Bar
from sos_actors.playbook.loader import Playbook, build_playbook
from sos_actors.playbook.schema import parse_strategy
from sos_actors.runtime import Actor, Session, SimRuntime, handles
from sos_actors.runtime.topics import Port

NS = 1_000_000_000
MINUTE = 60 * NS
IST = dt.timezone(dt.timedelta(hours=5, minutes=30))
#: A Monday; the weekly expiry is the day after.
DAY = dt.date(2025, 9, 1)
EXPIRY = dt.date(2025, 9, 2)
INDEX = "NSE|INDEX|NIFTY"


def ist(clock: str, day: dt.date = DAY) -> int:
    """UTC ns of a time of day in India."""
    hour, minute = map(int, clock.split(":"))
    return round(dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=IST).timestamp()) * NS


def clock_of(ts: int) -> str:
    """HH:MM of a UTC ns."""
    return dt.datetime.fromtimestamp(ts / NS, IST).strftime("%H:%M")


def index_bars(
    rows: dict[str, tuple[float, float, float, float]], *, until: str = "10:30", price: float = 24_500.0,
    missing: tuple[str, ...] = (), day: dt.date = DAY, volume: float = np.nan, interval_s: int = 60,
) -> BarColumns:  # fmt: skip
    """Index bars from 09:15: flat at the last close but for `rows` {minute: (open, high, low, close)}."""
    starts = range(ist("09:15", day), ist(until, day), interval_s * NS)
    kept, values, last = [], [], price
    for start in starts:
        bar = rows.get(clock_of(start), (last, last, last, last))
        last = bar[3]
        if clock_of(start) not in missing:
            kept.append(start)
            values.append(bar)
    columns = np.array(values).T
    unknown = np.full(len(kept), np.nan)
    return BarColumns(
        INDEX, interval_s, np.array(kept), *columns, volume=np.full(len(kept), volume), oi=unknown
    )  # fmt: skip


def chain_of(
    index: BarColumns, *, expiry: dt.date = EXPIRY, strikes: int = 5, missing: tuple[str, ...] = (),
    volume: float = 75_000.0, premium: dict[str, float] | None = None,
) -> ChainColumns:  # fmt: skip
    """A chain around 24,500: intrinsic value plus 80 for every contract, on calls also `premium` {minute: points}."""
    ladder = 24_500.0 + 50.0 * (np.arange(strikes) - strikes // 2)
    kept = [i for i, start in enumerate(index.start.tolist()) if clock_of(start) not in missing]
    values = np.full((len(kept), len(CHAIN_FIELDS), 2, strikes), np.nan)
    for row, i in enumerate(kept):
        spot = index.close[i]
        call = np.maximum(spot - ladder, 0.0) + 80.0 + (premium or {}).get(clock_of(int(index.start[i])), 0.0)
        put = np.maximum(ladder - spot, 0.0) + 80.0
        values[row, :4] = np.round(np.stack([call, put]), 2)
        values[row, CHAIN_FIELDS.index("volume")] = volume
        values[row, CHAIN_FIELDS.index("oi")] = 750_000.0 + 750.0 * i
    return ChainColumns("NIFTY", expiry, index.interval_s, index.start[kept], ladder, values)


def market_day(
    index: BarColumns | None, *chains: ChainColumns, future: BarColumns | None = None, day: dt.date = DAY
) -> MarketDay:
    """Put a day together."""
    return MarketDay("NIFTY", day, index, future, chains, "made up")


def strategy(name: str = "one", side: str = "BUY", at: str = "09:20", **changes: Any) -> dict[str, Any]:
    """A strategy that wants to enter at the close of the bar of one minute; trades the index itself."""
    hour, minute = map(int, at.split(":"))
    end = f"{hour + (minute + 1) // 60:02d}:{(minute + 1) % 60:02d}"
    sign = 1 if side == "BUY" else -1
    return {
        "pattern_id": name,
        "phases": [{"id": "NOW", "conditions": [f"time_is_between(timestamp, '{at}', '{end}')"]}],
        "execution": {
            "side": side, "entry": "close", "sl": f"close - {20 * sign}", "tp": f"close + {40 * sign}",
            "option_selection": "UNDERLYING",
        },
    } | changes  # fmt: skip


def playbook_of(*definitions: dict[str, Any]) -> Playbook:
    """Compile strategies given as dicts."""
    parsed = [(parse_strategy(json.dumps(one), one["pattern_id"])[0], one["pattern_id"]) for one in definitions]
    playbook = build_playbook(parsed)
    assert not playbook.errors, playbook.errors
    return playbook


def replaced(config: Config, **sections: dict[str, Any]) -> Config:
    """A configuration with some settings changed, section by section."""
    parts = {name: msgspec.structs.replace(getattr(config, name), **values) for name, values in sections.items()}
    return msgspec.structs.replace(config, **parts)


#: Fills at the very price, 50 units a signal, no cooldown: what a test expects can be worked out by head.
PLAIN = replaced(
    Config(),
    account={"capital": 10_000_000.0},
    paper={"half_spread": 0.0, "half_spread_linear": 0.0, "slippage_ticks": 0.0, "limit_through_ticks": 0.0},
    sizing={"fixed_quantity": 50},
    risk={"cooldown_s": 0.0, "daily_loss": 0.0},
)


def play(
    days: MarketDay | list[MarketDay], *definitions: dict[str, Any], config: Config = PLAIN, ends: str = "15:30",
) -> tuple[SimRuntime, Any]:  # fmt: skip
    """Run the whole cast over made-up days without charges; gives the runtime and its recorder."""
    listed = days if isinstance(days, list) else [days]
    by_day = {one.day: one for one in listed}
    runtime = SimRuntime(strict=True)
    cast = assembly.Cast(
        config=config, playbook=playbook_of(*definitions), underlyings=[assembly.Underlying("NIFTY")], charges=None,
        previous_day=lambda *_: None, load_day=lambda day: [by_day[day]],
    )  # fmt: skip
    recorder = assembly.build(runtime, cast)
    runtime.clock.follow(Session(one.day, ist("09:15", one.day), ist(ends, one.day)) for one in listed)
    runtime.run()
    return runtime, recorder


class Ear(Actor):
    """Keeps what it hears: subscribe to a message type by giving (type, key) pairs."""

    def __init__(self, heard: list[Any], *topics: tuple[type, str]) -> None:
        super().__init__()
        self._heard = heard
        for kind, key in topics:
            self.ports[kind] = Port(self, "on_anything")
            self.subscribe(kind, key)

    @handles(Bar)
    def on_anything(self, message: Any) -> None:
        """Keep it."""
        self._heard.append(message)
