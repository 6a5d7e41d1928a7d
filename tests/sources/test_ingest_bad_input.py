"""What a user can get wrong: each is one clear line, and nothing half-written."""

import datetime as dt
import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sos_actors.errors import InputError, StorageError
from sos_actors.sources.ingest import ingest
from sos_actors.storage.market_store import MarketStore

DAY = dt.date(2025, 9, 2)
BARS = "ts,open,high,low,close,volume\n"
CHAIN = "ts,symbol,expiry,strike,right,open,high,low,close,volume,oi\n"


@pytest.fixture
def store(tmp_path):
    with MarketStore(tmp_path / "market.db") as opened:
        yield opened


def bar_lines(count=10, first=555, day="2025-09-02"):
    return [f"{day} {(first + n) // 60:02d}:{(first + n) % 60:02d}:00,100,101,99,100.5,0\n" for n in range(count)]


def chain_lines(count=10, strikes=(24_400, 24_450, 24_500, 24_550, 24_600, 24_650), expiry="2025-09-02"):
    return [
        f"2025-09-02 09:{15 + n}:00,NIFTY,{expiry},{strike},{right},10,11,9,10.5,75,150\n"
        for n in range(count)
        for strike in strikes
        for right in ("CE", "PE")
    ]


def put(tmp_path, text, name="index_NIFTY.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def only(report):
    (one,) = report.files
    assert one.rows == one.stored + sum(one.rejected.values()) + one.superseded + one.skipped
    return one


def refused(store, path, match, **given):
    with pytest.raises(InputError, match=match) as caught:
        ingest([path], store, **given)
    assert "\n" not in str(caught.value)
    assert store.days("NIFTY") == []
    assert store.db.execute("SELECT count(*) FROM data_quality").get == 0


def test_a_missing_column_is_named(store, tmp_path):
    text = "ts,open,high,low,volume\n" + "2025-09-02 09:15:00,1,2,1,0\n"
    refused(store, put(tmp_path, text), "lacks column close")
    refused(store, put(tmp_path, text), "layout bars needs column close", layout="bars")


def test_text_in_a_price_rejects_the_row(store, tmp_path):
    lines = bar_lines()
    lines[3] = lines[3].replace("100.5", "n.a.")
    lines[4] = lines[4].replace(",99,", ",inf,")
    one = only(ingest([put(tmp_path, BARS + "".join(lines))], store))
    assert one.rejected == {"close is not a number": 1, "low is not a number": 1}
    assert one.stored == 8
    assert store.quality("NIFTY", DAY).rejected == {"close is not a number": 1, "low is not a number": 1}


def test_nan_negative_and_impossible_prices_are_counted_by_reason(store, tmp_path):
    lines = bar_lines(8)
    lines[0] = lines[0].replace("100.5", "NaN")
    lines[1] = lines[1].replace(",99,", ",-99,")
    lines[2] = lines[2].replace(",101,", ",98,")
    lines[3] = lines[3].replace("100.5", "107")
    lines[4] = lines[4].replace(",100,", ",0,")
    lines[5] = lines[5].replace(",0\n", ",-5\n")
    one = only(ingest([put(tmp_path, BARS + "".join(lines))], store))
    assert one.rejected == {
        "price missing": 1,
        "low not positive": 1,
        "high below low": 1,
        "open not positive": 1,
        "open or close outside high and low": 1,
        "volume negative": 1,
    }
    assert one.stored == 2


def test_duplicates_and_disorder_are_counted_and_the_last_wins(store, tmp_path):
    lines = bar_lines(6)
    changed = lines[2].replace("100.5", "99.5")
    text = BARS + lines[5] + "".join(lines[:5]) + lines[1] + changed
    one = only(ingest([put(tmp_path, text)], store))
    assert one.rejected == {"duplicate": 1, "contradictory duplicate": 1}
    assert (one.stored, one.unsorted) == (6, 2)
    index = store.load_day("NIFTY", DAY).index
    assert (np.diff(index.start) == 60_000_000_000).all()
    assert index.close.tolist() == [100.5, 100.5, 99.5, 100.5, 100.5, 100.5]


def test_a_wrong_time_zone_is_noticed_and_can_be_said(store, tmp_path):
    path = put(tmp_path, BARS + "".join(bar_lines(375, first=225)))  # 03:45 is 09:15 IST in UTC
    refused(store, path, "outside the session, from 2025-09-02T03:45:00 .* is the time zone right")
    one = only(ingest([path], store, overrides={"zone": "UTC"}))
    assert one.stored == 375
    assert store.load_day("NIFTY", DAY).index.start[0] == 1_756_784_700_000_000_000


def test_bars_cannot_be_longer_than_they_are_apart(store, tmp_path):
    path = put(tmp_path, BARS + "".join(bar_lines(30)))
    refused(store, path, "bars 60 s apart, and interval_s says they are 300 s long", overrides={"interval_s": 300})
    assert only(ingest([path], store, overrides={"interval_s": 60})).stored == 30


def test_two_underlyings_at_different_moments_have_the_bars_of_each(store, tmp_path):
    rows = [f"2025-09-02 09:{15 + at}:{second},{name},100,101,99,100,0\n"
            for at in range(10) for name, second in (("NIFTY", "00"), ("BANKNIFTY", "30"))]  # fmt: skip
    path = put(tmp_path, "ts,symbol,open,high,low,close,volume\n" + "".join(rows), "both.csv")
    assert only(ingest([path], store)).interval_s == 60


def test_times_with_their_own_zone_are_believed(store, tmp_path):
    lines = [
        "2025-09-02T09:15:00+05:30,100,101,99,100,0\n",
        "2025-09-02T03:46:00Z,100,101,99,100,0\n",
        "2025-09-02 09:17:00,100,101,99,100,0\n",
    ]
    one = only(ingest([put(tmp_path, BARS + "".join(lines))], store))
    assert one.stored == 3
    assert (np.diff(store.load_day("NIFTY", DAY).index.start) == 60_000_000_000).all()


def test_an_unknown_zone_and_unreadable_times(store, tmp_path):
    path = put(tmp_path, BARS + "".join(bar_lines()))
    refused(store, path, "zone 'Asia/Bombay2': unknown", overrides={"zone": "Asia/Bombay2"})
    lines = [*bar_lines(4), "2025-13-45 09:30:00,100,101,99,100,0\n", ",100,101,99,100,0\n"]
    path = put(tmp_path, BARS + "".join(lines))
    one = only(ingest([path], store))
    assert one.rejected == {"timestamp not readable": 2}


def test_strikes_off_the_ladder_and_dead_contracts(store, tmp_path):
    lines = chain_lines()
    lines[5] = lines[5].replace("24500", "24512.5")
    lines[6] = lines[6].replace("2025-09-02,", "2025-08-26,")
    lines[7] = lines[7].replace(",PE,", ",XX,")
    lines[8] = lines[8].replace(",NIFTY,", ",NIFTTY,")
    lines[9] = lines[9].replace(",2025-09-02,", ",soon,")
    one = only(ingest([put(tmp_path, CHAIN + "".join(lines))], store))
    assert one.rejected == {
        "strike off the ladder": 1,
        "expiry before the day": 1,
        "right is neither CE nor PE": 1,
        "unknown symbol": 1,
        "expiry not readable": 1,
    }
    assert 24_512.5 not in store.load_day("NIFTY", DAY).chains[0].strikes


def test_a_file_of_dead_contracts_is_refused(store, tmp_path):
    path = put(tmp_path, CHAIN + "".join(chain_lines(expiry="2025-08-26")))
    refused(store, path, "no row can be stored: 120 expiry before the day")


def test_reversed_dates_unknown_symbols_and_missing_files(store, tmp_path):
    path = put(tmp_path, BARS + "".join(bar_lines()))
    refused(
        store, path, "--from-date 2025-09-03 is after --to-date 2025-09-02", from_date=dt.date(2025, 9, 3), to_date=DAY
    )
    refused(store, path, "--symbol NIFTIE: unknown", symbol="NIFTIE")
    refused(store, tmp_path / "none.csv", "no such file")
    refused(store, path, "layout 'kites': there is atm_bars", layout="kites")
    (tmp_path / "empty").mkdir()
    refused(store, tmp_path / "empty", "no .csv")
    with pytest.raises(InputError, match="nothing to ingest"):
        ingest([], store)


def test_an_underlying_must_be_known(store, tmp_path):
    path = put(tmp_path, BARS + "".join(bar_lines()), "data.csv")
    refused(store, path, "give --symbol")
    assert only(ingest([path], store, symbol="nifty")).underlyings == ("NIFTY",)
    path = put(tmp_path, CHAIN + "".join(chain_lines()), "chain.csv")
    with pytest.raises(InputError, match="nothing of SENSEX in it; there is NIFTY"):
        ingest([path], store, symbol="SENSEX")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a_NIFTY.csv", b"", "empty"),
        ("a_NIFTY.csv", BARS.encode(), "no rows in it"),
        ("a_NIFTY.csv", b"\xff\xfe\x00\x01" * 40, "cannot be read"),
        ("a_NIFTY.parquet", b"PAR1 but not really", "cannot be read"),
        ("a_NIFTY.csv.gz", b"no gzip", "cannot be read"),
        ("a_NIFTY.csv.gz", gzip.compress((BARS * 9000).encode(), mtime=0)[:60], "cannot be read"),
        ("a_NIFTY.xlsx", b"PK", "unknown kind"),
        ("a_NIFTY.csv", b"alpha,beta\n1,2\n", "fits no layout"),
    ],
)
def test_unreadable_files(store, tmp_path, name, content, match):
    path = tmp_path / name
    path.write_bytes(content)
    refused(store, path, match)


