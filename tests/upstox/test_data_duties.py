"""Gaps filled from the broker, warm start, upkeep: on a database a daemon has recorded into."""

import datetime as dt
import time

import msgspec
import numpy as np
import pytest
from data_broker import TODAY, DataBroker, candles, error

from sos_actors.cli import backfill, main
from sos_actors.market.clocktime import MINUTE_NS, ist_ns
from sos_actors.market.day import BarColumns
from sos_actors.market.ids import option_id
from sos_actors.market.minute_book import MinuteBook
from sos_actors.messages import Bar, GapsSuspected, Right
from sos_actors.sources.data_settings import DataSettings
from sos_actors.sources.facts import market_facts
from sos_actors.sources.gap_filler import GapFiller
from sos_actors.sources.upstox_fetch import World
from sos_actors.sources.upstox_source import UpstoxSource, minutes_of
from sos_actors.sources.warm_start import WarmStart, between
from sos_actors.storage.day_states import DayState, DayStates
from sos_actors.storage.market_store import MarketStore
from sos_actors.storage.minute_shelf import MinuteShelf
from sos_actors.storage.upkeep import Retention, delete_old, health
from sos_actors.upstox.client import UpstoxClient
from sos_actors.upstox.errors import BrokerError
from sos_actors.upstox.instruments import MasterFiles, downloader
from sos_actors.upstox.limits import RateLimiter
from sos_actors.upstox.settings import UpstoxSettings

OPEN, CLOSE = ist_ns(TODAY, "09:15"), ist_ns(TODAY, "15:40")
INDEX, FRONT = "NSE|INDEX|NIFTY", dt.date(2026, 11, 23)
CALL, PUT = (option_id("NIFTY", FRONT, 25_000.0, right) for right in (Right.CE, Right.PE))
FUTURE = "NSE|FUT|NIFTY|2026-11-23"
THU = dt.date(2026, 11, 19)


@pytest.fixture
def broker():
    started = DataBroker().start()
    yield started
    started.stop()


def parts(broker, tmp_path):
    where = UpstoxSettings(host=broker.url, order_host=broker.url, assets_url=broker.url)
    client = UpstoxClient(where, RateLimiter(where.rates, time.monotonic), "token-of-a-test")
    masters = MasterFiles(tmp_path, downloader(where))
    return client, lambda day: masters.today(day).table


def filler(broker, tmp_path):
    client, table = parts(broker, tmp_path)
    rows = minutes_of(client, table, DataSettings(), lambda: broker.now)
    return GapFiller(tmp_path / "market.db", rows, market_facts())


def record(tmp_path, minutes, *, doubtful=(), silent=()):
    """Record a day as a daemon does, at 1.0 for every price, so that history's prices can be told from ours."""
    shelf = MinuteShelf(tmp_path / "market.db")
    shelf.begin("NIFTY", TODAY, OPEN)
    book = MinuteBook("NIFTY")
    for minute in minutes:
        start = OPEN + minute * MINUTE_NS
        for instrument in (INDEX, FUTURE, CALL, PUT):
            if (instrument, minute) not in silent:
                complete = (instrument, minute) not in doubtful
                book.take_bar(Bar(instrument, start, start + MINUTE_NS, 1.0, 1.0, 1.0, 1.0, 65.0, 650.0,
                                  complete=complete, bid=0.5, ask=1.5))  # fmt: skip
    shelf.keep("NIFTY", TODAY, book.minutes())
    shelf.close()


def test_only_gaps_are_filled(broker, tmp_path):
    record(tmp_path, [*range(10), *range(20, 30)], doubtful={(CALL, 5), (INDEX, 6)}, silent={(PUT, 3)})
    told = filler(broker, tmp_path)(GapsSuspected("NIFTY", TODAY, OPEN + 30 * MINUTE_NS))
    # Minutes 10 to 19 of four instruments, the call in doubt, the index in doubt. A put that was silent did not trade.
    assert (told.minutes, told.cells, told.left, told.error) == (12, 42, 0, "")
    with MarketStore(tmp_path / "market.db") as store:
        day = store.load_day("NIFTY", TODAY)
        assert len(day.index.start) == len(day.future.start) == len(day.chains[0].start) == 30
        ours = day.index.close == 1.0
        assert np.flatnonzero(~ours).tolist() == [6, *range(10, 20)]
        call, put = day.chains[0].values[:, :, 0, 0], day.chains[0].values[:, :, 1, 0]
        assert np.flatnonzero(call[:, 3] != 1.0).tolist() == [5, *range(10, 20)]
        assert np.isnan(put[3]).all()
        assert call[4, 6] == 0.5  # the recorded quote stays
        assert np.isnan(call[12, 6])  # history has none
        assert DayStates(store).doubtful("NIFTY", TODAY) == set()
        assert not DayStates(store).get("NIFTY", TODAY).complete
        assert store.quality("NIFTY", TODAY).rows == 0  # nothing is said of the quality before the day is over


