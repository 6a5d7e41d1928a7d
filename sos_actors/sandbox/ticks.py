"""Ticks of a simulated day, made from its minute bars so that the bars can be had back from them exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sos_actors.errors import InputError
from sos_actors.market.day import BarColumns, ChainColumns, MarketDay, TickColumns
from sos_actors.market.ids import option_id, parse_id
from sos_actors.messages.base import Right
from sos_actors.messages.market import CE, CHAIN_FIELDS, PE
from sos_actors.sandbox.bars import TICK, floor_tick, to_tick
from sos_actors.sandbox.schedule import Schedule
from sos_actors.sandbox.seeding import stream
from sos_actors.sandbox.session_path import HIGH, LOW, POINTS, VIX, VIX_TICK, SessionPath, day_shape

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
_RIGHTS = (Right.CE, Right.PE)
_FIELD = {name: row for row, name in enumerate(CHAIN_FIELDS)}
_MS_NS = 1_000_000
#: Volume that brings an instrument the full rate of ticks, in lots a minute; less volume brings fewer.
_BUSY_LOTS = 400.0


@dataclass(frozen=True, slots=True)
class Minutes:
    """Minute columns of one instrument, all [minute]. bid, ask, oi NaN and `lots` 0 for an index.

    `start` is UTC ns; `high_at` and `low_at` say when in the minute the extremes came, 0 to 1.
    """

    start: Ints
    open: Array
    high: Array
    low: Array
    close: Array
    lots: Ints
    lot: int
    tick: float
    oi: Array
    bid: Array
    ask: Array
    high_at: Array
    low_at: Array

    def cut(self, first: int, end: int) -> Minutes:
        """Minutes `first` to `end`, the latter excluded."""
        columns = {name: getattr(self, name)[first:end] for name in _COLUMNS}
        return replace(self, **columns)


_COLUMNS = ("start", "open", "high", "low", "close", "lots", "oi", "bid", "ask", "high_at", "low_at")


def simulate_ticks(
    day: MarketDay,
    path: SessionPath | None,
    names: Sequence[str],
    *,
    seed: int,
    schedule: Schedule,
    rate: float,
    latency_ms: float,
) -> TickColumns:
    """Ticks of the instruments of a day in order of arrival; see `SimulatedMarket.ticks`."""
    parts = []
    for name in names:
        rng = stream(seed, "ticks", name, day.day.toordinal())
        minutes = _minutes(day, path, name, schedule)
        parts.append(instrument_ticks(rng, minutes, rate * day_shape(len(minutes.start)), latency_ms))
    if not parts:
        raise InputError("simulated market: no instruments to make ticks of; name at least one")
    which = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part["ts"]) for part in parts])
    columns = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    # A stable sort: ticks of one instrument with equal stamps keep the order in which they were made.
    order = np.lexsort((columns["ts"], columns["ts_recv"]))
    return TickColumns(
        underlying=day.underlying,
        instruments=tuple(names),
        which=which[order],
        ts=columns["ts"][order],
        ts_recv=columns["ts_recv"][order],
        price=columns["price"][order],
        quantity=columns["quantity"][order],
        day_volume=columns["day_volume"][order],
        oi=columns["oi"][order],
        bid=columns["bid"][order],
        ask=columns["ask"][order],
    )


def default_instruments(day: MarketDay, strikes: int) -> tuple[str, ...]:
    """Index, near future, and calls and puts of the front expiry at the money of the open and `strikes` either side."""
    names = [bars.instrument for bars in (day.index, day.future) if bars is not None]
    if day.chains and day.index is not None:
        front = day.chains[0]
        middle = int(np.abs(front.strikes - day.index.open[0]).argmin())
        for strike in front.strikes[max(middle - strikes, 0) : middle + strikes + 1]:
            names += [option_id(day.underlying, front.expiry, float(strike), right) for right in _RIGHTS]
    return tuple(names)


def _minutes(day: MarketDay, path: SessionPath | None, name: str, schedule: Schedule) -> Minutes:
    """Find the minutes of one instrument of the day; raises InputError when it is not part of it."""
    if day.index is not None and name == day.index.instrument:
        tick = VIX_TICK if day.underlying == VIX else TICK
        return of_bars(day.index, 1, tick, *extremes(path, len(day.index.start)))
    if day.future is not None and name == day.future.instrument:
        listing = schedule.listing(day.underlying, day.day)
        lot = schedule.lot_size(day.underlying, listing.future, day.day)
        return of_bars(day.future, lot, listing.future_tick, *extremes(path, len(day.future.start)))
    found = _option(day, name)
    if found is None:
        raise InputError(f"simulated market: '{name}' is not listed for {day.underlying} on {day.day}")
    lot = schedule.lot_size(day.underlying, found[0].expiry, day.day)
    return of_chain(*found, lot, path)


def _option(day: MarketDay, name: str) -> tuple[ChainColumns, int, int] | None:
    """Chain, right and strike index of an option of the day."""
    parts = parse_id(name)
    for chain in day.chains:
        if parts.underlying == day.underlying and parts.expiry == chain.expiry and parts.strike is not None:
            at = int(np.searchsorted(chain.strikes, parts.strike))
            if at < len(chain.strikes) and chain.strikes[at] == parts.strike:
                return chain, CE if parts.right is Right.CE else PE, at
    return None


def extremes(path: SessionPath | None, minutes: int) -> tuple[Array, Array]:
    """When in each minute the high and the low came, 0 to 1; a third and two thirds where there is no path."""
    if path is None:
        return np.full(minutes, 1.0 / 3.0), np.full(minutes, 2.0 / 3.0)
    return path.instants[HIGH] / (POINTS - 1.0), path.instants[LOW] / (POINTS - 1.0)


def of_bars(bars: BarColumns, lot: int, tick: float, high_at: Array, low_at: Array) -> Minutes:
    """Minutes of an index (without lots) or a future, quoted a tick to either side of the close."""
    unknown = np.full(len(bars.start), np.nan)
    lots = np.nan_to_num(bars.volume / lot).astype(np.int64)
    traded = not np.isnan(bars.volume[0])
    bid = to_tick(bars.close - tick, tick) if traded else unknown
    ask = to_tick(bars.close + tick, tick) if traded else unknown
    return Minutes(
        start=bars.start,
        open=bars.open,
        high=bars.high,
        low=bars.low,
        close=bars.close,
        lots=lots,
        lot=lot,
        tick=tick,
        oi=bars.oi,
        bid=bid,
        ask=ask,
        high_at=high_at,
        low_at=low_at,
    )


def of_chain(chain: ChainColumns, right: int, strike: int, lot: int, path: SessionPath | None) -> Minutes:
    """Minutes of one option of a chain."""
    column = {name: chain.values[:, row, right, strike] for name, row in _FIELD.items()}
    high_at, low_at = extremes(path, len(chain.start))
    if right == PE:
        high_at, low_at = low_at, high_at
    return Minutes(
        start=chain.start,
        open=column["open"],
        high=column["high"],
        low=column["low"],
        close=column["close"],
        lots=np.rint(column["volume"] / lot).astype(np.int64),
        lot=lot,
        tick=TICK,
        oi=column["oi"],
        bid=column["bid"],
        ask=column["ask"],
        high_at=high_at,
        low_at=low_at,
    )


def _counts(rng: np.random.Generator, m: Minutes, rate: Array) -> Ints:
    """Ticks in each minute: enough for the bar's distinct prices, no more than its lots."""
    indexed = m.lots[0] == 0
    share = 1.0 if indexed else np.minimum(m.lots / _BUSY_LOTS, 1.0) ** 0.5
    counts = rng.poisson(rate * share)
    ends = 1 + ((m.open != m.close) | (m.high != m.low))
    needed = ends + (m.high > np.maximum(m.open, m.close)) + (m.low < np.minimum(m.open, m.close))
    most = np.maximum(m.lots, needed) if not indexed else np.maximum(counts, needed)
    return np.asarray(np.clip(counts, needed, most), dtype=np.int64)