def test_lines_with_a_wrong_number_of_columns_are_counted(store, tmp_path):
    lines = bar_lines()
    lines[2] = "2025-09-02 09:17:00,1\n"
    one = only(ingest([put(tmp_path, BARS + "".join(lines))], store))
    assert (one.rejected, one.stored) == ({"wrong number of columns": 1}, 9)


def test_lots_need_a_lot_and_missing_expiries_an_expiry(store, tmp_path):
    path = put(tmp_path, CHAIN + "".join(chain_lines()))
    refused(store, path, "the file counts in lots: say 'lot: UNITS'", overrides={"oi_unit": "lots"})
    refused(store, path, "layout: Expected `int`", overrides={"lot": "many"})
    text = (CHAIN + "".join(chain_lines())).replace("expiry,", "").replace("NIFTY,2025-09-02,", "NIFTY,")
    path = put(tmp_path, text)
    refused(store, path, "the file names no expiry")
    refused(store, path, "neither YYYY-MM-DD nor 'nearest'", overrides={"expiry": "next week"})
    assert only(ingest([path], store, overrides={"expiry": "2025-09-09"})).stored == 120
    assert store.expiries("NIFTY", DAY) == [dt.date(2025, 9, 9)]


def test_a_full_disk_while_ingesting_stores_nothing_of_that_file(store, tmp_path):
    good = put(tmp_path, BARS + "".join(bar_lines()), "a_NIFTY.csv")
    rng = np.random.default_rng(3)
    days = 60
    stamps = (
        (
            np.datetime64("2025-01-01T09:15")
            + np.arange(days)[:, None] * np.timedelta64(1, "D")
            + np.arange(300) * np.timedelta64(1, "m")
        )
        .ravel()
        .astype("datetime64[us]")
    )
    price = 100 + rng.random(len(stamps))
    pq.write_table(
        pa.table({"ts": stamps, "open": price, "high": price, "low": price, "close": price}),
        tmp_path / "b_NIFTY.parquet",
    )
    store.db.pragma("max_page_count", store.db.pragma("page_count") + 20)
    with pytest.raises(StorageError, match="the disk is full; nothing of this was stored"):
        ingest([good, tmp_path / "b_NIFTY.parquet"], store)
    assert store.days("NIFTY") == [DAY]
    assert store.db.execute("SELECT count(*) FROM data_quality").get == 1


