"""Days from the broker into the database, as `ingest --source upstox` and `backtest` do it."""

import datetime as dt
import time

import numpy as np
import pytest
from aiohttp import web
from data_broker import EXPIRED, FRONT, TODAY, DataBroker, candles, error

from sos_actors.cli import backfill, main
from sos_actors.config import Config
from sos_actors.errors import DataError
from sos_actors.market.calendar import INDIA
from sos_actors.market.clocktime import MINUTE_NS, ist_ns
from sos_actors.market.day import ChainColumns
from sos_actors.sources.calendar_file import INDIA_TABLES, CalendarFiles
from sos_actors.sources.data_settings import DataSettings
from sos_actors.sources.facts import market_facts
from sos_actors.sources.fallback import FileSource, fill, missing_days, runs
from sos_actors.sources.listing import strikes_near
from sos_actors.sources.upstox_fetch import World
from sos_actors.sources.upstox_source import UpstoxSource
from sos_actors.storage.day_states import DayState, DayStates
from sos_actors.storage.market_store import MarketStore
from sos_actors.upstox.client import UpstoxClient
from sos_actors.upstox.errors import BrokerError, TokenDeadError
from sos_actors.upstox.instruments import MasterFiles, downloader
from sos_actors.upstox.limits import RateLimiter
from sos_actors.upstox.settings import UpstoxSettings

MON, TUE, WED, THU = (dt.date(2026, 11, day) for day in (16, 17, 18, 19))


@pytest.fixture
def broker():
    started = DataBroker().start()
    yield started
    started.stop()
    INDIA.become(INDIA_TABLES)


@pytest.fixture
def store(tmp_path):
    with MarketStore(tmp_path / "market.db") as opened:
        yield opened


class Slept(list):
    def __call__(self, seconds):
        self.append(seconds)


def source_of(broker, store, tmp_path, **settings):
    where = UpstoxSettings(host=broker.url, order_host=broker.url, assets_url=broker.url)
    client = UpstoxClient(where, RateLimiter(where.rates, time.monotonic), "token-of-a-test")
    masters = MasterFiles(tmp_path, downloader(where))
    slept = Slept()
    world = World(lambda: broker.now, slept, market_facts())
    data = DataSettings(**({"strikes": 2} | settings))
    source = UpstoxSource(client, lambda day: masters.today(day).table, store, data, world)
    source.slept = slept
    return source


def brought(source, days, **how):
    return {report.day: report for report in source.bring("NIFTY", days, **how)}


def test_a_day_has_index_future_and_the_front_chain_near_the_money(broker, store, tmp_path):
    report = brought(source_of(broker, store, tmp_path), [THU])[THU]
    # The index ran from 25,000 to 25,077: 25,000 and 25,050 within (low is 24,998), two more on each side.
    assert (report.did, report.contracts, report.note) == ("stored", 2 + 2 * 6, "")
    day = store.load_day("NIFTY", THU)
    assert len(day.index.start) == 385
    assert day.index.start[0] == ist_ns(THU, "09:15")
    assert np.isnan(day.index.volume).all()
    assert np.isnan(day.index.oi).all()
    assert day.future.instrument == "NSE|FUT|NIFTY|2026-11-23"
    assert day.future.oi[0] == 6500
    (chain,) = day.chains
    assert chain.expiry == dt.date(2026, 11, 23)
    assert chain.strikes.tolist() == [24_900, 24_950, 25_000, 25_050, 25_100, 25_150]
    assert chain.values.shape == (385, 8, 2, 6)
    assert not np.isnan(chain.values[:, :6]).any()
    assert DayStates(store).get("NIFTY", THU) == DayState(complete=True, source="upstox", at=broker.now)
    assert DayStates(store).fetched("NIFTY", THU) == {}


def test_expired_contracts_are_asked_of_their_own_register(broker, store, tmp_path):
    reports = brought(source_of(broker, store, tmp_path), [MON, TUE, WED])
    assert {report.did for report in reports.values()} == {"stored"}
    assert store.expiries("NIFTY", MON) == store.expiries("NIFTY", TUE) == [EXPIRED]
    assert store.expiries("NIFTY", WED) == [dt.date(2026, 11, 23)]
    # One request for the index over all days, one a contract over its days.
    asked = [path for path in broker.asked if "NSE_INDEX" in path]
    assert len(asked) == 1
    assert sum("|17-11-2026/1minute/2026-11-17/2026-11-16" in path for path in broker.asked) == 12


