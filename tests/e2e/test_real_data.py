"""Whole runs on real days: what must hold of every run does, and figures agree with the raw files."""

import datetime as dt
from collections import Counter, defaultdict

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from e2e_helpers import DATA, IST, KITE_DAYS, MINUTE, NSE_DAY, NSE_FILE, ROOT, TICK_DAY, command, ist, played, when

from sos_actors.actors.bar import BarActor
from sos_actors.actors.tick_feed import TickFeedActor
from sos_actors.config import Config
from sos_actors.market.bars import BarBuilder, BarSettings
from sos_actors.market.ids import parse_id
from sos_actors.market.tape import Tape
from sos_actors.messages import Bar, Right, Side
from sos_actors.runtime import Actor, Session, SimRuntime, handles

pytestmark = pytest.mark.real_data

TICK = 0.05
#: Units a lot by underlying and expiry, as the exchange had them on the days of these runs.
LOTS = {
    ("NIFTY", "2025-09-02"): 75,
    ("NIFTY", "2026-01-06"): 65,
    ("NIFTY", "2026-01-13"): 65,
    ("BANKNIFTY", "2025-12-30"): 35,
    ("BANKNIFTY", "2026-01-27"): 30,
}


def _replaced(config, section, **values):
    part = msgspec.structs.replace(getattr(config, section), **values)
    return msgspec.structs.replace(config, **{section: part})


@pytest.fixture(scope="module")
def minutes(real):
    return played(real, "NIFTY", NSE_DAY)


@pytest.fixture(scope="module")
def five_minutes(real):
    return played(real, "NIFTY,BANKNIFTY", *KITE_DAYS, timeframe="5m")


@pytest.fixture(scope="module")
def ticks(real):
    return played(real, "BANKNIFTY", TICK_DAY, resolution="tick")


@pytest.fixture(scope="module")
def index_only(real):
    return played(real, "NIFTY", dt.date(2024, 1, 1), dt.date(2024, 12, 31), playbook=ROOT / "strategies/index")


@pytest.mark.parametrize("name", ["minutes", "five_minutes", "ticks", "index_only"])
def test_what_holds_of_every_run(request, name):
    record = request.getfixturevalue(name)
    assert len(record.trades) > 3
    assert not record.failed
    # Cash: what there was, what was made, nothing open.
    last = record.marks[-1]
    made = sum(trade.net_paise for trade in record.trades)
    assert last.cash_paise == last.equity_paise == record.starting_equity_paise + made
    assert last.open_positions == 0
    held = Counter()
    for fill in record.fills:
        held[fill.instrument] += fill.quantity * fill.side.sign
        # The exchange trades from 09:15 to 15:30; nothing is entered before or carried over.
        assert dt.time(9, 15) <= when(fill.ts).time() <= dt.time(15, 30)
    assert not any(held.values())
    for trade in record.trades:
        assert when(trade.entry_ts).date() == when(trade.exit_ts).date()
        assert when(trade.entry_ts).time() < dt.time(15, 1)
        assert trade.gross_paise - trade.charges_paise == trade.net_paise
        parts = parse_id(trade.instrument)
        if parts.kind == "OPT":
            assert trade.quantity % LOTS[trade.underlying, str(parts.expiry)] == 0
        # From 15:15 positions are closed at the next price there is.
        assert when(trade.exit_ts).time() < dt.time(15, 25)
    # The marks, which figures rest on, are in order.
    assert all(a.ts <= b.ts for a, b in zip(record.marks, record.marks[1:], strict=False))


@pytest.mark.parametrize("name", ["minutes", "five_minutes", "index_only"])
def test_every_fill_lies_within_its_bar_but_for_the_stated_cost(request, real, name):
    """A fill at a bar's open is stamped with its start, one within the bar with its end."""
    record = request.getfixturevalue(name)
    tapes = {}
    for fill in record.fills:
        day, underlying = when(fill.ts).date(), parse_id(fill.instrument).underlying
        if (day, underlying) not in tapes:
            found = real.load_day(underlying, day)
            tapes[day, underlying] = Tape([found]), found
        tape, found = tapes[day, underlying]
        length = (found.index.interval_s if found.index is not None else found.chains[0].interval_s) * 1_000_000_000
        fits = []
        for end in (fill.ts + length, fill.ts):
            quote = tape.quote(fill.instrument, tape.times.index(end)) if end in tape.times else None
            if quote is not None:
                bar = quote.bar
                half = (quote.ask - quote.bid) / 2 if 0 < quote.bid <= quote.ask else 0.001 * bar.open
                fits.append(bar.low - half - 2 * TICK <= fill.price <= bar.high + half + 2 * TICK)
        assert any(fits), fill