def instrument_ticks(
    rng: np.random.Generator, m: Minutes, rate: Array, latency_ms: float
) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
    """Columns of one instrument's ticks in its own order. `rate` [minute] is what a busy one has on average."""
    counts = _counts(rng, m, rate)
    minute = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts
    place = np.arange(len(minute)) - first[minute]
    last = place == counts[minute] - 1
    # Sorting minute + uniform keeps each minute's ticks together, at irregular whole milliseconds within it.
    offset = np.sort(minute + rng.random(len(minute)) * 0.9999) - minute
    ts = m.start[minute] + np.minimum((offset * 60_000.0).astype(np.int64), 59_999) * _MS_NS
    delay = np.maximum((latency_ms * np.exp(0.5 * rng.standard_normal(len(ts)))).astype(np.int64), 1) * _MS_NS
    price = _prices(rng, m, counts, minute, place)
    quantity = _quantities(rng, m, counts, minute, first)
    spread = (m.ask - m.bid)[minute]
    bid = np.maximum(floor_tick(price - 0.5 * spread, m.tick), TICK)
    bid = np.where(last, m.bid[minute], bid)
    before = np.concatenate([m.oi[:1], m.oi[:-1]])
    return {
        "ts": ts,
        "ts_recv": np.maximum.accumulate(ts + delay),
        "price": price,
        "quantity": quantity,
        "day_volume": np.cumsum(quantity) if m.lots[0] else np.full(len(ts), -1, np.int64),
        "oi": np.where(last, m.oi[minute], before[minute]),
        "bid": bid,
        "ask": np.where(last, m.ask[minute], to_tick(bid + spread, m.tick)),
    }