def test_again_asks_nothing_and_force_changes_nothing(broker, store, tmp_path):
    source = source_of(broker, store, tmp_path)
    brought(source, [THU])
    before = store.load_day("NIFTY", THU)
    hits = broker.hits.total()
    assert brought(source, [THU])[THU].did == "kept"
    assert broker.hits.total() == hits
    assert brought(source, [THU], force=True)[THU].did == "stored"
    after = store.load_day("NIFTY", THU)
    assert np.array_equal(before.chains[0].values, after.chains[0].values, equal_nan=True)


def test_a_fetch_that_died_goes_on_at_the_next_contract(broker, store, tmp_path):
    source = source_of(broker, store, tmp_path, retries=0)
    count = 0

    def dies(request):
        nonlocal count
        count += "NSE_FO" in request.path
        return error("UDAPI100050", "Invalid token", 401) if count > 6 else None

    broker.answers["/v3/historical-candle"] = dies
    with pytest.raises(TokenDeadError):
        brought(source, [THU])
    assert store.days("NIFTY") == []  # nothing half-written
    assert DayStates(store).get("NIFTY", THU) is None
    done = {path for path in broker.asked if "NSE_FO" in path}
    broker.answers.clear()
    broker.asked.clear()
    assert brought(source_of(broker, store, tmp_path), [THU])[THU].did == "stored"
    again = done & set(broker.asked)
    assert len(again) == 1  # the one that failed
    assert not any("NSE_INDEX" in path for path in broker.asked)
    assert len(store.load_day("NIFTY", THU).chains[0].strikes) == 6


def test_killed_between_two_contracts(broker, store, tmp_path):
    """The progress callback stands in for a kill: what is committed by then is all that is left."""

    class KilledError(BaseException):
        pass

    def kill(_, text):
        if "9 of 14" in text:
            raise KilledError

    source = source_of(broker, store, tmp_path)
    with pytest.raises(KilledError):
        brought(source, [THU], tell=kill)
    store.close()
    broker.asked.clear()
    with MarketStore(store.path) as again:
        assert again.days("NIFTY") == []
        assert brought(source_of(broker, again, tmp_path), [THU])[THU].did == "stored"
    assert sum("historical-candle" in path for path in broker.asked) == 14 - 8


def test_without_the_plan_the_rest_is_stored_and_marked(broker, store, tmp_path):
    broker.plus = False
    source = source_of(broker, store, tmp_path)
    report = brought(source, [MON])[MON]
    assert report.did == "incomplete"
    assert "Upstox Plus" in report.note
    day = store.load_day("NIFTY", MON)
    assert len(day.index.start) == 385
    assert day.chains == ()  # and not the next week's chain in the place of the front one
    hits = broker.hits.total()
    assert missing_days(store, "NIFTY", [MON]) == [MON]
    assert brought(source, [MON])[MON].did == "kept"  # so soon it is not asked for again
    assert broker.hits.total() == hits
    broker.now += 16 * MINUTE_NS
    broker.plus = True
    assert brought(source, [MON])[MON].did == "stored"
    assert missing_days(store, "NIFTY", [MON]) == []


def test_today_is_marked_and_fetched_again(broker, store, tmp_path):
    broker.now = ist_ns(TODAY, "11:00")
    source = source_of(broker, store, tmp_path)
    report = brought(source, [TODAY])[TODAY]
    assert (report.did, report.note) == ("incomplete", "the session lasts until 15:40")
    assert len(store.load_day("NIFTY", TODAY).index.start) == 105
    broker.now = ist_ns(TODAY, "15:43")
    assert brought(source, [TODAY])[TODAY].did == "stored"
    assert len(store.load_day("NIFTY", TODAY).index.start) == 385
    assert brought(source, [TODAY])[TODAY].did == "kept"


