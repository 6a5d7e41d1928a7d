"""What a row must be to be stored: within the session, priced, on the ladder, in order, once."""

from __future__ import annotations

import datetime as dt

import numpy as np
from numpy.typing import NDArray

from sos_actors.errors import InputError
from sos_actors.market.clocktime import (
    DAY_NS,
    IST_OFFSET_NS,
    MINUTE_NS,
    SECOND_NS,
    clock_ns,
    date_of,
    day_number,
    ist_day,
    ist_ns,
    ist_times,
    ns_of_day,
)
from sos_actors.market.day import DAILY_S
from sos_actors.market.tables import OPENING
from sos_actors.sources.facts import MarketFacts
from sos_actors.sources.layout import Layout
from sos_actors.sources.rows import NEAREST, Rows
from sos_actors.storage.merging import distinct_rows

#: Intervals that snapshots are snapped to, seconds; the nearest to their usual distance is taken.
GRIDS = (60, 300, 900)
#: Ladder steps that exchanges use, points, coarse to fine.
_STEPS = (1_000.0, 500.0, 250.0, 200.0, 100.0, 50.0, 25.0, 20.0, 10.0, 5.0, 2.5, 1.0)
_FINEST_USUAL = 25.0
_OHLC = ("open", "high", "low", "close")


def interval_of(rows: Rows, layout: Layout, where: str) -> int:
    """Seconds between bars, or the grid for snapshots: as the layout says, else from the data.

    Raises InputError where bars are at no whole minutes, or closer to one another than the layout says they are long.
    """
    given = layout.interval_s
    if layout.kind == "bars" and not given and (ns_of_day(rows.ts) == 0).all():
        return DAILY_S
    gaps = np.concatenate([_gaps(rows.ts[rows.underlying == one]) for one in range(len(rows.names))])
    if not len(gaps):
        return given or GRIDS[0]
    if layout.irregular:
        usual = float(np.median(gaps)) / 1e9
        return given or min(GRIDS, key=lambda grid: abs(np.log(usual / grid)))
    sizes, counts = np.unique(gaps, return_counts=True)
    usual = float(sizes[np.argmax(counts)]) / 1e9
    if usual < given:
        raise InputError(f"{where}: bars {usual:g} s apart, and interval_s says they are {given} s long: correct it")
    if usual % 60 and not given:
        raise InputError(
            f"{where}: bars {usual:g} s apart: say 'irregular: true' (snapshots) or 'interval_s:' in its mapping"
        )
    return given or int(usual)


