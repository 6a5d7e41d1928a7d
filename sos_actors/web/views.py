"""A day's book as the API shows it: plain functions from what was seen to the shapes of schema.py."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sos_actors.market.clocktime import ist_plain
from sos_actors.market.ids import option_id
from sos_actors.messages import CE, PE, Bar, Buildup, ChainSnapshot, Right, TradeClosed
from sos_actors.reports.decisions import Decision, decisions
from sos_actors.reports.figures import breakdown, r_multiple, trade_figures
from sos_actors.reports.run import written
from sos_actors.web.daybook import DayBook
from sos_actors.web.schema import (
    Candles,
    ChainRow,
    ChainSeries,
    ChainView,
    HeatMap,
    OpenRow,
    Performance,
    SignalRow,
    TradeRow,
)

#: Figures a heat map can show; of the exposures, the rupees of delta that one point of the index moves.
HEAT_FIELDS = ("oi_change", "oi", "iv", "volume", "gamma")
#: Figures of the whole chain that are shown by name.
_FIGURES = (
    "spot", "forward", "atm_strike", "straddle", "atm_iv", "iv_skew", "iv_rank", "iv_percentile", "ce_oi", "pe_oi",
    "ce_oi_change", "pe_oi_change", "ce_volume", "pe_volume", "pcr", "pcr_volume", "pcr_oi_change", "pcr_velocity",
    "max_pain", "oi_wall_above", "oi_wall_below", "gamma_exposure", "gamma_flip", "proxy_oi", "breadth_ratio",
)  # fmt: skip
_SERIES = ("spot", "pcr", "pcr_velocity", "atm_iv", "straddle", "max_pain", "gamma_exposure", "ce_oi", "pe_oi")
_LABELS = {int(one): one.label if one > 0 else "" for one in Buildup}
_RIGHTS = ((CE, Right.CE), (PE, Right.PE))
_BREAKDOWNS = ("strategy", "hour", "regime", "exit_reason", "underlying")


def known(value: float) -> float | None:
    """Give a figure, None where there is none."""
    return float(value) if math.isfinite(value) else None


def candles(instrument: str, bars: Sequence[Bar], forming: Any = None) -> Candles:
    """Give bars as columns."""
    bars = list(bars)
    return Candles(
        instrument=instrument,
        start=[bar.start for bar in bars],
        open=[bar.open for bar in bars],
        high=[bar.high for bar in bars],
        low=[bar.low for bar in bars],
        close=[bar.close for bar in bars],
        volume=[known(bar.volume) for bar in bars],
        forming=None if forming is None else list(forming),
    )


def chain_view(book: DayBook, snapshot: ChainSnapshot) -> ChainView:
    """Give a chain strike by strike. Volume is the day's up to then, from the contracts' bars."""
    sides = []
    for place, right in _RIGHTS:
        traded = [_traded(book, snapshot, strike, right) for strike in snapshot.strikes.tolist()]
        columns = {
            name: _column(getattr(snapshot, name)[place])
            for name in ("price", "bid", "ask", "iv", "delta", "gamma", "theta", "vega", "oi", "oi_change")
        }
        labels = [_LABELS.get(code, "") for code in snapshot.buildup[place].tolist()]
        sides.append(
            [
                ChainRow(**{name: values[k] for name, values in columns.items()}, volume=traded[k], buildup=labels[k])
                for k in range(len(labels))
            ]
        )
    return ChainView(
        underlying=snapshot.underlying,
        expiry=snapshot.expiry.isoformat(),
        ts=snapshot.ts,
        at=ist_plain(snapshot.ts),
        days_to_expiry=snapshot.years * 365.0,
        figures=chain_figures(snapshot),
        missing=list(snapshot.missing),
        strikes=snapshot.strikes.tolist(),
        calls=sides[CE],
        puts=sides[PE],
    )


def chain_figures(snapshot: ChainSnapshot) -> dict[str, Any]:
    """Give the figures of the whole chain, regime and smart trend with them."""
    figures: dict[str, Any] = {name: known(getattr(snapshot, name)) for name in _FIGURES}
    return figures | {"regime": snapshot.regime.value, "smart_trend": snapshot.smart_trend}


def chain_series(underlying: str, chains: Sequence[ChainSnapshot]) -> ChainSeries:
    """Give the figures of the whole chain over the day."""
    chains = list(chains)
    series: dict[str, list[Any]] = {name: [known(getattr(one, name)) for one in chains] for name in _SERIES}
    series["regime"] = [one.regime.value for one in chains]
    return ChainSeries(underlying=underlying, ts=[one.ts for one in chains], series=series)


def heat_map(book: DayBook, underlying: str, field: str, right: str, strikes: int = 15) -> HeatMap:
    """Give one figure over strike x time, `strikes` either side of the money; `right` is CE, PE or BOTH (the sum).

    With BOTH, gamma counts calls plus and puts minus, as dealers' exposure does, in rupees a point.
    """
    chains = list(book.chains.get(underlying, []))
    if not chains:
        return HeatMap(underlying=underlying, field=field, right=right, ts=[], strikes=[], values=[], spot=[])
    last = chains[-1]
    middle = int(np.argmin(np.abs(last.strikes - last.atm_strike))) if known(last.atm_strike) is not None else 0
    chosen = last.strikes[max(0, middle - strikes) : middle + strikes + 1]
    rows = np.array([_heat_row(book, one, field, right, chosen) for one in chains]).T
    return HeatMap(
        underlying=underlying, field=field, right=right, ts=[one.ts for one in chains], strikes=chosen.tolist(),
        values=[_column(row) for row in rows], spot=[known(one.spot) for one in chains],
    )  # fmt: skip


def _heat_row(
    book: DayBook, one: ChainSnapshot, field: str, right: str, strikes: NDArray[np.float64]
) -> NDArray[np.float64]:
    places = np.searchsorted(one.strikes, strikes)
    places[places == len(one.strikes)] = 0
    there = one.strikes[places] == strikes
    if field == "volume":
        both = np.array([[_minute_volume(book, one, k, r) for k in strikes.tolist()] for _, r in _RIGHTS])
    elif field == "gamma":
        both = (one.gamma * one.oi * one.spot)[:, places] * np.array([[1.0], [-1.0 if right == "BOTH" else 1.0]])
    else:
        both = getattr(one, field)[:, places]
    if right != "BOTH":
        row = both[CE if right == "CE" else PE]
    elif field == "iv":  # out of the money on either side: the quotes that trade
        row = np.where(strikes < one.atm_strike, both[PE], both[CE])
    else:
        row = both[CE] + both[PE]
    return np.where(there, row, np.nan)


def _minute_volume(book: DayBook, one: ChainSnapshot, strike: float, right: Right) -> float:
    bars = book.bars.get(option_id(one.underlying, one.expiry, strike, right), ())
    found = _at_end(bars, one.ts)
    return math.nan if found is None else found.volume


def _traded(book: DayBook, one: ChainSnapshot, strike: float, right: Right) -> float | None:
    bars = book.bars.get(option_id(one.underlying, one.expiry, strike, right))
    if not bars:
        return None
    return sum(bar.volume for bar in list(bars) if bar.end <= one.ts and bar.volume == bar.volume)


def _at_end(bars: Sequence[Bar], ts: int) -> Bar | None:
    low, high = 0, len(bars)
    while low < high:
        middle = (low + high) // 2
        if bars[middle].end < ts:
            low = middle + 1
        else:
            high = middle
    return bars[low] if low < len(bars) and bars[low].end == ts else None


def _column(values: NDArray[np.float64]) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]


def trade_rows(book: DayBook) -> list[TradeRow]:
    """Give the day's round trips, oldest first."""
    return [trade_row(book, trade) for trade in list(book.trades)]


