"""The tear sheet: it shows the run's figures, needs nothing from outside, and a browser draws it."""

import html
import json
import re
import shutil
import subprocess

import msgspec
import pytest

from sos_actors.market.charges import ChargeSchedule, FlatCharges
from sos_actors.market.rupees import grouped, rupees
from sos_actors.messages import ActorFailed
from sos_actors.reports.formats import percent
from sos_actors.reports.html import tear_sheet, write_tear_sheet
from sos_actors.reports.html.charts import MAX_POINTS, by_group, calendar, days_of, equity, exposure_by_time
from sos_actors.reports.html.costs import cost_components
from sos_actors.reports.html.sheet import MAX_TRADES
from sos_actors.reports.run import run_result

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def charges():
    return ChargeSchedule()


def charts_of(page):
    found = re.search(r'<script type="application/json" id="charts-data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found.group(1))


def words_of(page):
    """What a reader sees, scripts and styles apart."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)))


def test_the_figures_shown_are_those_of_the_result(record, charges):
    result = run_result(record)
    words = words_of(tear_sheet(record, charges))
    figures = result.summary
    for shown in (
        rupees(figures["net"]),
        rupees(figures["charges"]),
        percent(figures["win_rate"]),
        percent(figures["total_return"], 2),
        result.run_hash,
        result.config_hash,
        f"seed {result.seed}",
    ):
        assert shown in words
    for trade in result.trades:
        assert f"{trade['entry_time'][:19].replace('T', ' ')} {trade['exit_time'][11:19]} {trade['strategy']}" in words
        assert rupees(trade["net"]) in words
    for reason, count in result.refusals.items():
        assert f"{reason} {grouped(count)}" in words
    for sentence in result.assumptions.values():
        assert sentence in words


def test_the_same_run_gives_the_same_page(record, charges):
    other = msgspec.structs.replace(record, timings={"total_s": 99.0})
    assert tear_sheet(record, charges) == tear_sheet(other, charges)


def test_nothing_is_loaded_from_elsewhere(record, charges):
    page = re.sub(r"<script>.*?</script>", "", tear_sheet(record, charges), flags=re.DOTALL)
    assert re.findall(r"(?:src|href|url)\s*[=(]", page) == []
    assert "http" not in page


def test_words_from_outside_are_only_words(record, charges):
    evil = "</script><script>alert(1)</script>&<b>"
    trade = msgspec.structs.replace(record.trades[0], strategy=evil, initial_risk=5.0)
    failed = ActorFailed(evil, record.trades[0].entry_ts, "Bar", evil, "")
    page = tear_sheet(msgspec.structs.replace(record, trades=(trade,), failed=(failed,), source=evil), charges)
    assert "<script>alert" not in page
    assert evil in words_of(page)
    assert charts_of(page)["excursions"]["data"][0]["customdata"][0][0] == evil


def test_simulated_data_and_a_broken_run_are_loud(record, charges):
    page = words_of(tear_sheet(record, charges))
    assert "SIMULATED DATA" in page
    assert "Broken run" in page
    real = msgspec.structs.replace(record, failed=(), benched=(), quality=())
    page = words_of(tear_sheet(real, charges))
    assert "SIMULATED" not in page
    assert "Broken" not in page


def test_a_run_without_trades_has_a_page(record, charges):
    empty = msgspec.structs.replace(record, trades=(), fills=(), marks=(), refusals=(), failed=(), benched=())
    page = tear_sheet(empty, charges)
    assert "There were none" in words_of(page)
    assert set(charts_of(page)) <= {"calendar"}


def test_of_very_many_trades_the_first_are_listed(record, charges):
    many = tuple(msgspec.structs.replace(record.trades[0], trade_id=f"T{n}") for n in range(5000))
    page = tear_sheet(msgspec.structs.replace(record, trades=many), charges)
    assert page.count("<tr><td") < MAX_TRADES + 100
    assert f"The first {grouped(MAX_TRADES)} of 5,000" in words_of(page)


# --- charts ---------------------------------------------------------------------------------------------


def test_the_curve_keeps_its_extremes_when_it_is_thinned(record):
    mark = record.marks[0]
    start = record.sessions[0].opening
    marks = [
        msgspec.structs.replace(mark, ts=start + n * 1_000_000_000, equity_paise=1000 + (n * 7919) % 5000)
        for n in range(20_000)
    ]
    marks[12_345] = msgspec.structs.replace(marks[12_345], equity_paise=-77)
    marks[6_789] = msgspec.structs.replace(marks[6_789], equity_paise=99_999)
    drawn = equity(marks, record.sessions, 1000)["data"][0]
    assert len(drawn["x"]) <= MAX_POINTS + 4
    assert min(drawn["y"]) == -0.77
    assert max(drawn["y"]) == 999.99
    assert drawn["x"] == sorted(drawn["x"])


def test_nights_take_no_room(record):
    drawn = equity(record.marks, record.sessions, record.starting_equity_paise)["data"][0]
    minutes = sum((session.closing - session.opening) / 60e9 for session in record.sessions)
    assert min(drawn["x"]) >= 0
    assert max(drawn["x"]) <= minutes


def test_the_calendar_puts_every_day_in_its_row(record):
    days = days_of(record)
    drawn = calendar(days, record.starting_equity_paise)["data"][0]
    cells = {text: value for row, texts in zip(drawn["z"], drawn["customdata"], strict=True)
             for value, text in zip(row, texts, strict=True) if value is not None}  # fmt: skip
    assert list(cells) == [f"{day.day:%a %d %b %Y}" for day in days]
    change = days[-1].equity_paise - record.starting_equity_paise
    assert sum(cells.values()) == pytest.approx(change / 100)


def test_bars_are_the_groups_of_the_summary(record):
    groups = run_result(record).summary["by_hour"]
    drawn = by_group(groups, "hour")["data"][0]
    assert dict(zip(drawn["x"], drawn["y"], strict=True)) == {name: group["net"] for name, group in groups.items()}


def test_time_held_adds_up(record):
    drawn = exposure_by_time(record.trades, record.sessions)["data"][0]
    held = sum((trade.exit_ts - trade.entry_ts) / 600e9 for trade in record.trades)
    assert sum(drawn["y"]) * len(record.sessions) == pytest.approx(held, abs=0.05)


def test_costs_by_component_add_up_to_what_the_ledger_takes(record):
    charges = FlatCharges(0.001)
    parts = cost_components(record.fills, charges, 0)
    turnover = sum(fill.quantity * fill.price for fill in record.fills)
    assert sum(parts.values()) == pytest.approx(turnover * 0.001, abs=0.01 * len(record.fills))
    assert cost_components((), charges, 12_345)["STT on exercise"] == 123.45


# --- a browser ------------------------------------------------------------------------------------------


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_browser_draws_every_chart(record, charges, tmp_path):
    page = tmp_path / "sheet.html"
    write_tear_sheet(record, charges, page)
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-first-run", "--enable-logging=stderr", "--v=0",
         "--virtual-time-budget=20000", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert re.findall(r"CONSOLE.*(?:rror|arning).*", done.stderr) == []
    charts = charts_of(page.read_text())
    assert len(charts) >= 6
    for name in charts:
        drawn = re.search(rf'<div class="chart[^"]*" id="{name}"(.*?)</section>', done.stdout, re.DOTALL)
        assert drawn is not None, name
        assert "main-svg" in drawn.group(1), name
