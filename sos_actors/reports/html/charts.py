"""A run's charts as Plotly figures: plain data and layout, no colours of the page.

Colours are roles (`good`, `bad`, `line`, ...) that the page replaces by those of its theme, light or dark. Money is
rupees, times are Indian. Every function gives None where there is nothing to draw.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from sos_actors.market.clocktime import MINUTE_NS, ist_date, ist_plain, minute_of_day
from sos_actors.messages import AccountMarked, TradeClosed
from sos_actors.reports.figures import DayEquity, Session, daily_equity, r_multiple, trade_figures
from sos_actors.reports.run import RunRecord, written

Chart = dict[str, Any]
#: Points of a curve beyond which it is thinned; every stretch keeps its extremes.
MAX_POINTS = 1500
#: Labels an axis of days has room for.
_DAY_LABELS = 8
_R_EDGE = 5.0
#: A calendar of so few weeks has room for the figures themselves.
_WEEKS_WITH_FIGURES = 6
_WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def days_of(record: RunRecord) -> list[DayEquity]:
    """Give the account at the close of each day of the run."""
    return daily_equity(record.marks, record.sessions, record.starting_equity_paise)


def equity(marks: Sequence[AccountMarked], sessions: Sequence[Session], starting_paise: int) -> Chart | None:
    """Draw equity above and drawdown below, over trading time: nights and holidays take no room."""
    if not marks or not sessions:
        return None
    axis = _TradingTime(sessions)
    points = [(sessions[0].opening, starting_paise), *((mark.ts, mark.equity_paise) for mark in marks)]
    kept = _thinned([(axis.place(ts), paise, ts) for ts, paise in sorted(points)])
    peak = starting_paise
    falls = []
    for _, paise, _ in kept:
        peak = max(peak, paise)
        falls.append((paise - peak) / peak * 100 if peak > 0 else None)
    x = [place for place, _, _ in kept]
    when = [ist_plain(ts)[:16] for _, _, ts in kept]
    return {
        "data": [
            {"type": "scatter", "mode": "lines", "x": x, "y": [paise / 100 for _, paise, _ in kept], "customdata": when,
             "line": {"color": "line", "width": 1.6, "shape": "hv"},
             "hovertemplate": "%{customdata}<br>equity %{y:,.2f}<extra></extra>"},
            {"type": "scatter", "mode": "lines", "x": x, "y": falls, "customdata": when, "yaxis": "y2",
             "fill": "tozeroy", "line": {"color": "bad", "width": 1, "shape": "hv"}, "fillcolor": "bad-soft",
             "hovertemplate": "%{customdata}<br>below the peak %{y:.2f} %<extra></extra>"},
        ],
        "layout": {
            "height": 420, "hovermode": "x",
            "xaxis": {"tickvals": axis.tick_places, "ticktext": axis.tick_names, "anchor": "y2"},
            "yaxis": {"domain": [0.32, 1], "title": {"text": "equity, rupees"}, "tickformat": "~s"},
            "yaxis2": {"domain": [0, 0.26], "title": {"text": "drawdown, %"}, "rangemode": "tozero"},
            "shapes": [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": starting_paise / 100,
                        "y1": starting_paise / 100, "line": {"color": "faint", "width": 1, "dash": "dot"}}],
        },
    }  # fmt: skip


class _TradingTime:
    """Minutes of open market since the first opening; a moment outside every session is the nearest edge of one."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self._sessions = sorted(sessions, key=lambda session: session.opening)
        self._before: list[float] = []
        total = 0.0
        for session in self._sessions:
            self._before.append(total)
            total += (session.closing - session.opening) / MINUTE_NS
        step = max(1, -(-len(self._sessions) // _DAY_LABELS))
        shown = list(zip(self._before, self._sessions, strict=True))[::step]
        self.tick_places = [before for before, _ in shown]
        self.tick_names = [f"{session.day:%d %b}" for _, session in shown]
        self._number = 0

    def place(self, ts: int) -> float:
        """Give the place of a moment; moments must come in order."""
        while self._number + 1 < len(self._sessions) and ts >= self._sessions[self._number + 1].opening:
            self._number += 1
        session = self._sessions[self._number]
        inside = min(max(ts, session.opening), session.closing) - session.opening
        return self._before[self._number] + inside / MINUTE_NS


def _thinned(points: list[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
    """Keep the first, lowest, highest and last point of each stretch, so that no extreme is lost."""
    if len(points) <= MAX_POINTS:
        return points
    size = -(-len(points) * 4 // MAX_POINTS)
    kept: list[tuple[float, int, int]] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        extremes = {0, len(stretch) - 1}
        extremes.add(min(range(len(stretch)), key=lambda place: stretch[place][1]))
        extremes.add(max(range(len(stretch)), key=lambda place: stretch[place][1]))
        kept += [stretch[place] for place in sorted(extremes)]
    return kept


def calendar(days: Sequence[DayEquity], starting_paise: int) -> Chart | None:
    """Draw the P&L of every day: a column a week, a row a weekday, Saturdays' sessions included where there were."""
    if not days:
        return None
    results: dict[dt.date, float] = {}
    before = starting_paise
    for day in days:
        results[day.day] = (day.equity_paise - before) / 100
        before = day.equity_paise
    first = min(results) - dt.timedelta(days=min(results).weekday())
    weeks = (max(results) - first).days // 7 + 1
    last_row = max(4, *(day.weekday() for day in results))
    names = _WEEKDAYS[: last_row + 1]
    grid = [
        [results.get(first + dt.timedelta(days=7 * week + row)) for week in range(weeks)] for row in range(len(names))
    ]
    texts = [
        [f"{first + dt.timedelta(days=7 * week + row):%a %d %b %Y}" for week in range(weeks)]
        for row in range(len(names))
    ]
    most = max((abs(value) for value in results.values()), default=0) or 1
    figures = {"texttemplate": "%{z:.3s}"} if weeks <= _WEEKS_WITH_FIGURES else {}
    step = max(1, -(-weeks // _DAY_LABELS))
    shown = range(0, weeks, step)
    return {
        "data": [
            {"type": "heatmap", "z": grid, "y": names, "customdata": texts, "zmid": 0, "zmin": -most, "zmax": most,
             "colorscale": "loss-gain", "xgap": 2, "ygap": 2, "showscale": False, "hoverongaps": False, **figures,
             "hovertemplate": "%{customdata}<br>%{z:,.2f}<extra></extra>"},
        ],
        "layout": {
            "height": 40 + 34 * len(names),
            "xaxis": {"tickvals": list(shown), "ticktext": [f"{first + dt.timedelta(days=7 * w):%d %b}" for w in shown],
                      "showgrid": False, "zeroline": False, "side": "top", "range": [-0.5, max(weeks, 6) - 0.5]},
            "yaxis": {"autorange": "reversed", "showgrid": False},
        },
    }  # fmt: skip


def excursions(trades: Sequence[TradeClosed]) -> Chart | None:
    """Scatter how far each trade went against us and for us, in units of its first risk where it had one."""
    in_risk = [trade for trade in trades if trade.initial_risk > 0]
    if not in_risk:
        return None
    data = []
    for name, role, chosen in (
        ("won", "good", [trade for trade in in_risk if trade.net_paise > 0]),
        ("lost", "bad", [trade for trade in in_risk if trade.net_paise <= 0]),
    ):
        data.append(
            {"type": "scatter", "mode": "markers", "name": name,
             "x": [_rounded(trade.mae / trade.initial_risk) for trade in chosen],
             "y": [_rounded(trade.mfe / trade.initial_risk) for trade in chosen],
             "customdata": [[trade.strategy, trade.instrument, trade.net_paise / 100] for trade in chosen],
             "marker": {"color": role, "size": 6, "opacity": 0.65},
             "hovertemplate": "%{customdata[0]}<br>%{customdata[1]}<br>against %{x:.2f} R, for %{y:.2f} R<br>"
                              "net %{customdata[2]:,.2f}<extra></extra>"}
        )  # fmt: skip
    line = {"type": "line", "line": {"color": "faint", "width": 1, "dash": "dot"}}
    return {
        "data": data,
        "layout": {
            "height": 340, "showlegend": True, "legend": {"orientation": "h", "y": 1.08, "x": 0},
            "xaxis": {"title": {"text": "worst against us (MAE), R"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": "best for us (MFE), R"}, "rangemode": "tozero"},
            "shapes": [
                line | {"x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1},
                line | {"y0": 1, "y1": 1, "xref": "paper", "x0": 0, "x1": 1},
            ],
        },
    }  # fmt: skip


def r_distribution(trades: Sequence[TradeClosed]) -> Chart | None:
    """Count trades by net result in R, half an R a bar; what lies beyond the edges is in the outermost bars."""
    multiples = [r for r in (r_multiple(trade) for trade in trades) if r == r]
    if not multiples:
        return None
    width = 0.5
    bars = round(2 * _R_EDGE / width)
    counts = [0] * bars
    for multiple in multiples:
        counts[min(max(int((multiple + _R_EDGE) // width), 0), bars - 1)] += 1
    starts = [-_R_EDGE + width * place for place in range(bars)]
    names = [f"{start:g} to {start + width:g} R" for start in starts]
    names[0], names[-1] = f"below {starts[1]:g} R", f"above {starts[-1]:g} R"
    return {
        "data": [
            {"type": "bar", "x": [start + width / 2 for start in starts], "y": counts, "customdata": names,
             "marker": {"color": ["bad" if start < 0 else "good" for start in starts]},
             "hovertemplate": "%{customdata}: %{y} trades<extra></extra>"},
        ],
        "layout": {
            "height": 340, "bargap": 0.08, "xaxis": {"title": {"text": "net result, R"}, "dtick": 1},
            "yaxis": {"title": {"text": "trades"}, "rangemode": "tozero"},
        },
    }  # fmt: skip


def by_weekday(trades: Sequence[TradeClosed]) -> dict[str, dict[str, Any]]:
    """Figures of the trades entered on each day of the week, Monday first."""
    groups: dict[int, list[TradeClosed]] = {}
    for trade in trades:
        groups.setdefault(ist_date(trade.entry_ts).weekday(), []).append(trade)
    return {_WEEKDAYS[day]: written(trade_figures(groups[day])) for day in sorted(groups)}


def by_group(groups: Mapping[str, Mapping[str, Any]], what: str) -> Chart | None:
    """Draw the net result of every group as bars; `groups` is one of the summary's `by_...`."""
    if not groups:
        return None
    names = list(groups)
    nets = [groups[name]["net"] for name in names]
    about = [[groups[name]["trades"], _percent(groups[name]["win_rate"])] for name in names]
    return {
        "data": [
            {"type": "bar", "x": names, "y": nets, "customdata": about,
             "marker": {"color": ["good" if net > 0 else "bad" for net in nets]},
             "hovertemplate": "%{x}<br>net %{y:,.2f}<br>%{customdata[0]} trades, won %{customdata[1]}<extra></extra>"},
        ],
        "layout": {
            "height": 300, "xaxis": {"type": "category", "title": {"text": what}},
            "yaxis": {"title": {"text": "net, rupees"}, "tickformat": "~s"},
        },
    }  # fmt: skip


def costs(components: Mapping[str, float]) -> Chart | None:
    """Draw what trading cost, by component, the largest on top."""
    known = sorted(((amount, name) for name, amount in components.items() if amount), reverse=True)
    if not known:
        return None
    total = sum(amount for amount, _ in known)
    return {
        "data": [
            {"type": "bar", "orientation": "h", "y": [name for _, name in known], "x": [amount for amount, _ in known],
             "customdata": [_percent(amount / total) for amount, _ in known], "marker": {"color": "line"},
             "text": [f"{amount:,.0f}" for amount, _ in known], "textposition": "auto",
             "hovertemplate": "%{y}: %{x:,.2f}<br>%{customdata} of all costs<extra></extra>"},
        ],
        "layout": {
            "height": 60 + 32 * len(known), "yaxis": {"autorange": "reversed", "automargin": True},
            "xaxis": {"title": {"text": "rupees"}, "tickformat": "~s"},
        },
    }  # fmt: skip


def exposure_by_time(trades: Sequence[TradeClosed], sessions: Sequence[Session]) -> Chart | None:
    """Draw how many positions were open, on the average of the days, in each ten minutes of the day."""
    if not trades or not sessions:
        return None
    first = min(minute_of_day(session.opening) for session in sessions) // 10
    last = max(minute_of_day(session.closing - 1) for session in sessions) // 10
    held = [0.0] * (last - first + 1)
    ten = 10 * MINUTE_NS
    for trade in trades:
        start = trade.entry_ts
        while start < trade.exit_ts:
            place = minute_of_day(start) // 10 - first
            end = min(trade.exit_ts, start - start % ten + ten)
            if 0 <= place < len(held):
                held[place] += (end - start) / ten
            start = end
    return {
        "data": [
            {"type": "bar", "x": [f"{n // 6:02d}:{n % 6 * 10:02d}" for n in range(first, last + 1)],
             "y": [_rounded(total / len(sessions)) for total in held], "marker": {"color": "line"},
             "hovertemplate": "%{x}: %{y:.2f} positions open<extra></extra>"},
        ],
        "layout": {
            "height": 300, "bargap": 0.05, "xaxis": {"type": "category", "nticks": 8, "title": {"text": "time of day"}},
            "yaxis": {"title": {"text": "positions open, average"}, "rangemode": "tozero"},
        },
    }  # fmt: skip


def _rounded(value: float) -> float:
    return round(value, 4) + 0.0


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:.0%}"
