"""Performance figures: pure functions over closed trades and equity marks.

Conventions, used everywhere:

* A trade's result is **net**, after charges. A win has net > 0, a loss net < 0; net = 0 is a scratch and neither.
* R is the net result divided by what was risked at entry, `initial_risk` x quantity; trades without a stop have none.
* Trades are taken in the order of their exits. Days and hours are those of India.
* Money is integer paise; an average of paise is a float. A figure that does not exist (no trades, no losses) is NaN.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence

import msgspec

from sos_actors.market.clocktime import MINUTE_NS, ist_date, minute_of_day
from sos_actors.market.ids import parse_id
from sos_actors.messages import NAN, AccountMarked, Regime, TradeClosed

#: Trading days a year, the usual convention for annualising daily returns.
DAYS_PER_YEAR = 252


class Session(msgspec.Struct, frozen=True):
    """One trading day of the run: its date and its [opening, closing) in UTC ns."""

    day: dt.date
    opening: int
    closing: int


class TradeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a set of trades came to. `average_loss_paise` and `worst_paise` keep their sign.

    `profit_factor` is the sum of wins over the sum of losses, NaN without losses. `average_mae_paise` and
    `average_mfe_paise` are the worst and best excursion of a whole trade (per unit x quantity), both >= 0.
    """

    trades: int
    wins: int
    losses: int
    gross_paise: int
    charges_paise: int
    net_paise: int
    win_rate: float
    average_win_paise: float
    average_loss_paise: float
    profit_factor: float
    expectancy_paise: float
    expectancy_r: float
    best_paise: float
    worst_paise: float
    longest_losing_run: int
    average_holding_minutes: float
    average_mae_paise: float
    average_mfe_paise: float


class EquityFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the account did over the run.

    `max_drawdown_paise` is the deepest fall from a peak among all marks and `max_drawdown_fraction` that fall as a
    fraction of that peak; `longest_drawdown_minutes` is the longest calendar time from a peak until equity was
    back at it, or until the last mark. `exposure` is the fraction of session time with a position open.
    `unrealised_paise` is the change of equity that closed trades do not explain: 0 when all ended flat.
    """

    starting_equity_paise: int
    ending_equity_paise: int
    total_return: float
    unrealised_paise: int
    days: int
    sharpe: float
    sortino: float
    max_drawdown_paise: int
    max_drawdown_fraction: float
    longest_drawdown_minutes: float
    exposure: float


class DayEquity(msgspec.Struct, frozen=True):
    """The account at one day's close; `daily_return` is the fraction since the close before."""

    day: dt.date
    equity_paise: int
    daily_return: float


def in_order(trades: Sequence[TradeClosed]) -> list[TradeClosed]:
    """Trades by the time of exit; of equal times by entry, then id."""
    return sorted(trades, key=lambda trade: (trade.exit_ts, trade.entry_ts, trade.trade_id))


def r_multiple(trade: TradeClosed) -> float:
    """Net result over the risk taken at entry; NaN where the trade had no stop or risked nothing."""
    risk = 100 * trade.initial_risk * trade.quantity
    return trade.net_paise / risk if risk > 0 else NAN


def holding_minutes(trade: TradeClosed) -> float:
    """Time from entry to flat."""
    return (trade.exit_ts - trade.entry_ts) / MINUTE_NS


