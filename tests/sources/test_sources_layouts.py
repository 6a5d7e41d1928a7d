import datetime as dt
import textwrap

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sos_actors.errors import InputError
from sos_actors.market.clocktime import ist_ns
from sos_actors.sources.checking import ladder_step
from sos_actors.sources.facts import CalendarFacts, PlainFacts
from sos_actors.sources.grouping import per_interval
from sos_actors.sources.ingest import ingest
from sos_actors.sources.layout import LAYOUT_FOLDER, Layout, layout_names, load_layout
from sos_actors.storage.market_store import MarketStore

DAY = dt.date(2025, 9, 2)
MINUTE = 60_000_000_000


@pytest.fixture
def store(tmp_path):
    with MarketStore(tmp_path / "market.db") as opened:
        yield opened


@pytest.mark.parametrize("name", layout_names())
def test_every_layout_of_the_project_loads(name):
    layout = load_layout(LAYOUT_FOLDER / f"{name}.yaml")
    assert layout.detect


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("kind: bars\ncolumns: {ts: t}\ncolour: red", "unknown field `colour`"),
        ("kind: bars\ncolumns: {ts: t, strike: k}", "'strike' is none of a bars file's"),
        ("kind: candles\ncolumns: {ts: t}", "Invalid enum value 'candles'"),
        ("kind: bars\ncolumns: {open: o}", "say which column is the timestamp"),
        ("kind: [bars", "no YAML"),
        ("- 1", "Expected `object`"),
        ("kind: bars\ncolumns: {ts: t}\nlot: -1", "cannot be negative"),
        ("like: nothing", "layout 'nothing': there is"),
    ],
)
def test_a_bad_mapping_is_one_line(tmp_path, text, match):
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=match) as caught:
        load_layout(path)
    assert "\n" not in str(caught.value)


def write_quotes(path, stamps, **columns):
    rows = len(stamps)
    table = {
        "ts": np.array(stamps, "datetime64[us]"),
        "symbol": ["NIFTY"] * rows,
        "expiry": ["2025-09-02"] * rows,
        "strike": [24_500.0] * rows,
        "right": ["CE"] * rows,
        **columns,
    }
    pq.write_table(pa.table(table), path)


