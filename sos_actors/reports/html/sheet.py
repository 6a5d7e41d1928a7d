"""The page put together: figures from the result, charts from the record, words from the template."""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

from sos_actors.market.charges import ChargeModel
from sos_actors.market.rupees import NOTHING, grouped, rupees
from sos_actors.reports.formats import decimal, percent, span
from sos_actors.reports.html import charts
from sos_actors.reports.html.costs import cost_components
from sos_actors.reports.run import RunRecord, RunResult, run_result
from sos_actors.reports.terminal import ENOUGH_DAYS, SIMULATED_BANNER

#: Trades listed on the page; `--trades-out` writes them all.
MAX_TRADES = 500
#: Group tables, in order: key of the summary, heading, first column.
_TABLES = (
    ("strategy", "By strategy", "strategy"),
    ("underlying", "By underlying", "underlying"),
    ("right", "By right", "right"),
    ("exit_reason", "By exit", "exit"),
    ("regime", "By regime at the signal", "regime"),
)


def write_tear_sheet(record: RunRecord, charges: ChargeModel, path: Path) -> None:
    """Write the page of a run."""
    path.write_text(tear_sheet(record, charges), encoding="utf-8")


def tear_sheet(record: RunRecord, charges: ChargeModel) -> str:
    """Give the page of a run: one HTML text, with the chart library in it. The same run gives the same text."""
    result = run_result(record)
    environment = Environment(
        loader=PackageLoader("sos_actors.reports.html", "pages"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(rupees=rupees, decimal=decimal, percent=percent, grouped=grouped, span=span)
    drawn = {name: chart for name, chart in _charts(record, result, charges).items() if chart is not None}
    return environment.get_template("tear_sheet.html").render(
        result=result,
        figures=result.summary,
        enough_days=ENOUGH_DAYS,
        banner=SIMULATED_BANNER if result.data_quality["simulated"] else "",
        broken=[*result.summary["actors"]["failed"], *result.summary["actors"]["benched"]],
        drawn=set(drawn),
        charts=_for_script(drawn),
        plotly=_plotly(),
        tables=[(title, column, result.summary[f"by_{key}"], _most(result.summary[f"by_{key}"]))
                for key, title, column in _TABLES if result.summary[f"by_{key}"]],
        shown=result.trades[:MAX_TRADES],
        nothing=NOTHING,
    )  # fmt: skip


def _charts(record: RunRecord, result: RunResult, charges: ChargeModel) -> dict[str, charts.Chart | None]:
    start, summary = record.starting_equity_paise, result.summary
    days = charts.days_of(record)
    paid = sum(trade.charges_paise for trade in record.trades)
    return {
        "equity": charts.equity(record.marks, record.sessions, start),
        "calendar": charts.calendar(days, start),
        "excursions": charts.excursions(record.trades),
        "multiples": charts.r_distribution(record.trades),
        "hours": charts.by_group(summary["by_hour"], "hour of entry"),
        "weekdays": charts.by_group(charts.by_weekday(record.trades), "day of the week"),
        "costs": charts.costs(cost_components(record.fills, charges, paid)),
        "exposure": charts.exposure_by_time(record.trades, record.sessions),
    }


def _for_script(drawn: Mapping[str, charts.Chart]) -> str:
    """Give the charts as JSON that may stand in a script element: nothing in it can end the element."""
    text = msgspec.json.encode(drawn).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _plotly() -> str:
    """Give the chart library's own script, from its package."""
    script = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
    return script.read_text(encoding="utf-8")


def _most(groups: Mapping[str, Mapping[str, Any]]) -> float:
    """Give the largest net result of any group, either way: the length of a full bar."""
    return max((abs(figures["net"]) for figures in groups.values()), default=0) or 1
