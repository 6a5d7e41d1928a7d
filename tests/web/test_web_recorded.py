"""Past days of the daemon: found, read, told apart, compared, by the API and in a browser; damaged and deleted ones."""

import dataclasses
import datetime as dt
import os
import shutil
import subprocess
import sys
import threading

import msgspec
import pytest
from recorded_rig import INDEX, LONG, TWO_DAYS, copied, damage, history, long_life, request, short_life
from web_rig import ROOT, TOKEN, Asker, settings, source_of

from sos_actors.backtest import run
from sos_actors.config import Config
from sos_actors.errors import DataError, InputError
from sos_actors.market.clocktime import ist_ns
from sos_actors.messages import AccountMarked, AlertLevel, AlertRaised, Bar, SetTradingState, TradingState
from sos_actors.reports.figures import in_order
from sos_actors.reports.run import from_json, to_json
from sos_actors.runtime.journal.format import BLOCK, HEADER
from sos_actors.runtime.journal.recording import Recording
from sos_actors.snapshots import chain_snapshots
from sos_actors.web.archive import Archive
from sos_actors.web.lives import Lives
from sos_actors.web.recorded import RecordedDays, name_of
from sos_actors.web.result_source import ResultSource
from sos_actors.web.runs import BacktestRuns
from sos_actors.web.server import WebServer
from sos_actors.web.settings import WebSettings