def trade_row(book: DayBook, trade: TradeClosed) -> TradeRow:
    """Give one round trip, with the plan's levels where they are known."""
    plan = book.plans.get(trade.intent_id)
    stop = math.nan if plan is None else plan.stop
    if stop != stop and trade.initial_risk == trade.initial_risk:
        stop = trade.entry_price - trade.side.sign * trade.initial_risk
    return TradeRow(
        trade_id=trade.trade_id, strategy=trade.strategy, underlying=trade.underlying, instrument=trade.instrument,
        side=trade.side.value, direction=trade.direction.value, quantity=trade.quantity, entry_ts=trade.entry_ts,
        exit_ts=trade.exit_ts, entry_price=trade.entry_price, exit_price=trade.exit_price,
        gross=trade.gross_paise / 100, charges=trade.charges_paise / 100, net=trade.net_paise / 100,
        exit_reason=trade.exit_reason.value, regime=trade.regime.value, r_multiple=known(r_multiple(trade)),
        stop=known(stop), target=None if plan is None else known(plan.target), mae=known(trade.mae),
        mfe=known(trade.mfe),
    )  # fmt: skip


def decision(book: DayBook, intent_id: str) -> Decision | None:
    """Give the decision behind an intent, as far as the day's book holds it; None where it holds nothing of it."""
    plan = book.plans.get(intent_id)
    plans = [] if plan is None else [plan]
    orders, fills = list(book.orders), list(book.fills)
    found = decisions([intent_id], list(book.signals), list(book.explained), plans, orders, fills)[intent_id]
    return found if plans or found.orders else None