def test_bars_seconds_apart_are_refused(store, tmp_path):
    lines = [f"2025-09-02 09:15:{n:02d},1,1,1,1,0\n" for n in range(30)]
    refused(store, put(tmp_path, BARS + "".join(lines)), "bars 1 s apart")


def test_damaged_headers_are_one_line(store, tmp_path):
    damaged = bytearray(gzip.compress("".join([BARS, *bar_lines()]).encode()))
    damaged[12:40] = b"\xff" * 28
    path = tmp_path / "index_NIFTY.csv.gz"
    path.write_bytes(bytes(damaged))
    refused(store, path, "cannot be read .*decompressing")
    refused(store, put(tmp_path, "x" * 200_000 + "\n1\n"), "its first line is no header")


def test_two_columns_of_one_name_are_refused(store, tmp_path):
    text = "ts,open,high,low,close,close\n" + "2025-09-02 09:15:00,1,2,1,1,2\n"
    refused(store, put(tmp_path, text), "two columns are called close")


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "UTC"])
def test_a_year_that_stands_for_unknown_rejects_its_row(store, tmp_path, zone):
    text = BARS + "9999-12-31 00:00:00,1,1,1,1,0\n0001-01-01T00:00:00Z,1,1,1,1,0\n" + "".join(bar_lines(first=555))
    given = {} if zone == "Asia/Kolkata" else {"overrides": {"zone": zone}}
    path = put(
        tmp_path, text if not given else text.replace(" 09:", " 03:").replace("03:1", "03:4").replace("03:2", "03:5")
    )
    one = only(ingest([path], store, **given))
    assert one.rejected["timestamp not readable"] == 2
    assert one.stored == 10
    times = pa.array(np.array(["9999-12-31", "2025-09-02T09:16"], "M8[us]"))
    table = pa.table({"ts": times, **{name: [100.0, 100.0] for name in ("open", "high", "low", "close")}})
    pq.write_table(table, tmp_path / "index_NIFTY.parquet")
    assert only(ingest([tmp_path / "index_NIFTY.parquet"], store)).rejected == {"timestamp not readable": 1}