def test_fills_of_ticks_lie_within_the_second(ticks, real):
    """Each fill lies within quotes and prices of its instant, a limit also between them and the tick before."""
    columns = real.load_ticks("BANKNIFTY", TICK_DAY)
    place = {name: n for n, name in enumerate(columns.instruments)}
    for fill in ticks.fills:
        now = (columns.which == place[fill.instrument]) & (columns.ts == fill.ts)
        assert now.any()
        before = np.flatnonzero((columns.which == place[fill.instrument]) & (columns.ts < fill.ts))[-1]
        now[before] |= "-t#" in fill.fill_id
        seen = np.concatenate([columns.price[now], columns.bid[now], columns.ask[now]])
        assert np.nanmin(seen) - 2 * TICK <= fill.price <= np.nanmax(seen) + 2 * TICK


def test_the_days_loss_ends_the_day(real):
    """3 % of a million: once the trades closed have lost it, nothing more is entered that day."""
    config = _replaced(_replaced(Config(), "sizing", risk_fraction=0.005), "risk", daily_loss=0.03)
    record = played(real, "NIFTY", NSE_DAY, config=config)
    lost = 0
    for trade in sorted(record.trades, key=lambda trade: trade.exit_ts):
        lost += trade.net_paise
        if lost <= -3_000_000:
            break
    assert lost <= -3_000_000, "the day no longer loses 3 %: risk more a trade"
    assert all(other.entry_ts <= trade.exit_ts for other in record.trades)
    assert any(refused.reason == "DAILY_LOSS" for refused in record.refusals)


# -- one day's profit and loss from the raw file ----------------------------------------------------------------------


def _raw_quotes():
    """(strike, right) -> {minute (UTC ns): (ltp, bid, ask)} of the front expiry; the last snapshot of a minute counts.

    The file's prices are four-byte floats; to the paisa they are what the exchange showed.
    """
    rows = pq.read_table(NSE_FILE, filters=[("expiry", "=", dt.date(2025, 9, 2))]).to_pylist()
    quotes = defaultdict(dict)
    for row in rows:
        stamp = row["ts"].replace(second=0, tzinfo=IST)
        figures = tuple(round(row[name], 2) for name in ("ltp", "bid", "ask"))
        quotes[row["strike"], row["right"]][round(stamp.timestamp()) * 1_000_000_000] = figures
    return quotes