def open_rows(book: DayBook, held: Collection[str]) -> list[OpenRow]:
    """Give the entries of what is held now, as they were planned."""
    ended = {trade.intent_id for trade in list(book.trades)}
    return [
        OpenRow(
            strategy=plan.strategy, underlying=plan.underlying, instrument=plan.instrument, side=plan.side.value,
            direction=plan.direction.value, entry_ts=plan.ts, entry_price=known(plan.entry), stop=known(plan.stop),
            target=known(plan.target),
        )
        for intent_id, plan in book.plans.copy().items()
        if intent_id not in ended and plan.instrument in held
    ]  # fmt: skip


def signal_rows(book: DayBook) -> list[SignalRow]:
    """Give signals and refusals of the day, newest first: what was entered, and what was not and why."""
    refusals = list(book.refusals)
    refused = {one.signal_id: one for one in refusals if one.signal_id}
    entered = book.entered()
    rows = []
    for signal in list(book.signals):
        why = refused.get(signal.signal_id)
        outcome = "entered" if signal.signal_id in entered else "under way" if why is None else why.reason.value
        rows.append(
            SignalRow(
                ts=signal.ts, strategy=signal.strategy, underlying=signal.underlying, outcome=outcome,
                detail="" if why is None else why.detail, direction=signal.direction.value,
                entry=known(signal.entry), stop=known(signal.stop), target=known(signal.target),
                regime=signal.regime.value,
            )
        )  # fmt: skip
    told = {signal.signal_id for signal in list(book.signals)}
    rows += [
        SignalRow(
            ts=one.ts, strategy=one.strategy, underlying=one.underlying, outcome=one.reason.value, detail=one.detail
        )
        for one in refusals
        if one.signal_id not in told
    ]
    return sorted(rows, key=lambda row: -row.ts)


def performance(book: DayBook) -> Performance:
    """Give what the day's trading came to."""
    trades, marks = list(book.trades), list(book.marks)
    return Performance(
        figures=written(trade_figures(trades)),
        ts=[mark.ts for mark in marks],
        equity=[mark.equity_paise / 100 for mark in marks],
        by={by: {name: written(one) for name, one in breakdown(trades, by).items()} for by in _BREAKDOWNS},
        refusals=_counted(one.reason.value for one in list(book.refusals)),
    )


def _counted(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def at_the_money(snapshot: ChainSnapshot) -> list[str]:
    """Give the call and the put at the money; nothing where that strike is not known."""
    if snapshot.atm_strike != snapshot.atm_strike:
        return []
    strike = snapshot.atm_strike
    return [option_id(snapshot.underlying, snapshot.expiry, strike, right) for _, right in _RIGHTS]