def test_today_after_the_close_whose_candles_lag_is_not_whole(broker, store, tmp_path):
    broker.now = ist_ns(TODAY, "15:45")
    rows = candles(TODAY, 25_000.0, upto=ist_ns(TODAY, "15:20"))
    broker.answers["/v3/historical-candle/intraday/NSE_INDEX"] = lambda _: web.json_response(
        {"data": {"candles": rows}}
    )
    report = brought(source_of(broker, store, tmp_path), [TODAY])[TODAY]
    assert (report.did, report.note) == ("incomplete", "the candles end at 15:19")


def test_days_the_broker_cannot_have(broker, store, tmp_path):
    source = source_of(broker, store, tmp_path)
    early, late = dt.date(2021, 6, 1), dt.date(2026, 11, 26)
    reports = brought(source, [early, late])
    assert "2022" in reports[early].note
    assert "yet to come" in reports[late].note
    assert broker.hits.total() == 0


def test_odd_rows_are_counted_and_holes_told(broker, store, tmp_path):
    rows = candles(THU, 25_000.0)
    del rows[100:110]
    rows[5] = rows[5][:3]
    rows[6] = None
    rows[7] = ["never", 1, 1, 1, 1, 0, 0]
    rows[8][2] = 1.0  # high below low
    rows.reverse()
    rows[20], rows[30] = rows[30], rows[20]
    broker.answers["/v3/historical-candle/NSE_INDEX"] = lambda _: web.json_response({"data": {"candles": rows}})
    report = brought(source_of(broker, store, tmp_path), [THU])[THU]
    assert report.did == "stored"
    assert report.rejected == 4
    index = store.load_day("NIFTY", THU).index
    assert len(index.start) == 385 - 10 - 4
    assert (np.diff(index.start) > 0).all()
    assert report.holes == 2
    assert store.quality("NIFTY", THU).rejected == {
        "high below low": 1,
        "price missing": 1,
    }  # the other two have no day


def test_a_contract_the_broker_does_not_know_is_left_out_and_told(broker, store, tmp_path):
    broker.answers["/v3/historical-candle/NSE_FO|40040"] = lambda _: error("UDAPI100011", "Invalid Instrument key")
    report = brought(source_of(broker, store, tmp_path), [THU])[THU]
    assert (report.did, report.note) == ("incomplete", "1 contract(s) unknown to the broker")
    assert len(store.load_day("NIFTY", THU).chains[0].strikes) == 6


def test_expiries_the_broker_has_forgotten_are_not_replaced_by_later_ones(broker, store, tmp_path):
    day = dt.date(2025, 11, 20)
    broker.answers["/v2/expired-instruments/future"] = lambda _: error("UDAPI1088", "Invalid expiry")
    report = brought(source_of(broker, store, tmp_path), [day])[day]
    assert report.did == "incomplete"
    assert "the options: none of that day are known" in report.note
    assert "the future: " in report.note
    assert "Invalid expiry" in report.note
    assert len(store.load_day("NIFTY", day).index.start) == 375
    assert store.load_day("NIFTY", day).quality.notes == tuple(report.note.split("; "))
    assert not any("expired-instruments/option" in path for path in broker.asked)


def test_options_without_candles_leave_the_day_incomplete(broker, store, tmp_path):
    broker.answers["/v3/historical-candle/NSE_FO|4"] = lambda _: web.json_response({"data": None})
    report = brought(source_of(broker, store, tmp_path), [THU])[THU]
    assert (report.did, report.note) == ("incomplete", "the options: the broker has no candles of them")
    broker.answers.clear()
    assert brought(source_of(broker, store, tmp_path), [THU], force=True)[THU].did == "stored"
    assert store.load_day("NIFTY", THU).quality.notes == ()


def test_candles_do_not_take_away_quotes(broker, store, tmp_path):
    start = np.array([ist_ns(THU, "09:15")])
    values = np.full((1, 8, 2, 1), 5.0)
    store.save_chain(ChainColumns("NIFTY", FRONT, 60, start, np.array([25_000.0]), values), THU, "live")
    brought(source_of(broker, store, tmp_path), [THU], every_option=True)
    chain = store.load_day("NIFTY", THU).chains[0]
    place = chain.strikes.tolist().index(25_000.0)
    first = chain.values[0, :, 0, place]
    assert first[3] > 100
    assert first[6:].tolist() == [5.0, 5.0]
    assert np.isnan(chain.values[1, 6:, 0, place]).all()


