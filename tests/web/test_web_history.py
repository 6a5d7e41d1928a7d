"""Finished work: a backtest's result over its days, by the API and in a browser."""

import datetime as dt

import msgspec
import pytest
from web_rig import ROOT, TOKEN, Asker, settings

from sos_actors.backtest import Request, run
from sos_actors.config import Config
from sos_actors.errors import InputError
from sos_actors.playbook.loader import load_playbook
from sos_actors.reports.run import from_json, to_json
from sos_actors.sandbox.market import SimulatedMarket
from sos_actors.snapshots import chain_snapshots
from sos_actors.sources.simulated import SimulatedHistory
from sos_actors.web.archive import Archive
from sos_actors.web.result_source import ResultSource
from sos_actors.web.runs import BacktestRuns
from sos_actors.web.server import WebServer

DAYS = (dt.date(2025, 9, 1), dt.date(2025, 9, 2))


@pytest.fixture(scope="module")
def record():
    history = SimulatedHistory(SimulatedMarket(None, 7))
    return history, run(
        Request(
            symbols=("NIFTY",), from_date=DAYS[0], to_date=DAYS[1], config=Config(),
            playbook=load_playbook([ROOT / "strategies"]), history=history,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def archive(record):
    history, made = record
    result = from_json(to_json(made))
    return Archive(
        ["NIFTY"], lambda: DAYS, history.load_day, lambda name, day: chain_snapshots(history, name, [day], Config()),
        [BacktestRuns({"first": result, "second": result})],
    )  # fmt: skip


@pytest.fixture(scope="module")
def server(archive):
    source = ResultSource(archive, ["NIFTY"], msgspec.to_builtins(Config()))
    with WebServer(source, settings(), TOKEN) as running:
        yield running


def test_trades_come_back_as_they_were(archive, record):
    made = sorted(record[1].trades, key=lambda trade: trade.trade_id)
    read = [trade for day in DAYS for trade in archive.book(day, "first").trades]
    read.sort(key=lambda trade: trade.trade_id)
    assert len(made) > 5
    for one, other in zip(made, read, strict=True):
        assert one.trade_id == other.trade_id
        assert one.net_paise == other.net_paise
        assert abs(one.entry_ts - other.entry_ts) < 1_000  # written to the microsecond
        assert one.exit_reason is other.exit_reason


def test_the_account_of_a_day_ends_where_its_trades_took_it(archive):
    book = archive.book(DAYS[1], "first")
    assert book.marks[-1].equity_paise - book.marks[0].equity_paise == sum(trade.net_paise for trade in book.trades)


def test_a_day_has_prices_and_chains_of_every_minute(archive):
    book = archive.book(DAYS[0])
    assert len(book.bars["NSE|INDEX|NIFTY"]) == 375
    assert len(book.chains["NIFTY"]) == 375
    trade = archive.book(DAYS[0], "first").trades[0]
    assert trade.instrument in book.bars
    assert not book.trades  # without a run there are none


def test_what_is_not_stored_is_told(archive):
    with pytest.raises(InputError, match="no run 'third'"):
        archive.book(None, "third")


def test_nothing_takes_orders(server):
    status, said = Asker(server.address).order("kill")
    assert status == 400
    assert "nothing runs here" in said["error"]


def test_api_over_a_result(server, archive):
    ask = Asker(server.address)
    about = ask.get("/about")
    assert (about["kind"], about["runs"], about["day"]) == ("result", ["first", "second"], str(archive.last_day()))
    day = about["days"][0]
    assert ask.get(f"/trades?day={day}&run=first")
    assert ask.get(f"/chain?day={day}&at=11:00")["at"] == f"{day} 11:00:00"
    assert ask.get("/run?run=first")["summary"]["trades"] > 5
    assert ask.get("/actors")["actors"] == []


def test_history_in_a_browser(server, archive, browser, window_of):
    window = window_of(browser, server.address)
    page = window.open("history")
    page.wait_for_selector("#history-trades tbody tr")
    page.wait_for_selector("#history-days .trace.bars")
    first = archive.book(archive.last_day(), "first").trades
    assert page.locator("#history-trades tbody tr").count() == len(first)
    page.locator("#history-trades tbody tr").first.click()
    window.until(lambda: "gross, charges" in page.inner_text("#trade"))
    page.wait_for_selector("#history-trade .trace")
    page.locator("#history-trades tbody tr").first.press("ArrowDown")
    window.until(lambda: page.locator("#history-trades tbody tr").nth(1).get_attribute("aria-selected") == "true")
    strategy = first[0].strategy
    page.select_option("#by-strategy", strategy)
    kept = sum(trade.strategy == strategy for trade in first)
    window.until(lambda: page.locator("#history-trades tbody tr").count() == kept)
    page.select_option("#other", "second")
    window.until(lambda: "second:" in page.inner_text("#page"))
    page.click("#earlier")
    page.locator("h2", has_text=str(DAYS[0])).wait_for()
    window.shot("history")
    for name in ("now", "chain", "strategies"):
        window.open(name).wait_for_timeout(500)
        window.shot(f"{name}-stored")
    window.end()