def _prices(rng: np.random.Generator, m: Minutes, counts: Ints, minute: Ints, place: Ints) -> Array:
    """Prices that start at the open, end at the close, touch high and low and stay between them."""
    inner = counts - 2
    top, bottom = np.maximum(m.open, m.close), np.minimum(m.open, m.close)
    high_place, low_place = _extreme_places(m, inner)
    ends = np.maximum(counts - 1, 1)
    # Straight lines through open, the earlier extreme, the later one and the close, plus noise within the bar.
    high_first = high_place <= low_place
    a_at, a = np.where(high_first, high_place, low_place)[minute], np.where(high_first, m.high, m.low)[minute]
    b_at, b = np.where(high_first, low_place, high_place)[minute], np.where(high_first, m.low, m.high)[minute]
    c_at, c, o = ends[minute], m.close[minute], m.open[minute]
    rise = o + (a - o) * place / np.maximum(a_at, 1)
    middle = a + (b - a) * (place - a_at) / np.maximum(b_at - a_at, 1)
    end = b + (c - b) * (place - b_at) / np.maximum(c_at - b_at, 1)
    price = np.where(place <= a_at, rise, np.where(place <= b_at, middle, end))
    price += 0.12 * (m.high - m.low)[minute] * rng.standard_normal(len(minute))
    price = to_tick(np.clip(price, m.low[minute], m.high[minute]), m.tick)
    price = np.where((place == high_place[minute]) & (m.high > top)[minute], m.high[minute], price)
    price = np.where((place == low_place[minute]) & (m.low < bottom)[minute], m.low[minute], price)
    price = np.where(place == 0, o, price)
    return np.where(place == c_at, c, np.clip(price, m.low[minute], m.high[minute]))


def _extreme_places(m: Minutes, inner: Ints) -> tuple[Ints, Ints]:
    """Which tick of the minute is the high and which the low: two different inner ones where there are two."""
    room = np.maximum(inner, 1)
    high = 1 + np.minimum((m.high_at * room).astype(np.int64), room - 1)
    low = 1 + np.minimum((m.low_at * room).astype(np.int64), room - 1)
    clash = (high == low) & (inner >= 2)
    return high, np.where(clash, np.where(low > 1, low - 1, low + 1), low)


def _quantities(rng: np.random.Generator, m: Minutes, counts: Ints, minute: Ints, first: Ints) -> Ints:
    """Units of each tick: whole lots, one at least, adding up to the minute's volume; 0 for an index."""
    if not m.lots[0]:
        return np.zeros(len(minute), np.int64)
    weight = rng.standard_exponential(len(minute))
    weight /= np.add.reduceat(weight, first)[minute]
    spare = m.lots - counts
    lots = 1 + np.floor(weight * spare[minute]).astype(np.int64)
    lots[first + counts - 1] += m.lots - np.add.reduceat(lots, first)
    return np.asarray(lots * m.lot)