def test_a_broker_that_stumbles_is_asked_again(broker, store, tmp_path):
    answers = iter([web.Response(status=503, text="<html>"), web.Response(status=502)])
    broker.answers["/v3/historical-candle/NSE_INDEX"] = lambda _: next(answers, None)
    source = source_of(broker, store, tmp_path)
    assert brought(source, [THU])[THU].did == "stored"
    assert source.slept == [2.0, 4.0]
    broker.answers["/v3/historical-candle/NSE_INDEX"] = lambda _: web.Response(status=503, text="<html>")
    with pytest.raises(BrokerError):
        brought(source, [WED])
    assert len(source.slept) == 2 + 3


def test_every_option_of_every_expiry(broker, store, tmp_path):
    source = source_of(broker, store, tmp_path)
    brought(source, [THU])
    report = brought(source, [THU], every_option=True)[THU]
    assert report.contracts == 2 + 2 * 82
    assert store.expiries("NIFTY", THU) == [dt.date(2026, 11, 23), dt.date(2026, 12, 1)]
    assert brought(source, [THU], every_option=True)[THU].did == "kept"
    assert brought(source, [THU])[THU].did == "kept"


def test_a_day_without_candles_is_nothing(broker, store, tmp_path):
    broker.answers["/v3/historical-candle"] = lambda _: web.json_response(
        {"status": "success", "data": {"candles": []}}
    )
    assert brought(source_of(broker, store, tmp_path), [THU])[THU].did == "nothing"
    assert store.days("NIFTY") == []


def test_candles_that_cannot_be_stored_say_why(broker, store, tmp_path):
    rows = [["2026-11-19T03:45:00+05:30", 1, 1, 1, 1, 0, 0]] * 3
    broker.answers["/v3/historical-candle/NSE_INDEX"] = lambda _: web.json_response({"data": {"candles": rows}})
    with pytest.raises(DataError, match="outside the session"):
        brought(source_of(broker, store, tmp_path), [THU])


# --- strikes, stretches, the chain of sources ------------------------------------------------------------


def test_strikes_near():
    strikes = [float(one) for one in range(100, 200, 10)]
    assert strikes_near(strikes, 135, 152, 2) == [120, 130, 140, 150, 160, 170]
    assert strikes_near(strikes, 90, 95, 1) == [100]
    assert strikes_near(strikes, 500, 600, 0) == []


def test_runs():
    days = [MON, TUE, WED, THU]
    assert runs([MON, TUE, THU], days) == [(MON, TUE), (THU, THU)]
    assert runs([], days) == []


def test_each_source_is_asked_for_what_the_ones_before_lacked(broker, store, tmp_path):
    lines = [
        "ts,open,high,low,close",
        *(f"{row[0]},{row[1]},{row[2]},{row[3]},{row[4]}" for row in candles(WED, 24_000.0)),
    ]
    (tmp_path / "index_1m_NIFTY.csv").write_text("\n".join(lines))
    files = FileSource([tmp_path / "index_1m_NIFTY.csv"], store, market_facts())
    reports = fill(store, [files, source_of(broker, store, tmp_path)], "NIFTY", [WED, THU])
    assert [(report.day, report.did) for report in reports] == [(WED, "stored"), (THU, "stored")]
    assert store.load_day("NIFTY", WED).source == "file:index_1m_NIFTY.csv"
    assert "upstox:index" in store.load_day("NIFTY", THU).source
    assert fill(store, [files], "NIFTY", [WED, THU]) == []


# --- the commands, as a user gives them ------------------------------------------------------------------