def _gaps(ts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Nanoseconds between the different moments of each day."""
    stamps = np.unique(ts)
    gaps: NDArray[np.int64] = np.diff(stamps)[np.diff(ist_day(stamps)) == 0]
    return gaps


def check_session(rows: Rows, layout: Layout, facts: MarketFacts, where: str) -> None:
    """Drop rows outside the day's sessions. Raises InputError when most are: then the time zone is wrong."""
    before, inside = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
    day_of = rows.day
    for own in groups(rows.underlying * 1_000_000 + day_of):
        day, name = date_of(day_of[own[0]]), rows.names[rows.underlying[own[0]]]
        sessions = facts.sessions(name, day)
        if layout.session:
            sessions = ((ist_ns(day, layout.session[0]), ist_ns(day, layout.session[1])),)
        ts = rows.ts[own]
        inside[own] = np.any([(ts >= start) & (ts < end) for start, end in sessions], axis=0)
        before[own] = ts < sessions[0][0]
    outside = ~inside
    if outside.sum() * 2 > len(rows):
        ist = ist_times(np.sort(rows.ts[outside]))
        raise InputError(
            f"{where}: {int(outside.sum())} of {len(rows)} rows lie outside the session, from {ist[0]} to "
            f"{ist[-1]} IST: is the time zone right? Say e.g. 'zone: UTC' in its mapping"
        )
    after = outside[~before]
    rows.reject(before, "before the open")
    rows.reject(after, "after the close")


def groups(key: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Give the places of each distinct key, in the key's order and within it in the rows'."""
    order = np.argsort(key, kind="stable")
    cuts = np.flatnonzero(np.diff(key[order])) + 1
    return np.split(order, cuts) if len(order) else []


def check_prices(rows: Rows, layout: Layout) -> None:
    """Drop rows whose prices cannot be. A zero in a quote is no trade or no quote: unknown, and the row stays."""
    quotes = layout.quotes or layout.kind == "ticks"
    for name in (*_OHLC, "bid", "ask", "spot"):
        column = rows.values.get(name)
        if column is None:
            continue
        if quotes or name in {"bid", "ask", "spot"}:
            rows.values[name] = np.where(column == 0, np.nan, column)
            rows.reject(rows.values[name] < 0, f"{name} negative")
        else:
            rows.reject(column <= 0, f"{name} not positive")
    for name in ("volume", "oi", "quantity"):
        if name in rows.values:
            rows.reject(rows.values[name] < 0, f"{name} negative")
    if layout.kind == "ticks":
        rows.reject(np.isnan(rows.values["close"]), "no price")
    elif not layout.quotes:
        missing: NDArray[np.bool_] = np.isnan([rows.values[name] for name in _OHLC]).max(axis=0)
        rows.reject(missing, "price missing")
        opened, high, low, close = (rows.values[name] for name in _OHLC)
        rows.reject(high < low, "high below low")
        opened, high, low, close = (rows.values[name] for name in _OHLC)
        out = (np.maximum(opened, close) > high) | (np.minimum(opened, close) < low)
        rows.reject(out, "open or close outside high and low")


def check_contracts(rows: Rows, layout: Layout, facts: MarketFacts) -> None:
    """Resolve 'nearest' expiries; drop rows of expired contracts and of strikes off their underlying's ladder."""
    if (rows.expiry == NEAREST).any():
        key = rows.underlying * 1_000_000 + rows.day
        _, first, code = np.unique(key, return_index=True, return_inverse=True)
        day_of = rows.day
        nearest = [facts.nearest_expiry(rows.names[rows.underlying[at]], date_of(day_of[at])) for at in first]
        rows.expiry = np.array([day_number(day) for day in nearest], np.int64)[code]
    if layout.kind == "bars":
        rows.reject((rows.expiry >= 0) & (rows.expiry < rows.day), "expiry before the day")
        return
    rows.reject(rows.expiry < rows.day, "expiry before the day")
    rows.reject(rows.strike <= 0, "strike not positive")
    off = np.zeros(len(rows), np.bool_)
    for place in range(len(rows.names)):
        own = rows.underlying == place
        if own.any():
            known = facts.strike_step(rows.names[place], date_of(rows.day[own].max()))
            step = layout.strike_step or ladder_step(np.unique(rows.strike[own]), known)
            off |= own & (rows.strike % step != 0)
    rows.reject(off, "strike off the ladder")


def ladder_step(strikes: NDArray[np.float64], known: float = 0.0) -> float:
    """Give the step of the ladder that the distinct `strikes` lie on, but for a stray few (2 %, or one of six).

    The `known` step is taken if it fits; otherwise the coarsest usual one. Every index ladder being one of whole 25s,
    only strikes off those may be strays then: in a narrow chain a single 24450 does not make 100 the step.
    """
    allowed = max(len(strikes) * 2 // 100, 1 if len(strikes) >= 6 else 0)
    if known and int((strikes % known != 0).sum()) <= allowed:
        return known
    regular = strikes[strikes % _FINEST_USUAL == 0]
    if len(strikes) - len(regular) > allowed:
        regular = strikes
    return next((step for step in _STEPS if (regular % step == 0).all()), 0.05)


def order_rows(rows: Rows) -> tuple[NDArray[np.int64], int]:
    """Sort by contract and time and drop repeated rows; returns each row's contract key and the count unsorted.

    Of rows with the same contract and time the last in the file is kept; the others are counted as duplicates, or as
    contradictory where they differ from it.
    """
    contract = contract_key(rows)
    by_contract = np.argsort(contract, kind="stable")
    same = np.diff(contract[by_contract]) == 0
    unsorted = int((same & (np.diff(rows.ts[by_contract]) < 0)).sum())
    order = np.lexsort((rows.ts, contract))
    rows.take(order)
    contract = contract[order]
    again = (np.diff(contract) == 0) & (np.diff(rows.ts) == 0)
    identical = again.copy()
    for column in rows.values.values():
        identical &= (column[1:] == column[:-1]) | (np.isnan(column[1:]) & np.isnan(column[:-1]))
    for reason, mask in (("duplicate", again & identical), ("contradictory duplicate", again & ~identical)):
        rows.count(np.append(mask, False)[: len(rows)], reason)
    if again.any():
        keep = ~np.append(again, False)
        rows.take(keep)
        contract = contract[keep]
    return contract, unsorted


def contract_key(rows: Rows) -> NDArray[np.int64]:
    """One integer a contract, ordered by underlying, expiry, strike, right (strikes to the paisa, below 10 crore)."""
    key = (rows.underlying << 57) | ((rows.expiry + 2) << 36)
    return key | (np.rint(rows.strike * 100).astype(np.int64) << 1) | np.maximum(rows.right, 0)


def order_ticks(rows: Rows) -> int:
    """Sort ticks by arrival and drop those identical in everything; returns the count that came unsorted."""
    unsorted = int((np.diff(rows.ts_recv) < 0).sum())
    rows.take(np.argsort(rows.ts_recv, kind="stable"))
    columns = [contract_key(rows), rows.ts, rows.ts_recv, *rows.values.values()]
    rows.reject(~distinct_rows(columns), "duplicate")
    return unsorted


def snap(
    rows: Rows, contract: NDArray[np.int64], layout: Layout, interval_s: int, facts: MarketFacts
) -> tuple[dict[tuple[str, dt.date], int], int]:
    """Move every row to the start of its interval; of several the last counts.

    Daily bars go to 09:15, bars to their minute, snapshots to a grid that begins at the session's open. Returns the
    rows moved by underlying and day, and the number of rows that a later one of the same interval superseded.
    """
    if interval_s == DAILY_S:
        rows.ts = rows.day * DAY_NS - IST_OFFSET_NS + clock_ns(OPENING)
        return {}, 0
    start = rows.ts - rows.ts % MINUTE_NS
    if layout.irregular:
        day_of, step = rows.day, interval_s * SECOND_NS
        for own in groups(rows.underlying * 1_000_000 + day_of):
            opened = facts.sessions(rows.names[rows.underlying[own[0]]], date_of(day_of[own[0]]))[0][0]
            start[own] = rows.ts[own] - (rows.ts[own] - opened) % step
    moved = rows.by_day(start != rows.ts)
    superseded = np.append((np.diff(contract) == 0) & (np.diff(start) == 0), False)[: len(start)]
    rows.ts = start
    rows.take(~superseded)
    return moved, int(superseded.sum())