def test_at_the_end_a_day_without_gaps_is_whole(broker, tmp_path):
    record(tmp_path, range(385))
    asked = broker.hits.total()
    told = filler(broker, tmp_path)(GapsSuspected("NIFTY", TODAY, CLOSE, final=True))
    assert (told.minutes, told.left) == (0, 0)
    assert broker.hits.total() == asked
    with MarketStore(tmp_path / "market.db") as store:
        assert DayStates(store).get("NIFTY", TODAY).complete
        assert store.quality("NIFTY", TODAY).holes == ()


def test_what_history_lacks_stays_a_gap(broker, tmp_path):
    record(tmp_path, range(10))
    broker.now = OPEN + 300 * MINUTE_NS
    told = filler(broker, tmp_path)(GapsSuspected("NIFTY", TODAY, CLOSE, final=True))
    assert (told.minutes, told.left) == (375, 85)
    with MarketStore(tmp_path / "market.db") as store:
        state = DayStates(store).get("NIFTY", TODAY)
        assert (state.complete, state.note) == (False, "85 minute(s) missing or in doubt")
        assert len(store.quality("NIFTY", TODAY).holes) == 1
    broker.now = CLOSE + MINUTE_NS
    assert filler(broker, tmp_path)(GapsSuspected("NIFTY", TODAY, CLOSE, final=True)).left == 0


def test_a_broker_that_is_away_leaves_everything_as_it_was(broker, tmp_path):
    record(tmp_path, range(10), doubtful={(CALL, 5)})
    broker.answers["/v3/historical-candle"] = lambda _: error("UDAPI100500", "fault", 500)
    with pytest.raises(BrokerError):
        filler(broker, tmp_path)(GapsSuspected("NIFTY", TODAY, OPEN + 30 * MINUTE_NS))
    with MarketStore(tmp_path / "market.db") as store:
        assert len(store.load_day("NIFTY", TODAY).index.start) == 10
        assert DayStates(store).doubtful("NIFTY", TODAY) == {(CALL, OPEN + 5 * MINUTE_NS)}


def test_nothing_recorded_is_said(broker, tmp_path):
    MarketStore(tmp_path / "market.db").close()
    assert "nothing" in filler(broker, tmp_path)(GapsSuspected("NIFTY", TODAY, CLOSE)).error


# --- warm start -----------------------------------------------------------------------------------------


def warm(broker, tmp_path, store, now, **how):
    client, table = parts(broker, tmp_path)
    broker.now = now
    world = World(lambda: broker.now, lambda _: None, market_facts())
    source = UpstoxSource(client, table, store, DataSettings(strikes=1), world)
    return WarmStart(store, ["NIFTY"], now, 2, bringers=[source], **how)


def test_warm_start_brings_the_days_before_and_today_so_far(broker, tmp_path):
    now = OPEN + 60 * MINUTE_NS + MINUTE_NS // 2
    with MarketStore(tmp_path / "market.db") as store:
        start = warm(broker, tmp_path, store, now)
        assert start.days == (dt.date(2026, 11, 18), THU, TODAY)
        (today,) = start.load_day(TODAY)
        assert len(today.index.start) == 60  # the broker's half-made minute is not played
        assert len(today.chains[0].start) == 60
        assert len(start.load_day(THU)[0].index.start) == 385
        assert start.load_day(dt.date(2026, 11, 2)) == []


def test_warm_start_before_the_open_plays_no_today(broker, tmp_path):
    with MarketStore(tmp_path / "market.db") as store:
        assert warm(broker, tmp_path, store, ist_ns(TODAY, "08:00")).days == (dt.date(2026, 11, 18), THU)