@pytest.fixture
def command(broker, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(backfill, "now_of", lambda _: broker.now)
    for name in ("HOST", "ORDER_HOST", "ASSETS_URL"):
        monkeypatch.setenv(f"SOS_UPSTOX_{name}", broker.url)
    monkeypatch.setenv("SOS_HOME", str(tmp_path))
    monkeypatch.setenv("SOS_UPSTOX_TOKEN", "token-of-a-test")

    def run(*words):
        monkeypatch.setattr("sys.argv", ["run_actors.py", *words])
        status = main()
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def test_ingest_from_the_broker(command):
    status, out, err = command("ingest", "--source", "upstox", "--symbol", "NIFTY", "--from-date", "2026-11-19",
                               "--to-date", "2026-11-22")  # fmt: skip
    assert (status, err) == (0, "")
    first, second = out.splitlines()
    assert first.startswith("NIFTY 2026-11-19: ")
    assert first.endswith("instruments stored")
    assert second.startswith("NIFTY 2026-11-20: ")
    status, out, _ = command("ingest", "--source", "upstox", "--symbol", "NIFTY", "--from-date", "2026-11-19")
    assert out == "NIFTY 2026-11-19: stored already; --force fetches it again\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--source", "upstox"], "--symbol NIFTY --from-date"),
        (["--source", "upstox", "x.csv"], "takes no files"),
        (["--full-options", "x.csv"], "goes with --source upstox"),
        ([], "nothing to ingest"),
    ],
)
def test_ingest_misused_is_one_line(command, words, line):
    status, _, err = command("ingest", *words)
    assert status == 2
    assert len(err.splitlines()) == 1
    assert line in err


def test_ingest_without_a_token_says_how_to_get_one(command, monkeypatch):
    monkeypatch.delenv("SOS_UPSTOX_TOKEN")
    status, _, err = command("ingest", "--source", "upstox", "--symbol", "NIFTY", "--from-date", "2026-11-19")
    assert status == 2
    assert err == "error: nobody is logged in at the broker: log in with `python run_actors.py login`\n"


BACKTEST = ("backtest", "--symbol", "NIFTY", "--from-date", "2026-11-19")


def test_backtest_fetches_what_it_needs_stores_it_and_runs(command, broker, tmp_path):
    status, out, err = command(*BACKTEST, "--json", "-")
    assert (status, err) == (0, "")
    assert '"source":"database"' in out.replace(" ", "")
    with MarketStore(tmp_path / "market.db", readonly=True) as store:
        # 16 November is the third trading day before.
        assert store.days("NIFTY") == [MON, TUE, WED, THU]
    hits = broker.hits.total()
    again = command(*BACKTEST, "--json", "-")[1]
    assert broker.hits.total() == hits
    timeless = [text.partition('"timings"')[0] for text in (out, again)]
    assert timeless[0] == timeless[1]


def test_backtest_strict_reads_the_database_alone(command, broker):
    status, _, err = command(*BACKTEST, "--no-backfill")
    assert status == 2
    assert "no market database yet" in err
    assert broker.hits.total() == 0


def test_backtest_without_a_token_says_how_to_get_the_day(command, broker, monkeypatch):
    command("ingest", "--source", "upstox", "--symbol", "NIFTY", "--from-date", "2026-11-18", "--to-date", "2026-11-19")
    hits = broker.hits.total()
    monkeypatch.delenv("SOS_UPSTOX_TOKEN")
    status, _, err = command("backtest", "--symbol", "NIFTY", "--from-date", "2026-11-18", "--to-date", "2026-11-20")
    assert status == 0
    assert err == (
        "warning: NIFTY: 2026-11-20 not in the database: log in with `python run_actors.py login` and they are "
        "fetched, or `python run_actors.py ingest` files\n"
    )
    assert broker.hits.total() == hits


def test_backtest_with_a_broker_that_is_down_says_so_and_runs_on(command, broker, tmp_path):
    command("ingest", "--source", "upstox", "--symbol", "NIFTY", "--from-date", "2026-11-19")
    (tmp_path / "config.yaml").write_text("data: {retries: 0}\n")
    broker.answers["/"] = lambda _: web.Response(status=503, text="<html>")
    status, _, err = command(*BACKTEST, "--to-date", "2026-11-20", "--config", str(tmp_path / "config.yaml"))
    assert status == 0
    assert "warning: NIFTY: not all missing days were fetched: " in err
    assert "Traceback" not in err


def test_a_stand_ins_clock_says_which_day_it_is(command, broker, monkeypatch):
    monkeypatch.undo()
    for name in ("HOST", "ORDER_HOST", "ASSETS_URL"):
        monkeypatch.setenv(f"SOS_UPSTOX_{name}", broker.url)
    monkeypatch.setenv("SOS_CLOCK", "2026-11-20T10:00:00+05:30@30")
    assert backfill.now_of(Config()) // MINUTE_NS == ist_ns(TODAY, "10:00") // MINUTE_NS
    first, second = (backfill.running_clock(Config())() for _ in range(2))
    assert abs(second - first) < MINUTE_NS