def _paise_up(rupees):
    """Up to the next five paise, in paise."""
    return -(-round(rupees * 1000) // 50) * 5


def _paise_down(rupees):
    return round(rupees * 1000) // 50 * 5


def _bought(quote):
    """The last price, half the spread and one tick worse, up to the grid; paise."""
    last, bid, ask = quote
    return _paise_up(last + (ask - bid) / 2 + 0.05)


def _sold(quote, limit=float("inf")):
    last, bid, ask = quote
    return _paise_down(min(last, limit) - (ask - bid) / 2 - 0.05)


def _per_crore(paise, rupees_a_crore):
    """A fee quoted in rupees a crore of turnover, to the paisa, half a paisa up."""
    return (2 * paise * rupees_a_crore + 10_000_000) // 20_000_000


def _charges(side, paise):
    """NSE index options in August 2025, one order, turnover in paise."""
    brokerage = 2_000
    transaction = _per_crore(paise, 3_503)  # 0.03503 %
    ipft = _per_crore(paise, 50)
    sebi = _per_crore(paise, 10)
    gst = ((brokerage + transaction + ipft + sebi) * 18 + 50) // 100
    tax = _per_crore(paise, 300) if side == "BUY" else _per_crore(paise, 10_000)  # stamp 0.003 %, STT 0.1 %
    return brokerage + transaction + ipft + sebi + gst + tax


def _first(quotes, minute):
    """The first snapshot of this minute or later."""
    return min(m for m in quotes if m >= minute)


def _exit_expected(trade, quotes, entered, entry_paise):
    """(paise, when) at which the raw quotes say the trade is left, given why."""
    reason = trade.exit_reason
    if reason in {"STOP", "BREAK_EVEN"}:
        stop = entry_paise / 100 if reason == "BREAK_EVEN" else trade.entry_price - trade.initial_risk
        if reason == "STOP" and trade.initial_risk == 0:  # the premium opened beyond its stop: it goes within the bar
            return _sold(quotes[entered]), entered + MINUTE
        if reason == "BREAK_EVEN":
            minute = trade.exit_ts  # when the stop was moved is the engine's word; that the price had come is checked
            assert quotes[minute][0] <= stop
        else:
            minute = min(m for m in quotes if m > entered and quotes[m][0] <= stop + 1e-9)
        return _sold(quotes[minute]), minute
    if reason == "TARGET":
        # Either the limit waited, or the premium opened beyond it: then it goes within the bar, at what is bid.
        minute = trade.exit_ts if trade.exit_ts in quotes and trade.exit_ts > entered else trade.exit_ts - MINUTE
        last, bid, ask = quotes[minute]
        return _paise_down(last - (ask - bid) / 2), trade.exit_ts
    if reason == "TIME_STOP":
        minute = _first(quotes, entered + 30 * MINUTE)
    elif reason == "SQUARE_OFF":
        minute = _first(quotes, ist(NSE_DAY, "15:15"))
    else:
        minute = trade.exit_ts
    return _sold(quotes[minute]), minute


def test_a_days_profit_trade_by_trade_from_the_raw_file(real):
    """Entry, exit, gross, charges and net of every trade that was filled at once, to the paisa.

    The account's limits are off, so that there are many. What the test knows of the run is when a strategy spoke,
    which contract was chosen, how many units, and why the trade ended; every price comes from the file.
    """
    off = Config()
    risk = {name: 0 for name in off.risk.__struct_fields__ if name not in {"first_entry", "last_entry", "price_band"}}
    config = _replaced(off, "risk", **risk, price_band=0.5)
    record = played(real, "NIFTY", NSE_DAY, config=config)
    quotes = _raw_quotes()
    fills = Counter(fill.order_id.rpartition("-")[0] for fill in record.fills)
    whole = [trade for trade in record.trades if fills[trade.intent_id] == 2]
    assert len(whole) > 30
    assert len(whole) > 0.8 * len(record.trades)
    reasons = Counter()
    for trade in whole:
        parts = parse_id(trade.instrument)
        own = quotes[parts.strike, parts.right.value]
        said = int(trade.intent_id.rpartition("/")[2].removesuffix("-p")) * 1_000_000_000
        entered = _first(own, said)
        assert entered == trade.entry_ts
        entry = _bought(own[entered])
        assert round(trade.entry_price * 100) == entry, trade
        left, minute = _exit_expected(trade, own, entered, entry)
        assert (round(trade.exit_price * 100), trade.exit_ts) == (left, minute), trade
        assert trade.gross_paise == (left - entry) * trade.quantity
        charges = _charges("BUY", entry * trade.quantity) + _charges("SELL", left * trade.quantity)
        assert trade.charges_paise == charges
        assert trade.net_paise == trade.gross_paise - charges
        reasons[trade.exit_reason.value] += 1
    assert {"STOP", "TIME_STOP"} <= reasons.keys()
    print(f"\n{len(whole)} of {len(record.trades)} trades reproduced: {dict(reasons)}")


# -- ticks to bars ----------------------------------------------------------------------------------------------------


class _Listener(Actor):
    """Keeps the bars of some instruments."""

    def __init__(self, instruments, kept):
        super().__init__()
        self._kept = kept
        for name in instruments:
            self.subscribe(Bar, name)

    @handles(Bar)
    def on_bar(self, message):
        self._kept[message.instrument, message.start] = message


def test_bars_inside_a_tick_run_are_the_brokers_own(real):
    """Tick feed, clock and bar actors together build what the bar builder alone is held to (tests/market).

    Here a minute is closed after the ticks of its grace's last instant, there before them: a handful of minutes more
    count as clean, and the share of equal opens is 0.7086 instead of 0.7105.
    """
    columns = real.load_ticks("BANKNIFTY", TICK_DAY)
    bars, settings = {}, BarSettings(hole_s=5.0)
    runtime = SimRuntime(strict=True)
    runtime.spawn(TickFeedActor, "feed", lambda _: [columns])
    for name in columns.instruments:
        runtime.spawn(BarActor, f"bar/{name}", name, BarBuilder(name, settings=settings), (name,))
    runtime.spawn(_Listener, "listener", columns.instruments, bars)
    runtime.clock.follow([Session(TICK_DAY, ist(TICK_DAY, "09:15"), ist(TICK_DAY, "15:30"))], 1_000_000_000)
    runtime.run()
    runtime.close()
    assert not len(runtime.dead_letters)
    hits, clean = Counter(), 0
    for row in pq.read_table(DATA / "options_1m_BANKNIFTY_2025-12-15.parquet").to_pylist():
        name = next(
            n for n in columns.instruments
            if parse_id(n).strike == row["strike"] and parse_id(n).right is Right(row["right"])
        )  # fmt: skip
        bar = bars.get((name, round(row["ts"].replace(tzinfo=IST).timestamp()) * 1_000_000_000))
        if bar is None or not bar.complete:
            continue
        clean += 1
        hits["volume"] += bar.volume == row["volume"]
        for field in ("open", "high", "low", "close"):
            hits[field] += abs(getattr(bar, field) - row[field]) < 0.026
    rates = {field: hits[field] / clean for field in hits}
    print(f"\nclean minutes {clean}: {rates}")
    # The recording begins at 09:31: what traded before it is in no bar, though the feed tells the day's total.
    assert max(bar.volume for (_, start), bar in bars.items() if start < ist(TICK_DAY, "09:35")) < 30_000
    assert clean > 1850
    floors = {"open": 0.708, "high": 0.84, "low": 0.81, "close": 0.96, "volume": 0.93}
    assert {field: rates[field] for field in floors if rates[field] < floors[field]} == {}


# -- what is exported -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def raw_minutes():
    """{minute (naive IST): {(strike, right): row}} of the front expiry."""
    found = defaultdict(dict)
    for row in pq.read_table(NSE_FILE, filters=[("expiry", "=", dt.date(2025, 9, 2))]).to_pylist():
        found[row["ts"].replace(second=0)][row["strike"], row["right"]] = row
    return found


def _exported(real_home, tmp_path, what):
    out = tmp_path / f"{what}.parquet"
    done = command("export", "--what", what, "--symbol", "NIFTY", "--from-date", NSE_DAY, "--out", out, home=real_home)
    assert (done.returncode, done.stderr) == (0, "")
    rows = pq.read_table(out).to_pylist()
    assert done.stdout == f"{out}: {len(rows)} rows\n"
    for row in rows:  # a snapshot is stamped with the end of its minute
        row["minute"] = dt.datetime.fromisoformat(row["time"]) - dt.timedelta(minutes=1)
    return rows


def test_exported_snapshots_agree_with_loops_over_the_raw_rows(real_home, tmp_path, raw_minutes):
    rows = _exported(real_home, tmp_path, "snapshots")
    assert [row["minute"] for row in rows] == sorted(raw_minutes)
    for row in rows[::20]:
        chain = raw_minutes[row["minute"]]
        total = {right: sum(r["oi"] for (_, own), r in chain.items() if own == right) for right in ("CE", "PE")}
        assert row["ce_oi"] == total["CE"] * 75
        assert row["pcr"] == pytest.approx(total["PE"] / total["CE"], rel=1e-12)
        strikes = sorted({strike for strike, _ in chain})
        pain = {
            settled: sum(
                r["oi"] * max(settled - strike if right == "CE" else strike - settled, 0)
                for (strike, right), r in chain.items()
            )
            for settled in strikes
        }
        assert pain[row["max_pain"]] == min(pain.values())


def test_exported_volatilities_agree_with_the_exchanges(real_home, tmp_path, raw_minutes):
    """Ours is on the forward in calendar minutes, the exchange's on spot in whole days: near the money, near."""
    rows = _exported(real_home, tmp_path, "strikes")
    away = []
    for row in rows:
        theirs = raw_minutes[row["minute"]].get((row["strike"], row["right"]))
        if theirs and theirs["iv"] and row["iv"] and abs(row["strike"] - 24_550) <= 300:
            away.append(abs(100 * row["iv"] - theirs["iv"]))
    assert len(away) > 5_000
    assert np.median(away) < 0.5
    assert np.percentile(away, 95) < 1.5


def test_side_is_always_a_purchase_of_options(minutes, five_minutes, ticks):
    """Premium is bought, never written, unless a strategy has legs."""
    assert {trade.side for run in (minutes, five_minutes, ticks) for trade in run.trades} == {Side.BUY}
