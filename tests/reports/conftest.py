"""A small run with a bit of everything, for the tests of what is written about it."""

import datetime as dt
import math

import pytest

from sos_actors.market.day import DataQuality
from sos_actors.messages import (
    AccountMarked,
    ActorBenched,
    ActorFailed,
    Direction,
    ExitReason,
    Fill,
    RefusalReason,
    Refused,
    Regime,
    Side,
    Signal,
    TradeClosed,
)
from sos_actors.reports.figures import Session
from sos_actors.reports.run import DayQuality, RunRecord

IST = dt.timezone(dt.timedelta(hours=5, minutes=30))
DAYS = (dt.date(2025, 9, 2), dt.date(2025, 9, 3))


def at(day: dt.date, hour: int, minute: int = 0) -> int:
    return int(dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=IST).timestamp()) * 1_000_000_000


def _trade(number, day, entry, leave, *, strategy, gross, reason, **changes):
    fields = {
        "trade_id": f"T{number}",
        "intent_id": f"I{number}",
        "strategy": strategy,
        "underlying": "NIFTY",
        "instrument": "NSE|OPT|NIFTY|2025-09-02|24500|CE",
        "direction": Direction.LONG,
        "side": Side.BUY,
        "quantity": 1500,
        "entry_ts": at(day, *entry),
        "exit_ts": at(day, *leave),
        "entry_price": 112.35,
        "exit_price": 112.35 + gross / 150_000,
        "gross_paise": gross,
        "charges_paise": 21_437,
        "net_paise": gross - 21_437,
        "exit_reason": reason,
        "regime": Regime.BULLISH,
        "initial_risk": 12.5,
        "mae": 3.15,
        "mfe": 18.4,
    }
    return TradeClosed(**(fields | changes))


def _record() -> RunRecord:
    put = "NSE|OPT|NIFTY|2025-09-02|24450|PE"
    trades = (
        _trade(1, DAYS[0], (9, 31), (9, 44), strategy="vwap_ema_gate_long", gross=12_345_670, reason=ExitReason.TARGET),
        _trade(
            2,
            DAYS[0],
            (10, 2),
            (10, 32),
            strategy="round_level_rejection_short",
            gross=-1_875_000,
            reason=ExitReason.STOP,
            instrument=put,
            direction=Direction.SHORT,
            regime=Regime.BEARISH,
        ),
        _trade(
            3,
            DAYS[1],
            (14, 20),
            (15, 15),
            strategy="vwap_ema_gate_long",
            gross=-31_125,
            reason=ExitReason.SQUARE_OFF,
            initial_risk=math.nan,
        ),
    )
    start, day1 = 100_000_000, 100_000_000 + trades[0].net_paise + trades[1].net_paise
    refused = [RefusalReason.REGIME] * 12 + [RefusalReason.COOLDOWN] * 3
    return RunRecord(
        run_hash="5f2c9a0d1e7b4c38",
        config_hash="91ab77",
        code_version="0.1.0+g7b72f26",
        seed=7,
        source="simulated",
        symbols=("NIFTY",),
        from_date=DAYS[0],
        to_date=DAYS[1],
        strategies=("vwap_ema_gate_long", "round_level_rejection_short"),
        starting_equity_paise=start,
        sessions=tuple(Session(day, at(day, 9, 15), at(day, 15, 30)) for day in DAYS),
        trades=trades,
        refusals=[
            Refused(at(DAYS[0], 10, n), "bigdog_breakout_long", "NIFTY", why, "") for n, why in enumerate(refused)
        ],
        signals=[
            Signal(
                f"S{n}",
                "vwap_ema_gate_long",
                "NIFTY",
                at(DAYS[0], 9, 30),
                Direction.LONG,
                24500.0,
                24480.0,
                24540.0,
                Regime.BULLISH,
                1.5,
                "ATM_CALL",
            )
            for n in range(18)
        ],
        marks=[
            AccountMarked(at(DAYS[0], 9, 44), start + trades[0].net_paise, start + trades[0].net_paise, 0),
            AccountMarked(at(DAYS[0], 15, 30), day1, day1, 0),
            AccountMarked(at(DAYS[1], 15, 30), day1 + trades[2].net_paise, day1 + trades[2].net_paise, 0),
        ],
        fills=[Fill(f"F{n}", f"O{n}", at(DAYS[0], 9, 31), put, Side.BUY, 75, 112.35) for n in range(6)],
        failed=[
            ActorFailed(
                "strategy/NIFTY/brf_short",
                at(DAYS[0], 11, 5),
                "Studies",
                "ZeroDivisionError: [x]",
                "Traceback: /somewhere/file.py",
            )
        ],
        benched=[ActorBenched("strategy/NIFTY/brf_short", at(DAYS[0], 11, 6), "3 failures in 60 s")],
        quality=[
            DayQuality(
                underlying="NIFTY",
                day=DAYS[1],
                source="simulated",
                simulated=True,
                quality=DataQuality(rows=123_456),
            ),
            DayQuality(
                underlying="NIFTY",
                day=DAYS[0],
                source="simulated",
                simulated=True,
                quality=DataQuality(
                    rows=120_000,
                    rejected={"crossed": 4, "below_zero": 2},
                    snapped=17,
                    holes=((at(DAYS[0], 11), at(DAYS[0], 11, 3)), (at(DAYS[0], 13, 7), at(DAYS[0], 13, 8))),
                    notes=("no open interest before 09:20",),
                ),
            ),
        ],
        assumptions={
            "fills": "Market orders fill at the next price after the decision, half the spread and one tick worse, "
            "at most a tenth of the minute's volume.",
            "charges": "Brokerage, STT, exchange, SEBI, stamp duty and GST as in force on the day of the trade.",
        },
        timings={"load": 0.0123456789, "run": 0.44},
    )


@pytest.fixture
def record() -> RunRecord:
    return _record()