FIRST, SECOND = TWO_DAYS
DAY = dt.date(2026, 11, 20)
MINUTE_NS = 60_000_000_000


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A folder with the long life in it, and what it did."""
    folder = tmp_path_factory.mktemp("sessions")
    return folder, long_life(folder)


@pytest.fixture
def recorded(lived):
    return RecordedDays(lived[0])


def mark(at, equity, day=DAY):
    return AccountMarked(ist_ns(day, at), equity, equity, 0)


def bar(at, close, day=DAY):
    start = ist_ns(day, at)
    return Bar(INDEX, start, start + MINUTE_NS, close, close, close, close)


def rows(days, kind="recorded"):
    return [row for row in days.rows() if row.kind == kind]


def test_a_life_of_two_days_is_two_days(recorded):
    assert [(row.name, row.day) for row in rows(recorded)] == [
        (f"sandbox {SECOND}", str(SECOND)), (f"sandbox {FIRST}", str(FIRST)),
    ]  # fmt: skip
    (session,) = rows(recorded, "session")
    assert session.name == LONG
    assert "sandbox, 2025-09-01T09:10 to 2025-09-02T15:45" in session.detail
    assert recorded.symbols() == ["NIFTY"]


def test_a_day_is_what_was_done_on_it(recorded, lived):
    made = lived[1]
    for day in TWO_DAYS:
        book, result = recorded.book(name_of("sandbox", day), day), recorded.result(name_of("sandbox", day))
        trades = [one for one in made.trades if ist_ns(day, "09:00") <= one.entry_ts < ist_ns(day, "16:00")]
        assert trades
        assert book.trades == trades
        assert [row["trade_id"] for row in result.trades] == [one.trade_id for one in in_order(trades)]
        assert result.summary["net"] == sum(one.net_paise for one in trades) / 100
        assert len(book.bars[INDEX]) == len(book.chains["NIFTY"]) == 375  # and none of the days played before
        assert [what for _, _, what in book.events] == ["pre open", "open", "closed"]
        assert (result.from_date, result.to_date) == (day, day)
        assert result.summary["ending_equity"] - result.summary["starting_equity"] == pytest.approx(
            result.summary["net"], abs=0.01
        )
    assert len(recorded.book(f"sandbox {FIRST}", FIRST).signals) + len(
        recorded.book(f"sandbox {SECOND}", SECOND).signals
    ) == len(made.signals)


def test_why_is_told_as_of_a_backtest(recorded, lived):
    from_run = from_json(to_json(lived[1])).decisions
    found = recorded.result(f"sandbox {FIRST}").decisions
    assert found
    assert all(from_run[intent] == decision for intent, decision in found.items())
    assert all(decision.phases and decision.orders for decision in found.values())


def test_a_result_says_where_it_comes_from(recorded):
    result = recorded.result(f"sandbox {SECOND}")
    assert (result.source, result.run_hash) == ("sandbox", "")
    assert result.config_hash == Config(web=WebSettings(enabled=False)).fingerprint()
    assert result.assumptions == {"fills": "by a simulated exchange, at simulated prices", "sessions": LONG}
    assert result.data_quality["simulated"] is True
    assert "brf_short" in result.summary["strategies"]


def test_a_day_is_read_once_and_again_when_it_has_grown(tmp_path, lived):
    session = copied(lived[0] / LONG, tmp_path)
    clock = [0.0]
    days = RecordedDays(tmp_path, monotonic=lambda: clock[0])
    name = f"sandbox {FIRST}"
    book = days.book(name, FIRST)
    assert days.book(name, FIRST) is book
    segment = next(session.iterdir())
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-40])  # its end has gone: as one that still runs
    clock[0] = 20.0
    assert days.book(name, FIRST) is book  # not with every question
    clock[0] = 100.0
    again = days.book(name, FIRST)
    assert again is not book
    assert again.trades == book.trades
    assert "was cut off or still runs" in rows(days, "session")[0].detail
    segment.write_bytes(whole)


@pytest.fixture
def restarts(tmp_path):
    """A day with a rehearsal, and three lives of the account: the second was killed, the third saw the day again."""
    say = AlertRaised(ist_ns(DAY, "09:20"), AlertLevel.INFO, "a", "one")
    short_life(tmp_path, "2026-11-20-091600", "09:16", [mark("09:16", 7)], day=DAY)
    first = [mark("09:17", 100), bar("09:15", 1.0), say]
    short_life(tmp_path, "2026-11-20-091700", "09:17", first, day=DAY, mode="paper", close=False)
    short_life(tmp_path, "2026-11-20-100000", "10:00", [mark("10:00", 200)], day=DAY, mode="paper")
    last = [bar("09:15", 2.0), bar("09:16", 3.0), mark("11:00", 300), SetTradingState(TradingState.HALTED, "kill")]
    short_life(tmp_path, "2026-11-20-110000", "11:00", last, day=DAY, mode="paper")
    short_life(tmp_path, "2026-11-20-200000", "20:00", [mark("20:00", 9)], day=DAY, mode="paper")  # after the close
    short_life(tmp_path, "2026-11-19-100000", "10:00", [mark("10:00", 5, DAY - dt.timedelta(1))],
               day=DAY - dt.timedelta(1), mode="REAL MONEY")  # fmt: skip
    return tmp_path


def test_a_day_is_whole_over_its_restarts_and_each_account_by_itself(restarts):
    days = RecordedDays(restarts)
    assert [row.name for row in rows(days)] == [f"sandbox {DAY}", f"paper {DAY}", "live 2026-11-19"]
    book = days.book(f"paper {DAY}", DAY)
    assert [one.equity_paise for one in book.marks] == [100, 200, 300]
    assert [one.close for one in book.bars[INDEX]] == [2.0, 3.0]  # of a minute told twice the last is right
    assert [what for _, _, what in book.events] == ["pre open", "INFO: one", "HALTED: kill"]
    assert [one.equity_paise for one in days.book(f"sandbox {DAY}", DAY).marks] == [7]
    result = days.result("live 2026-11-19")
    assert (result.source, result.assumptions["fills"]) == ("live", "by the broker, with real money")
    sessions = days.result(f"paper {DAY}").assumptions["sessions"]
    assert sessions == "2026-11-20-091700, 2026-11-20-100000, 2026-11-20-110000"


def test_what_is_under_way_is_not_offered(restarts):
    days = RecordedDays(restarts, lambda: name_of("paper", DAY))
    assert [row.name for row in rows(days)] == [f"sandbox {DAY}", "live 2026-11-19"]
    assert name_of("REAL MONEY", DAY) == f"live {DAY}"


def test_a_damaged_session_is_said_and_the_rest_is_shown(restarts):
    damage(restarts / "2026-11-20-100000", BLOCK)
    damage(restarts / "2026-11-19-100000", HEADER)  # in its head
    days = RecordedDays(restarts)
    result = days.result(f"paper {DAY}")
    (day,) = result.data_quality["days"]
    (note,) = day["notes"]
    assert note.startswith("session 2026-11-20-100000 is shown as far as it can be read: ")
    assert "\n" not in note
    assert {100, 300} <= {one.equity_paise for one in days.book(f"paper {DAY}", DAY).marks}
    row = next(row for row in rows(days) if row.problem)
    assert row.name == "damaged 2026-11-19-100000"
    with pytest.raises(DataError, match=r"session 2026-11-19-100000 cannot be read: .*00001\.journal at"):
        days.result(row.name)


def test_a_day_of_which_nothing_can_be_read_says_so(tmp_path):
    short_life(tmp_path, "2026-11-20-100000", "10:00", [mark("10:00", 1)], day=DAY)
    damage(tmp_path / "2026-11-20-100000", BLOCK)
    with pytest.raises(DataError, match=f"sandbox {DAY}: nothing of that day .*session 2026-11-20-100000 .*checksum"):
        RecordedDays(tmp_path).result(f"sandbox {DAY}")


def test_a_day_that_was_deleted_meanwhile_says_so(restarts):
    clock = [0.0]
    days = RecordedDays(restarts, monotonic=lambda: clock[0])
    assert len(rows(days)) == 3
    shutil.rmtree(restarts / "2026-11-19-100000")
    with pytest.raises(DataError, match=r"nothing of that day .*: session 2026-11-19-100000 was deleted"):
        days.result("live 2026-11-19")
    clock[0] = 20.0
    with pytest.raises(InputError, match=r"'live 2026-11-19' is not recorded, or no more.*journal\.keep_days"):
        days.result("live 2026-11-19")


def test_another_day_and_a_name_that_is_none(recorded):
    with pytest.raises(InputError, match=f"sandbox {FIRST} has no {SECOND}"):
        recorded.book(f"sandbox {FIRST}", SECOND)
    assert not recorded.knows("house")
    assert recorded.knows(f"paper {DAY}")


def test_a_recorded_backtest_is_no_life_of_the_daemon(tmp_path, lived):
    Recording(tmp_path / "backtest-1", session="backtest-1", facts={"backtest": "{}"}).close()
    assert Lives(tmp_path).all() == []
    assert RecordedDays(tmp_path / "none").rows() == []


# --- by the API and in a browser ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sessions(lived, tmp_path_factory):
    """The long life, and a damaged one."""
    folder = tmp_path_factory.mktemp("shown")
    copied(lived[0] / LONG, folder)
    short_life(folder, "2025-09-03-100000", "10:00", [], day=dt.date(2025, 9, 3))
    damage(folder / "2025-09-03-100000", HEADER)
    return folder


@pytest.fixture(scope="module")
def server(sessions):
    """Past days and a backtest, with the prices of options in storage."""
    market, made = history(), from_json(to_json(run(request())))
    archive = Archive(
        ["NIFTY"], lambda: TWO_DAYS, market.load_day,
        lambda name, day: chain_snapshots(market, name, [day], Config()),
        [BacktestRuns({"house": made}), RecordedDays(sessions)],
    )  # fmt: skip
    with WebServer(ResultSource(archive, ["NIFTY"], msgspec.to_builtins(Config())), settings(), TOKEN) as running:
        yield running


def test_api_over_past_days(server):
    ask, name = Asker(server.address), f"sandbox%20{FIRST}"
    listed = ask.get("/sessions")
    assert [row["name"] for row in listed if row["kind"] in {"run", "recorded"}] == [
        "house", f"sandbox {SECOND}", f"sandbox {FIRST}", "damaged 2025-09-03-100000",
    ]  # fmt: skip
    assert [row["name"] for row in listed if row["kind"] == "session"] == ["2025-09-03-100000", LONG]
    trades = ask.get(f"/trades?run={name}")
    trade = trades[0]
    assert trade["stop"] is not None
    assert trade["target"] is not None
    why = ask.get(f"/why?run={name}&trade={trade['trade_id']}")
    assert why["decision"]["phases"]
    assert ask.get(f"/run?run={name}")["summary"]["trades"] == len(trades)
    assert len(ask.get(f"/candles?run={name}")["start"]) == 375
    assert ask.get(f"/candles?run={name}&instrument={trade['instrument']}")["start"]  # of storage
    assert ask.get(f"/chain?run={name}&at=11:00")["at"] == f"{FIRST} 11:00:00"
    assert ask.get(f"/signals?run={name}")
    assert ask.get(f"/performance?run={name}")["figures"]["trades"] == len(trades)
    assert [one["what"] for one in ask.get(f"/events?run={name}")][::-1] == ["pre open", "open", "closed"]
    assert ask.get(f"/structure?run={name}")["underlying"] == "NIFTY"
    status, said, _ = ask("/api/v1/run?run=damaged%202025-09-03-100000")
    assert status >= 400
    assert said["error"].startswith("session 2025-09-03-100000 cannot be read: ")


def test_past_days_need_no_market_database(sessions):
    archive = Archive(["NIFTY"], list, lambda *_: None, lambda *_: [], [BacktestRuns({}), RecordedDays(sessions)])
    with WebServer(ResultSource(archive, ["NIFTY"], {}), settings(), TOKEN) as running:
        ask = Asker(running.address)
        about = ask.get("/about")
        assert (about["day"], about["days"]) == (str(SECOND), [str(FIRST), str(SECOND)])
        assert ask.get("/status")["session"] == f"sandbox {SECOND}"
        assert ask.get("/status")["realised"] == sum(one["net"] for one in ask.get("/trades"))
        assert len(ask.get(f"/chain/series?day={FIRST}")["ts"]) == 375  # a page that knows days alone
        assert ask.get(f"/trades?day={FIRST}")
        assert sum(one["trades"] for one in ask.get("/strategies")) == len(ask.get("/trades"))


def test_history_of_a_live_day_in_a_browser(server, browser, window_of):
    window = window_of(browser, server.address)
    page = window.open("history")
    page.wait_for_selector("#history-trades tbody tr")
    groups = page.locator("#run optgroup").evaluate_all("all => all.map((one) => one.label)")
    assert groups == ["Backtests", "Live days", "Stored days"]
    page.select_option("#run", f"sandbox {FIRST}")
    page.locator("#history-stage .pill", has_text="sandbox: simulated").wait_for()
    page.wait_for_selector("#history-trades tbody tr")
    assert page.locator("#history-days").is_hidden()
    asked = Asker(server.address).get(f"/trades?run=sandbox%20{FIRST}")
    window.until(lambda: page.locator("#history-trades tbody tr").count() == len(asked))
    page.locator("#history-trades tbody tr").first.click()
    page.wait_for_selector("#history-trade .trace")
    page.wait_for_selector("#why .held")
    page.select_option("#other", "house")
    window.until(lambda: "house:" in page.inner_text("#history-tiles"))
    assert "△▽ house" in page.inner_text("#history-marks")
    window.shot("history-live-day")
    page.select_option("#other", f"sandbox {SECOND}")
    window.until(lambda: "2 Sep:" in page.inner_text("#history-tiles"))
    page.select_option("#by-strategy", asked[0]["strategy"])
    kept = sum(one["strategy"] == asked[0]["strategy"] for one in asked)
    window.until(lambda: page.locator("#history-trades tbody tr").count() == kept)
    page.click("#later")
    page.locator("h2", has_text=str(SECOND)).wait_for()
    assert page.locator("#run").input_value() == f"sandbox {SECOND}"
    page.select_option("#run", "damaged 2025-09-03-100000")
    page.locator("#history-notes .warning", has_text="session 2025-09-03-100000 cannot be read").wait_for()
    assert "Nothing of it can be shown" in page.inner_text("#history-trades")
    page.select_option("#run", "house")
    page.wait_for_selector("#history-trades tbody tr")
    page.wait_for_selector("#history-days .trace.bars")
    window.end(but="503")  # what was refused of the damaged session


def test_an_order_does_not_wait_for_pages_that_read(rehearsal):
    let_go, reading = threading.Event(), threading.Semaphore(0)

    class Slow(BacktestRuns):
        def result(self, run):
            reading.release()
            assert let_go.wait(60)
            return super().result(run)

        def knows(self, run):
            return True

    source = source_of(rehearsal)
    archive = Archive(["NIFTY"], list, lambda *_: None, lambda *_: [], [Slow({})])
    source._parts = dataclasses.replace(source._parts, archive=archive)
    with WebServer(source, settings(), TOKEN) as running:
        ask = Asker(running.address)
        readers = [threading.Thread(target=lambda: ask("/api/v1/run?run=x")) for _ in range(8)]
        for one in readers:
            one.start()
        try:
            assert reading.acquire(timeout=30)
            assert ask.order("pause", {"strategy": "brf_short"})[0] == 200
            assert ask.order("resume", {"strategy": "brf_short"})[0] == 200
            assert not let_go.is_set()
        finally:
            let_go.set()
            for one in readers:
                one.join()


def test_what_is_shown_first_but_cannot_be_read_is_said(tmp_path):
    short_life(tmp_path, "2026-11-20-100000", "10:00", [mark("10:00", 1)], day=DAY)
    damage(tmp_path / "2026-11-20-100000", BLOCK)
    archive = Archive(["NIFTY"], list, lambda *_: None, lambda *_: [], [RecordedDays(tmp_path)])
    source = ResultSource(archive, ["NIFTY"], {})
    assert source.about().day == str(DAY)
    (why,) = source.status().not_ready
    assert "2026-11-20-100000 is shown as far as it can be read" in why


def test_the_command_needs_a_home_with_sessions_and_no_more(sessions, tmp_path):
    (tmp_path / "sessions").symlink_to(sessions)
    line = [sys.executable, str(ROOT / "run_actors.py"), "dashboard", "--home", str(tmp_path), "--port", "0"]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as run_on:
        try:
            address = run_on.stdout.readline().split()[2]
            about = Asker(address).get("/about")
            assert (about["kind"], about["day"]) == ("result", str(SECOND))
            assert about["runs"][:2] == [f"sandbox {SECOND}", f"sandbox {FIRST}"]
            status, said, _ = Asker(address)("/api/v1/maintenance")
            assert (status, "not looked after here" in said["error"]) == (400, True)
        finally:
            run_on.kill()
    empty = subprocess.run([*line[:4], str(tmp_path / "none"), *line[5:]], check=False, capture_output=True, text=True)
    assert (empty.returncode, empty.stderr.count("\n")) == (2, 1)
    assert "there is no market database yet" in empty.stderr