def test_the_file_of_the_small_hours_is_yesterdays_and_todays_is_fetched_in_the_morning(command, broker, tmp_path):
    broker.now = ist_ns(TODAY, "01:00")
    assert "instruments of 2026-11-19:" in command("instruments")[1]
    command("instruments", "--refresh")
    assert len(broker.agents) == 1  # there is nothing newer
    broker.now = ist_ns(TODAY, "08:30")
    broker.master = [one for one in broker.master if one.get("strike_price") != 24_000.0]
    assert "NIFTY: 160 options" in command("instruments")[1]
    assert "NIFTY: 164 options" in command("instruments", "--on", "2026-11-19")[1]
    assert sorted(path.name[:10] for path in (tmp_path / "instruments").iterdir()) == ["2026-11-19", "2026-11-20"]


def test_instruments_summary_and_lookups(command):
    status, out, err = command("instruments")
    assert (status, err) == (0, "")
    assert "NIFTY: 164 options, 2 expiries (2026-11-23, 2026-12-01), 1 futures" in out
    out = command("instruments", "--find", "nifty 25000 pe 23 nov 26")[1]
    assert (
        out.splitlines()[1]
        == "NSE|OPT|NIFTY|2026-11-23|25000|PE\tNSE_FO|40041\tNIFTY 25000 PE 23 NOV 26\t65\t1800\t0.05"
    )
    assert len(command("instruments", "--find", "NSE_FO|40041")[1].splitlines()) == 2
    assert len(command("instruments", "--find", "25050 01 DEC")[1].splitlines()) == 3
    out = command("instruments", "--underlying", "NIFTY", "--expiry", "2026-11-23", "--json", "--limit", "3")[1]
    assert out.count('"upstox_key"') == 3
    status, _, err = command("instruments", "--underlying", "NIFTY", "--expiry", "2026-11-24")
    assert status == 1
    assert "listed: 2026-11-23, 2026-12-01" in err
    status, _, err = command("instruments", "--find", "no such thing")
    assert (status, len(err.splitlines())) == (1, 1)


def test_the_brokers_calendar_is_laid_over_the_tables(command, broker, tmp_path):
    muhurat = {
        "date": "2026-11-08", "description": "Muhurat", "holiday_type": "TRADING_HOLIDAY", "closed_exchanges": ["CDS"],
        "open_exchanges": [{"exchange": "NFO", "start_time": ist_ns(dt.date(2026, 11, 8), "18:00") // 10**6,
                            "end_time": ist_ns(dt.date(2026, 11, 8), "19:00") // 10**6}],
    }  # fmt: skip
    broker.holidays = [muhurat, {"date": "2026-11-19", "closed_exchanges": ["NFO", "BFO"], "open_exchanges": []}]
    status, _, err = command("ingest", "--source", "upstox", "--symbol", "NIFTY", "--from-date", "2026-11-19")
    assert "calendar: NSE 2026-11-08: the broker says 18:00-19:00, the built-in table closed" in err
    assert "calendar: NSE 2026-11-19: the broker says closed, the built-in table 09:15-15:40" in err
    assert status == 1
    assert "closed from 2026-11-19" in err
    INDIA.become(INDIA_TABLES)
    status, _, err = command(*BACKTEST, "--no-backfill")  # every later command knows it too
    assert "NSE is closed from 2026-11-19" in err
    loaded = CalendarFiles(tmp_path).load()
    assert not loaded.is_trading_day("NSE", THU)
    assert len(loaded.sessions("NSE", dt.date(2026, 11, 8))) == 1
    (tmp_path / "calendar" / "2026.json").write_text("{")
    assert CalendarFiles(tmp_path).load().is_trading_day("NSE", THU)


def test_settings_are_checked():
    assert Config().data.sources == ("upstox", "files")
    for name in ("strikes", "patience_s"):
        with pytest.raises(ValueError, match=f"data.{name} is -1"):
            DataSettings(**{name: -1})