def test_quotes_in_lots_with_the_days_volume_are_snapped_and_converted(store, tmp_path):
    stamps = [
        "2025-09-02T09:15:40",
        "2025-09-02T09:16:42",
        "2025-09-02T09:16:58",
        "2025-09-02T09:18:03",
        "2025-09-02T09:19:05",
    ]
    write_quotes(
        tmp_path / "q.parquet",
        stamps,
        ltp=np.array([10.05, 0.0, 11.1, 12.0, 13.0], np.float32),
        bid=[10.0, 0, 11, 12, 13],
        ask=[10.5, 11, 12, 13, 14],
        oi=[2.0, 3, 4, 5, 6],
        oi_chg=[0.0, 0, 0, 0, 0],
        volume=[10, 15, 20, 18, 30],
    )
    report = ingest([tmp_path / "q.parquet"], store, overrides={"lot": 75}).files[0]
    assert (report.layout, report.interval_s, report.superseded, report.snapped) == ("nse_chain", 60, 1, 5)
    (chain,) = store.load_day("NIFTY", DAY).chains
    cell = chain.values[:, :, 0, 0]
    assert ((chain.start - ist_ns(DAY, "09:15")) // MINUTE).tolist() == [0, 1, 3, 4]
    assert cell[:, 0].tolist() == cell[:, 1].tolist() == cell[:, 3].tolist() == [10.05, 11.1, 12.0, 13.0]
    assert cell[:, 4].tolist() == [750.0, 750.0, 0.0, 750.0]  # 10, +10, a late message, +10 lots
    assert cell[:, 5].tolist() == [150.0, 300.0, 375.0, 450.0]
    assert np.isnan(chain.values[:, :, 1]).all()
    assert store.quality("NIFTY", DAY).holes[0] == (ist_ns(DAY, "09:17"), ist_ns(DAY, "09:18"))


def test_a_zero_quote_is_unknown_and_not_a_reason_to_reject(store, tmp_path):
    write_quotes(
        tmp_path / "q.parquet",
        ["2025-09-02T09:15:00", "2025-09-02T09:20:00"],
        ltp=[0.0, 5.0],
        oi=[75.0, 75],
        volume=[None, None],
        spot=[24_500.5, 24_501.5],
    )
    report = ingest([tmp_path / "q.parquet"], store).files[0]
    assert (report.layout, report.stored, dict(report.rejected)) == ("kite_quotes", 2, {})
    day = store.load_day("NIFTY", DAY)
    assert np.isnan(day.chains[0].values[0, 3, 0, 0])
    assert day.chains[0].values[0, 5, 0, 0] == 75.0
    assert day.index.close.tolist() == [24_500.5, 24_501.5]


def test_spot_of_a_chain_never_replaces_real_index_bars(store, tmp_path):
    (tmp_path / "NIFTY.csv").write_text(
        "ts,open,high,low,close\n2025-09-02 09:15,24500,24510,24490,24505\n2025-09-02 09:20,24500,24510,24490,24505\n"
    )
    write_quotes(
        tmp_path / "q.parquet",
        ["2025-09-02T09:15:00", "2025-09-02T09:20:00", "2025-09-02T09:25:00"],
        ltp=[4.0, 5.0, 6.0],
        oi=[75.0, 75, 75],
        spot=[1.0, 1.0, 24_501.5],
    )
    ingest([tmp_path / "NIFTY.csv", tmp_path / "q.parquet"], store)
    assert store.load_day("NIFTY", DAY).index.close.tolist() == [24_505.0, 24_505.0, 24_501.5]


def test_a_mapping_beside_the_data_wins_and_can_build_on_one_of_ours(store, tmp_path):
    (tmp_path / "mine.csv").write_text("when,o,h,l,last\n02-09-2025 09:16,1,2,1,2\n02-09-2025 09:17,1,2,1,2\n")
    (tmp_path / "mine.yaml").write_text(
        textwrap.dedent("""
        like: bars
        underlying: SENSEX
        time_format: "%d-%m-%Y %H:%M"
        label: end
        columns: {ts: when, close: last}
    """)
    )
    report = ingest([tmp_path / "mine.csv"], store).files[0]
    assert (report.layout, report.underlyings) == ("mine.yaml", ("SENSEX",))
    assert store.load_day("SENSEX", DAY).index.start[0] == ist_ns(DAY, "09:15")


def test_epoch_times_and_calls_beside_puts(store, tmp_path):
    layout = Layout(
        kind="chain_wide",
        time_format="epoch_ms",
        expiry="2025-09-09",
        underlying="NIFTY",
        columns={
            "ts": "t",
            "strike": "k",
            **{
                f"{side}_{name}": f"{side[0]}{name[0]}"
                for side in ("call", "put")
                for name in ("open", "high", "low", "close")
            },
        },
    )
    start = ist_ns(DAY, "09:15") // 10**6
    table = {
        "t": [start, start + 60_000],
        "k": [24_500, 24_500],
        **{name: [1.0, 2.0] for name in ("co", "ch", "cl", "cc")},
        **{name: [3.0, 4.0] for name in ("po", "ph", "pl", "pc")},
    }
    pq.write_table(pa.table(table), tmp_path / "w.parquet")
    report = ingest([tmp_path / "w.parquet"], store, layout=layout).files[0]
    assert (report.rows, report.stored) == (4, 4)
    assert store.load_day("NIFTY", DAY).chains[0].values[:, 3, :, 0].tolist() == [[1.0, 3.0], [2.0, 4.0]]


def test_daily_bars_are_known_by_their_dates(store, tmp_path):
    lines = "2025-09-01,11,12,10,11.5\n2025-09-02,11,12,10,11.25\n"
    (tmp_path / "INDIAVIX.csv").write_text("date,open,high,low,close\n" + lines)
    assert ingest([tmp_path / "INDIAVIX.csv"], store).files[0].interval_s == 86_400
    bars = store.load_bars("NSE|INDEX|INDIAVIX", DAY, DAY)
    assert (bars.close.tolist(), bars.start.tolist()) == ([11.25], [ist_ns(DAY, "09:15")])
    assert store.day_stats("INDIAVIX", DAY).close == 11.5


def test_quotes_of_an_index_with_the_days_volume_become_bars(store, tmp_path):
    lines = ["2025-09-02 09:15:30,100.5,10\n", "2025-09-02 09:16:30,101.5,25\n", "2025-09-02 09:16:50,102.5,30\n"]
    (tmp_path / "NIFTY.csv").write_text("ts,last,total\n" + "".join(lines))
    layout = Layout(
        kind="bars",
        quotes=True,
        irregular=True,
        volume_is="day",
        interval_s=60,
        columns={"ts": "ts", "close": "last", "volume": "total"},
    )
    report = ingest([tmp_path / "NIFTY.csv"], store, layout=layout).files[0]
    assert (report.stored, report.superseded) == (2, 1)
    index = store.load_day("NIFTY", DAY).index
    assert index.open.tolist() == index.close.tolist() == [100.5, 102.5]
    assert index.volume.tolist() == [10.0, 20.0]


def test_dates_and_symbols_asked_for_are_all_that_is_stored(store, tmp_path):
    lines = [f"2025-09-{day:02d} 09:15:00,{name},1,2,1,2\n" for day in (1, 2, 3) for name in ("NIFTY", "SENSEX")]
    (tmp_path / "two.csv").write_text("ts,symbol,open,high,low,close\n" + "".join(lines))
    heard = []
    report = ingest(
        [tmp_path / "two.csv"],
        store,
        symbol="NIFTY",
        from_date=DAY,
        progress=lambda share, text: heard.append((share, text)),
    ).files[0]
    assert (report.stored, report.skipped, report.days) == (2, 4, (DAY, dt.date(2025, 9, 3)))
    assert store.days("SENSEX") == []
    assert [share for share, _ in heard] == sorted(share for share, _ in heard)
    assert heard[-1] == (1.0, "stored two.csv")


@pytest.mark.parametrize(
    ("strikes", "step"),
    [
        (np.arange(22_000, 27_000, 50), 50),
        (np.r_[np.arange(50_000, 66_000, 500), np.arange(58_000, 61_000, 100)], 100),
        (np.r_[np.arange(22_000, 27_000, 50), 24_512.5], 50),
        (np.array([24_000, 24_100, 24_200, 24_300, 24_400, 24_450]), 50),
        (np.arange(100, 130, 2.5), 2.5),
        (np.array([24_500.0]), 500),
        (np.array([23_050, 23_100]), 50),
    ],
)
def test_the_ladder_is_found_from_the_strikes(strikes, step):
    assert ladder_step(strikes.astype(float)) == step


def test_a_known_ladder_is_believed_unless_the_strikes_deny_it():
    assert ladder_step(np.r_[np.arange(24_000.0, 25_000.0, 50), 24_525.0], 50.0) == 50.0
    assert ladder_step(np.arange(24_000.0, 25_000.0, 50), 100.0) == 50.0


def test_volume_differences_keep_the_total():
    total = np.array([[5.0], [np.nan], [9.0], [8.0], [20.0]])
    found = per_interval(total, from_open=True)
    assert np.array_equal(found, [[5.0], [np.nan], [4.0], [0.0], [11.0]], equal_nan=True)
    assert np.isnan(per_interval(total, from_open=False)[0, 0])


def test_calendar_facts_fall_back_to_the_regular_session():
    def sessions(exchange, day):
        if day.year < 2024:
            raise InputError("unknown year")
        return [(1, 2)] if exchange == "BSE" else []

    def step(underlying, day):
        if underlying != "SENSEX":
            raise InputError("unknown underlying")
        return 100.0

    facts = CalendarFacts(sessions, lambda *_: 20, lambda _, day: day, step)
    assert (facts.strike_step("SENSEX", DAY), facts.strike_step("NIFTY", DAY)) == (100.0, 0.0)
    assert facts.sessions("SENSEX", DAY) == ((1, 2),)
    assert facts.sessions("NIFTY", DAY) == PlainFacts().sessions("NIFTY", DAY)
    assert facts.sessions("SENSEX", dt.date(2019, 1, 1))[0][0] == ist_ns(dt.date(2019, 1, 1), "09:15")
    assert (facts.lot_size("SENSEX", DAY, DAY), facts.nearest_expiry("SENSEX", DAY)) == (20, DAY)