def _mean(values: Sequence[float]) -> float:
    """Mean of the values that exist; NaN when none does. The sum is exact, so their order does not matter."""
    known = [value for value in values if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else NAN


def _longest_losing_run(results: Sequence[int]) -> int:
    longest = run = 0
    for net in results:
        run = run + 1 if net < 0 else 0
        longest = max(longest, run)
    return longest


def trade_figures(trades: Sequence[TradeClosed]) -> TradeFigures:
    """Figures of any set of trades, the empty one included."""
    ordered = in_order(trades)
    nets = [trade.net_paise for trade in ordered]
    wins = [net for net in nets if net > 0]
    losses = [net for net in nets if net < 0]
    return TradeFigures(
        trades=len(nets),
        wins=len(wins),
        losses=len(losses),
        gross_paise=sum(trade.gross_paise for trade in ordered),
        charges_paise=sum(trade.charges_paise for trade in ordered),
        net_paise=sum(nets),
        win_rate=len(wins) / len(nets) if nets else NAN,
        average_win_paise=sum(wins) / len(wins) if wins else NAN,
        average_loss_paise=sum(losses) / len(losses) if losses else NAN,
        profit_factor=sum(wins) / -sum(losses) if losses else NAN,
        expectancy_paise=sum(nets) / len(nets) if nets else NAN,
        expectancy_r=_mean([r_multiple(trade) for trade in ordered]),
        best_paise=max(nets, default=NAN),
        worst_paise=min(nets, default=NAN),
        longest_losing_run=_longest_losing_run(nets),
        average_holding_minutes=_mean([holding_minutes(trade) for trade in ordered]),
        average_mae_paise=_mean([100 * trade.mae * trade.quantity for trade in ordered]),
        average_mfe_paise=_mean([100 * trade.mfe * trade.quantity for trade in ordered]),
    )


def _right(trade: TradeClosed) -> str:
    parts = parse_id(trade.instrument)
    return parts.right.value if parts.right else parts.kind


#: What trades can be broken down by. `hour` is the hour of entry and `day` that of exit, both of India;
#: `right` is CE or PE, or FUT or INDEX where the instrument itself was traded.
BREAKDOWNS: dict[str, Callable[[TradeClosed], str]] = {
    "strategy": lambda trade: trade.strategy,
    "underlying": lambda trade: trade.underlying,
    "regime": lambda trade: trade.regime.value,
    "hour": lambda trade: f"{minute_of_day(trade.entry_ts) // 60:02d}:00",
    "day": lambda trade: ist_date(trade.exit_ts).isoformat(),
    "exit_reason": lambda trade: trade.exit_reason.value,
    "right": _right,
}

_REGIME_ORDER = {regime.value: place for place, regime in enumerate(Regime)}


def breakdown(trades: Sequence[TradeClosed], by: str) -> dict[str, TradeFigures]:
    """Figures of each group of `BREAKDOWNS[by]`, in the order of their names (regimes: most bullish first)."""
    groups: dict[str, list[TradeClosed]] = {}
    for trade in trades:
        groups.setdefault(BREAKDOWNS[by](trade), []).append(trade)
    names = sorted(groups, key=lambda name: (_REGIME_ORDER.get(name, 0) if by == "regime" else 0, name))
    return {name: trade_figures(groups[name]) for name in names}


def daily_equity(marks: Sequence[AccountMarked], sessions: Sequence[Session], starting_paise: int) -> list[DayEquity]:
    """Equity at each session's close: the last mark up to it. A day without marks keeps the equity before."""
    ordered = sorted(marks, key=lambda mark: mark.ts)
    closes: list[DayEquity] = []
    before, place = starting_paise, 0
    for session in sorted(sessions, key=lambda session: session.day):
        equity = before
        while place < len(ordered) and ist_date(ordered[place].ts) <= session.day:
            equity = ordered[place].equity_paise
            place += 1
        closes.append(DayEquity(session.day, equity, equity / before - 1 if before > 0 else NAN))
        before = equity
    return closes


def sharpe(returns: Sequence[float]) -> float:
    """Mean over sample standard deviation of daily returns, times sqrt(252); no risk-free rate is taken off.

    NaN with fewer than two days or when all days were alike.
    """
    if len(returns) < 2 or min(returns) == max(returns):
        return NAN
    mean = math.fsum(returns) / len(returns)
    variance = math.fsum((value - mean) ** 2 for value in returns) / (len(returns) - 1)
    return mean / math.sqrt(variance) * math.sqrt(DAYS_PER_YEAR) if variance > 0 else NAN


def sortino(returns: Sequence[float]) -> float:
    """Mean daily return over downside deviation from zero, times sqrt(252).

    The downside deviation is the root of the mean over **all** days of min(return, 0) squared (Sortino and
    Price, 1994). NaN with fewer than two days or without a losing day.
    """
    if len(returns) < 2:
        return NAN
    downside = math.sqrt(math.fsum(min(value, 0.0) ** 2 for value in returns) / len(returns))
    return math.fsum(returns) / len(returns) / downside * math.sqrt(DAYS_PER_YEAR) if downside > 0 else NAN


def drawdown(curve: Sequence[tuple[int, int]]) -> tuple[int, float, float]:
    """Deepest fall of a curve of (UTC ns, paise): its paise, its fraction of the peak, and the longest time below one.

    The time is in calendar minutes and may belong to another, shallower drawdown. An empty curve: (0, NaN, 0).
    """
    if not curve:
        return 0, NAN, 0.0
    peak_ts, peak = curve[0]
    deepest, fraction, longest = 0, 0.0, 0
    under_water = False
    for ts, equity in curve:
        if under_water or equity < peak:
            longest = max(longest, ts - peak_ts)
        under_water = equity < peak
        if not under_water:
            peak_ts, peak = ts, equity
        elif peak - equity > deepest:
            deepest, fraction = peak - equity, (peak - equity) / peak if peak > 0 else NAN
    return deepest, fraction, longest / MINUTE_NS


def exposure(trades: Sequence[TradeClosed], sessions: Sequence[Session]) -> float:
    """Fraction of session time during which at least one position was open; NaN without sessions."""
    total = sum(session.closing - session.opening for session in sessions)
    if total <= 0:
        return NAN
    spans: list[tuple[int, int]] = []
    for entry, leave in sorted((trade.entry_ts, trade.exit_ts) for trade in trades):
        if spans and entry <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], leave)
        else:
            spans.append((entry, leave))
    held = first = 0
    for session in sorted(sessions, key=lambda session: session.opening):
        while first < len(spans) and spans[first][1] <= session.opening:
            first += 1
        place = first
        while place < len(spans) and spans[place][0] < session.closing:
            held += min(spans[place][1], session.closing) - max(spans[place][0], session.opening)
            place += 1
    return held / total


def equity_figures(
    trades: Sequence[TradeClosed],
    marks: Sequence[AccountMarked],
    sessions: Sequence[Session],
    starting_paise: int,
) -> EquityFigures:
    """Figures of the account: returns on days' closes, drawdown on every mark."""
    ordered = sorted(marks, key=lambda mark: mark.ts)
    ending = ordered[-1].equity_paise if ordered else starting_paise
    curve = [(mark.ts, mark.equity_paise) for mark in ordered]
    if ordered:
        begin = min([session.opening for session in sessions] + [ordered[0].ts])
        curve.insert(0, (begin, starting_paise))
    deepest, fraction, longest = drawdown(curve)
    closes = daily_equity(ordered, sessions, starting_paise)
    returns = [close.daily_return for close in closes]
    return EquityFigures(
        starting_equity_paise=starting_paise,
        ending_equity_paise=ending,
        total_return=ending / starting_paise - 1 if starting_paise > 0 else NAN,
        unrealised_paise=ending - starting_paise - sum(trade.net_paise for trade in trades) if ordered else 0,
        days=len(closes),
        sharpe=sharpe(returns),
        sortino=sortino(returns),
        max_drawdown_paise=deepest,
        max_drawdown_fraction=fraction,
        longest_drawdown_minutes=longest,
        exposure=exposure(trades, sessions),
    )