def test_a_restart_keeps_what_was_recorded_and_fills_the_rest(broker, tmp_path):
    record(tmp_path, range(10))
    now = OPEN + 20 * MINUTE_NS
    with MarketStore(tmp_path / "market.db") as store:
        broker.now = now
        start = warm(broker, tmp_path, store, now, fill_gaps=filler(broker, tmp_path))
        (today,) = start.load_day(TODAY)
        assert (today.index.close == 1.0).sum() == 10
        assert len(today.index.start) == 20
        assert today.chains[0].values[0, 6, 0, 0] == 0.5


def test_warm_start_goes_on_with_what_is_stored(broker, tmp_path, caplog):
    with MarketStore(tmp_path / "market.db") as store:
        warm(broker, tmp_path, store, ist_ns(TODAY, "08:00"))
        broker.answers["/"] = lambda _: error("UDAPI100050", "Invalid token", 401)
        start = warm(broker, tmp_path, store, OPEN + 5 * MINUTE_NS)
        assert start.days == (dt.date(2026, 11, 18), THU)
    assert "goes on with what is stored" in caplog.text


def test_cut_at_a_moment(broker, tmp_path):
    record(tmp_path, range(3))
    with MarketStore(tmp_path / "market.db") as store:
        day = store.load_day("NIFTY", TODAY)
    assert between(day, 0, OPEN + MINUTE_NS - 1) is None
    assert len(between(day, 0, OPEN + MINUTE_NS).index.start) == 1
    assert len(between(day, 0, CLOSE).chains[0].start) == 3
    later = between(day, OPEN + MINUTE_NS, OPEN + 2 * MINUTE_NS)
    assert later.index.start.tolist() == later.chains[0].start.tolist() == [OPEN + MINUTE_NS]
    assert between(day, CLOSE, CLOSE) is None


# --- upkeep ---------------------------------------------------------------------------------------------


def flat(day):
    rows = candles(day, 25_000.0)[::-1][:5]
    start = np.array([ist_ns(day, row[0][11:16]) for row in rows])
    one = np.full(5, 1.0)
    return BarColumns(INDEX, 60, start, one, one, one, one, one, one)


@pytest.fixture
def old(tmp_path):
    with MarketStore(tmp_path / "market.db") as store:
        for day in (dt.date(2026, 10, 1), dt.date(2026, 11, 17), THU):
            store.save_bars(flat(day), day, "a")
        DayStates(store).put("NIFTY", THU, DayState(complete=False, source="upstox", note="half of it", at=7))
        DayStates(store).keep_fetched("NIFTY", INDEX, {TODAY: []})
        yield store


def test_health_counts_holes_and_what_is_old(old):
    found = health(old, Retention(bars=30, ticks=10), TODAY)
    one = found.symbols["NIFTY"]
    assert (one.days, one.first, one.last) == (3, dt.date(2026, 10, 1), THU)
    assert dt.date(2026, 11, 18) in one.missing
    assert dt.date(2026, 10, 2) not in one.missing  # a holiday
    assert one.incomplete == {"2026-11-19": "half of it"}
    assert (found.integrity, found.last_fetch, found.half_fetched) == ("ok", 7, 1)
    assert found.old == {"bars": 1, "ticks": 0}
    assert found.size > 0


def test_retention_deletes_what_is_older_and_nothing_else(old):
    assert delete_old(old, Retention(), TODAY) == {}
    assert delete_old(old, Retention(bars=3), TODAY) == {"bars": 1}
    assert old.days("NIFTY") == [dt.date(2026, 11, 17), THU]
    assert delete_old(old, Retention(bars=3), TODAY) == {"bars": 0}


def test_the_command(old, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(backfill, "now_of", lambda _: CLOSE)
    (tmp_path / "config.yaml").write_text("data: {keep_bar_days: 30}\n")
    words = ["run_actors.py", "maintenance", "--home", str(tmp_path), "--config", str(tmp_path / "config.yaml")]

    def run(*more):
        monkeypatch.setattr("sys.argv", [*words, *more])
        return main(), capsys.readouterr()

    status, told = run("--dry-run")
    assert status == 0
    assert "bars: 1 day block(s) would be deleted" in told.out
    assert "incomplete: 2026-11-19: half of it" in told.out
    assert len(old.days("NIFTY")) == 3
    status, told = run("--vacuum", "--json")
    answer = msgspec.json.decode(told.out)
    assert answer["deleted"] == {"ticks": 0, "bars": 1}
    assert answer["health"]["integrity"] == "ok"
    assert len(old.days("NIFTY")) == 2
    monkeypatch.setattr("sys.argv", ["run_actors.py", "maintenance", "--home", str(tmp_path / "none")])
    assert main() == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
