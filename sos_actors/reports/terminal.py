"""A run's result as tables for people: 120 columns wide in a pipe, the terminal's width on a terminal.

In a pipe there are no colours and only ASCII, so the text can be read, searched and compared anywhere.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table

from sos_actors.market.rupees import NOTHING, grouped, rupees
from sos_actors.messages import Side
from sos_actors.reports.formats import decimal, percent, span
from sos_actors.reports.run import RunResult

PIPE_WIDTH = 120
SIMULATED_BANNER = "*** SIMULATED DATA: not a real market; these results say nothing about real trading ***"
#: Days with something to say about their data that are listed one by one.
MAX_QUALITY_DAYS = 10
#: A day's holes in its data, up to this many, are listed one by one.
FEW_HOLES = 4
#: Break-downs by day longer than this are left to the JSON.
MAX_DAYS_SHOWN = 25
#: Fewer days than these make annualised ratios a joke, and the report says so.
ENOUGH_DAYS = 20

#: ASCII only: nothing but a rule under each heading.
_RULED = box.Box("    \n    \n -  \n" + "    \n" * 5, ascii=True)


@contextmanager
def console_on(file: TextIO, pipe_width: int = PIPE_WIDTH) -> Iterator[Console]:
    """Lend a console whose text goes to `file` at the end, without trailing blanks; `pipe_width` off a terminal.

    Text is written as it is: no markup, no guessing at numbers to colour. What the file's encoding lacks becomes '?'.
    """
    width = None if file.isatty() else pipe_width
    console = Console(file=file, width=width, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        yield console
    text = "\n".join(line.rstrip() for line in captured.get().split("\n"))
    encoding = getattr(file, "encoding", None) or "utf-8"
    file.write(text.encode(encoding, "replace").decode(encoding))


def new_table(*columns: str, left: int = 1, fold: str = "") -> Table:
    """Start a table whose first `left` columns hold text and the others figures, which are right-aligned.

    Where the width is short the text columns give way, or only the one called `fold`; figures are never cut.
    """
    table = Table(
        box=_RULED, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", border_style="dim"
    )
    for place, column in enumerate(columns):
        gives_way = column == fold if fold else place < left
        table.add_column(column, justify="left" if place < left else "right", no_wrap=not gives_way, overflow="fold")
    return table


def print_run(result: RunResult, file: TextIO, trades: int = 0) -> None:
    """Print the whole report: verdict, figures, break-downs, refusals, data, assumptions, identity.

    `trades` is how many trades to list, from the first; 0 lists none. A sold quantity is shown as negative.
    """
    with console_on(file) as console:
        _print_report(console, result, trades)


def _print_report(console: Console, result: RunResult, trades: int) -> None:
    _print_header(console, result)
    _print_figures(console, result.summary)
    if result.trades:
        for by, title in (
            ("strategy", "By strategy"),
            ("underlying", "By underlying"),
            ("right", "By right"),
            ("exit_reason", "By exit"),
            ("regime", "By regime at the signal"),
            ("hour", "By hour of entry (IST)"),
            ("day", "By day"),
        ):
            groups = result.summary[f"by_{by}"]
            telling = len(groups) > 1 and (by != "day" or len(groups) <= MAX_DAYS_SHOWN)
            if telling or by in ("strategy", "exit_reason"):
                _section(console, title, _groups_table(by.replace("_", " "), groups))
    if trades > 0 and result.trades:
        shown = min(trades, len(result.trades))
        _section(
            console,
            f"Trades: {shown} of {grouped(len(result.trades))} (times IST)",
            _trades_table(result.trades[:shown]),
        )
    _print_refusals(console, result.refusals)
    _print_actors(console, result.summary["actors"])
    _print_quality(console, result.data_quality)
    _print_assumptions(console, result.assumptions)
    _print_identity(console, result)


def verdict(result: RunResult) -> str:
    """One line: what the run came to."""
    figures = result.summary
    if not figures["trades"]:
        return f"No trades: {grouped(figures['signals'])} signals, {grouped(figures['refusals'])} refusals."
    return (
        f"Net P&L {rupees(figures['net'])} | {grouped(figures['trades'])} trades | "
        f"won {percent(figures['win_rate'])} | profit factor {decimal(figures['profit_factor'])} | "
        f"max drawdown {rupees(figures['max_drawdown'])}"
    )


def _section(console: Console, title: str, body: Table | str) -> None:
    console.print()
    console.print(title, style="bold")
    console.print(body)


def _print_header(console: Console, result: RunResult) -> None:
    days = result.summary["days"]
    period = str(result.from_date) if result.from_date == result.to_date else f"{result.from_date} to {result.to_date}"
    if result.data_quality["simulated"]:
        console.print(SIMULATED_BANNER, style="bold yellow")
    failures = len(result.summary["actors"]["failed"]) + len(result.summary["actors"]["benched"])
    if failures:
        console.print(f"*** BROKEN RUN: {failures} failures of actors, listed below ***", style="bold red")
    console.print(
        f"{', '.join(result.symbols)}  {period}  ({days} trading day{'s' * (days != 1)}, data: {result.source})"
    )
    console.print(verdict(result), style="bold")


def _print_figures(console: Console, figures: Mapping[str, Any]) -> None:
    """Print the figures in two columns: money left, ratios right."""
    money = (
        ("Gross P&L", rupees(figures["gross"])),
        ("Charges", rupees(figures["charges"])),
        ("Net P&L", rupees(figures["net"])),
        ("Starting equity", rupees(figures["starting_equity"])),
        ("Ending equity", rupees(figures["ending_equity"])),
        ("Unrealised at the end", rupees(figures["unrealised"])),
        ("Max drawdown", rupees(figures["max_drawdown"])),
        ("Expectancy a trade", rupees(figures["expectancy"])),
        ("Average win", rupees(figures["average_win"])),
        ("Average loss", rupees(figures["average_loss"])),
        ("Best trade", rupees(figures["best"])),
        ("Worst trade", rupees(figures["worst"])),
    )
    ratios = (
        ("Trades (won / lost)", f"{figures['trades']} ({figures['wins']} / {figures['losses']})"),
        ("Win rate", percent(figures["win_rate"])),
        ("Profit factor", decimal(figures["profit_factor"])),
        ("Expectancy (R)", decimal(figures["expectancy_r"])),
        ("Return on equity", percent(figures["total_return"], 2)),
        ("Sharpe (daily, annualised)", decimal(figures["sharpe"])),
        ("Sortino (daily, annualised)", decimal(figures["sortino"])),
        ("Max drawdown (of its peak)", percent(figures["max_drawdown_fraction"], 2)),
        ("Longest drawdown", span(figures["longest_drawdown_minutes"])),
        ("Time in a position", percent(figures["exposure"])),
        ("Average holding", span(figures["average_holding_minutes"])),
        ("Longest losing run", f"{figures['longest_losing_run']} trades"),
    )
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    for place in range(4):
        table.add_column(justify="right" if place % 2 else "left", no_wrap=True)
    for left, right in zip(money, ratios, strict=True):
        table.add_row(*left, *right)
    _section(console, "Figures (rupees; net is after charges)", table)
    if figures["trades"] and figures["days"] < ENOUGH_DAYS:
        console.print(f"Sharpe and Sortino of {figures['days']} day(s) mean nothing yet; {ENOUGH_DAYS} are few.")


def _groups_table(name: str, groups: Mapping[str, Mapping[str, Any]]) -> Table:
    table = new_table(name, "trades", "won", "gross", "charges", "net", "PF", "avg R", "mins")
    for group, figures in groups.items():
        table.add_row(
            group,
            grouped(figures["trades"]),
            percent(figures["win_rate"]),
            rupees(figures["gross"]),
            rupees(figures["charges"]),
            rupees(figures["net"]),
            decimal(figures["profit_factor"]),
            decimal(figures["expectancy_r"]),
            decimal(figures["average_holding_minutes"], 1),
        )
    return table


def _trades_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    texts = ("entry", "exit", "strategy", "contract", "why out")
    table = new_table(*texts, "qty", "in", "out", "net", "R", left=len(texts), fold="strategy")
    for row in rows:
        entry, leave = _moment(row["entry_time"]), _moment(row["exit_time"])
        same_day = entry[:10] == leave[:10]
        sold = "-" if row["side"] == Side.SELL else ""
        table.add_row(
            entry[5:16],
            leave[11:16] if same_day else leave[5:16],
            row["strategy"],
            _contract(row["instrument"]),
            row["exit_reason"],
            sold + grouped(row["quantity"]),
            decimal(row["entry_price"]),
            decimal(row["exit_price"]),
            rupees(row["net"]),
            decimal(row["r_multiple"]),
        )
    return table


def _moment(time: str) -> str:
    """Shorten ISO text to '2025-09-02 09:31:00'."""
    return time[:19].replace("T", " ")


def _contract(instrument: str) -> str:
    """Shorten an id for a narrow column: 'NIFTY 24500 CE', 'NIFTY FUT', 'NIFTY INDEX'; the expiry is left out."""
    _, kind, name, *rest = instrument.split("|")
    return " ".join([name, *rest[1:]]) if kind == "OPT" else f"{name} {kind}"


def _print_refusals(console: Console, refusals: Mapping[str, int]) -> None:
    if not refusals:
        _section(console, "Refusals", "none")
        return
    table = new_table("reason", "times")
    for reason, count in sorted(refusals.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(reason, grouped(count))
    _section(console, "Refusals: what was not done, and why", table)


def _print_actors(console: Console, actors: Mapping[str, Any]) -> None:
    if not actors["failed"] and not actors["benched"]:
        return
    table = new_table("time (IST)", "actor", "what", left=3)
    for event in actors["failed"]:
        table.add_row(_moment(event["time"]), event["actor"], f"failed on {event['message']}: {event['error']}")
    for event in actors["benched"]:
        table.add_row(_moment(event["time"]), event["actor"], f"benched: {event['reason']}")
    _section(console, "Actors that failed or were benched", table)


def _print_quality(console: Console, quality: Mapping[str, Any]) -> None:
    rejected = ", ".join(f"{reason} {grouped(count)}" for reason, count in quality["rejected"].items()) or "none"
    _section(
        console,
        "Data",
        f"{grouped(quality['rows'])} rows; holes {grouped(quality['holes'])}; snapped "
        f"{grouped(quality['snapped'])}; rejected: {rejected}",
    )
    spoken = [day for day in quality["days"] if day["holes"] or day["rejected"] or day["snapped"] or day["notes"]]
    if not spoken:
        return
    table = new_table("day", "symbol", "holes and notes", "source", "rows", "rejected", "snapped", left=4)
    for day in spoken[:MAX_QUALITY_DAYS]:
        told = "; ".join([*_holes(day["holes"]), *day["notes"]]) or NOTHING
        table.add_row(
            day["day"],
            day["underlying"],
            told,
            day["source"],
            grouped(day["rows"]),
            grouped(sum(day["rejected"].values())),
            grouped(day["snapped"]),
        )
    console.print(table)
    if len(spoken) > MAX_QUALITY_DAYS:
        console.print(f"and {len(spoken) - MAX_QUALITY_DAYS} more days; the JSON has all of them")


def _holes(holes: Sequence[Sequence[str]]) -> list[str]:
    """Name a few holes each, many by their number, sum and longest."""
    if len(holes) <= FEW_HOLES:
        return [f"{start[11:16]}-{end[11:16]}" for start, end in holes]
    spans = [dt.datetime.fromisoformat(end) - dt.datetime.fromisoformat(start) for start, end in holes]
    total = sum(spans, dt.timedelta())
    start, end = holes[spans.index(max(spans))]
    minutes = round(total.total_seconds() / 60)
    return [f"{len(holes)} holes, {minutes} minutes in all, the longest {start[11:16]}-{end[11:16]}"]


def _print_assumptions(console: Console, assumptions: Mapping[str, str]) -> None:
    if not assumptions:
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for subject, text in assumptions.items():
        table.add_row(subject, text)
    _section(console, "Assumptions", table)


def _print_identity(console: Console, result: RunResult) -> None:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_row("run hash", result.run_hash)
    table.add_row("config hash", result.config_hash)
    table.add_row("code version", result.code_version)
    table.add_row("seed", str(result.seed))
    table.add_row("strategies", ", ".join(result.summary["strategies"]) or NOTHING)
    if result.timings:
        took = result.timings
        table.add_row("took", f"{decimal(took.get('total_s'), 2)} s, of it {decimal(took.get('load_s'), 2)} s loading")
    _section(console, "Identity: the same inputs give the same run hash", table)
