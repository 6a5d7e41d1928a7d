"""What the risk actor tells an observer of what was refused, by itself and by others."""

import datetime as dt

from sos_actors.actors.risk import RiskActor
from sos_actors.config import Config
from sos_actors.messages import Phase, RefusalReason, Refused, SessionPhase
from sos_actors.runtime.live import LiveRuntime
from sos_actors.trading.limits import RiskBook
from sos_actors.trading.risk_settings import RiskSettings


def test_no_session_is_shown_as_open_until_one_is_told_of():
    runtime = LiveRuntime(Config().runtime)
    try:
        runtime.spawn(RiskActor, "risk", RiskBook(RiskSettings()), ("NIFTY",))
        runtime.settle(20.0)
        before = runtime.snapshot("risk", 20.0)
        runtime.tell("risk", SessionPhase(0, dt.date(2026, 11, 25), Phase.OPEN))
        runtime.settle(20.0)
        after = runtime.snapshot("risk", 20.0)
    finally:
        runtime.close()
    assert (before["phase"], after["phase"]) == ("CLOSED", "OPEN")


def test_what_was_refused_is_counted_by_underlying_and_reason():
    runtime = LiveRuntime(Config().runtime)
    try:
        runtime.spawn(RiskActor, "risk", RiskBook(RiskSettings()), ("NIFTY", "SENSEX"))
        for ts, underlying, reason in (
            (1, "SENSEX", RefusalReason.ORDER_RATE),
            (2, "SENSEX", RefusalReason.ORDER_RATE),
            (3, "SENSEX", RefusalReason.NO_PRICE),
            (4, "NIFTY", RefusalReason.ORDER_RATE),
        ):
            runtime.publish(Refused(ts, "s", underlying, reason, f"detail {ts}", f"signal {ts}"))
        runtime.settle(20.0)
        told = runtime.snapshot("risk", 20.0)
    finally:
        runtime.close()
    assert told["refusals"] == {"SENSEX": {"ORDER_RATE": 2, "NO_PRICE": 1}, "NIFTY": {"ORDER_RATE": 1}}
    assert told["last_refusals"] == {"SENSEX": "s: NO_PRICE: detail 3", "NIFTY": "s: ORDER_RATE: detail 4"}