@pytest.mark.parametrize("name", ["index_1m_BANKNIFTY.csv", "NIFTY BANK_minute.csv", "nifty_bank.csv"])
def test_a_file_whose_name_says_another_underlying_is_not_stored_under_the_one_asked_for(store, tmp_path, name):
    folder = tmp_path / "data"
    folder.mkdir()
    other = put(folder, BARS + "".join(bar_lines()), name)
    refused(store, other, "nothing of NIFTY in it; there is BANKNIFTY", symbol="NIFTY")
    put(folder, BARS + "".join(bar_lines(5)), "nifty 50.csv")
    put(folder, BARS + "".join(bar_lines(3, day="2025-09-03")), "plain.csv")
    report = ingest([folder], store, symbol="NIFTY")
    assert sorted((one.path.rsplit("/", 1)[1], one.stored, one.skipped) for one in report.files) == sorted(
        [(name, 0, 10), ("nifty 50.csv", 5, 0), ("plain.csv", 3, 0)]
    )
    assert store.days("NIFTY") == [DAY, dt.date(2025, 9, 3)]
    assert store.days("BANKNIFTY") == []
    only(ingest([other], store))
    assert store.days("BANKNIFTY") == [DAY]


def test_an_expiry_of_the_mapping_is_a_date_as_the_message_says_it(store, tmp_path):
    lines = ("".join(chain_lines())).replace(",2025-09-02,2", ",2")
    path = put(tmp_path, CHAIN.replace("expiry,", "") + lines, "chain.csv")
    mapping = tmp_path / "mine.yaml"
    mapping.write_text("like: option_bars\nexpiry: 2025-09-04\n")
    only(ingest([path], store, str(mapping)))
    only(ingest([path], store, "option_bars", overrides={"expiry": dt.date(2025, 9, 9)}))
    assert store.expiries("NIFTY", DAY) == [dt.date(2025, 9, 4), dt.date(2025, 9, 9)]
    mapping.write_text("like: option_bars\nexpiry: 2025-13-04\n")
    with pytest.raises(InputError, match="month must be in"):
        ingest([path], store, str(mapping))


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        ({"session": ["9:15", "15:30"]}, "time of day '9:15'"),
        ({"columns": {"ts": "ts"}}, "needs column open, high, low, close"),
    ],
)
def test_keys_of_the_command_line_that_make_no_sense(store, tmp_path, overrides, match):
    refused(store, put(tmp_path, BARS + "".join(bar_lines())), match, overrides=overrides)


def test_an_expiry_with_a_zone_is_the_date_in_india(store, tmp_path):
    """Midnight of 2 September in India, written in UTC, is still 1 September there."""
    moment = pa.array(np.array(["2025-09-01T18:30"] * 2, "M8[us]"), pa.timestamp("us", "UTC"))
    start = pa.array(np.array(["2025-09-01T09:15", "2025-09-01T09:16"], "M8[us]"))
    prices = {name: [100.0, 100.0] for name in ("open", "high", "low", "close")}
    path = tmp_path / "nifty.parquet"
    pq.write_table(
        pa.table({"ts": start, "expiry": moment, "strike": [24500] * 2, "right": ["CE"] * 2, **prices}), path
    )
    only(ingest([path], store))
    assert store.expiries("NIFTY", dt.date(2025, 9, 1)) == [DAY]
