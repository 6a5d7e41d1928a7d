"""What the risk actor orders closed: of whom, where, and again after a start that finds a halt."""

import datetime as dt

from actor_helpers import Ear

from sos_actors.actors.order import OrderActor
from sos_actors.actors.risk import RiskActor
from sos_actors.messages import (
    AccountMarked,
    ActorBenched,
    Direction,
    Fill,
    Flatten,
    OrderIntent,
    Phase,
    SessionPhase,
    SetTradingState,
    Side,
    TradePlan,
    TradingState,
)
from sos_actors.runtime import SimRuntime
from sos_actors.trading.desk import OrderDesk
from sos_actors.trading.desk_settings import DeskSettings
from sos_actors.trading.ledger import Ledger
from sos_actors.trading.limits import RiskBook
from sos_actors.trading.risk_settings import RiskSettings

CALL = "NSE|OPT|NIFTY|2026-12-01|24500|CE"


def intent(name, instrument=CALL):
    plan = TradePlan(
        plan_id=name, signal_id=name, strategy="gate", underlying=instrument.split("|")[2], ts=0,
        direction=Direction.LONG, instrument=instrument, side=Side.BUY, quantity=75, lot_size=75, entry=100.0,
        stop=90.0, target=120.0,
    )  # fmt: skip
    return OrderIntent(name, 0, plan)


def restarted(change, day=dt.date(2026, 11, 25)):
    """Give what a risk actor orders closed that starts in mid-session with a book as `change` left it."""
    book, heard = RiskBook(RiskSettings()), []
    book.on_intent(intent("i"))
    change(book)
    book.day = dt.date(2026, 11, 25)
    again = RiskBook(RiskSettings())
    again.take_up(book.state())
    runtime = SimRuntime(strict=True)
    runtime.spawn(RiskActor, "risk", again, ("NIFTY",))
    runtime.spawn(Ear, "ear", heard, (Flatten, ""))
    for phase in (Phase.PRE_OPEN, Phase.OPEN):
        runtime.tell("risk", SessionPhase(0, day, phase))
    runtime.run()
    return [(one.strategy, one.underlying) for one in heard]


def halted(book):
    book.on_state(SetTradingState(TradingState.HALTED, "kill switch"))


def lost(book):
    book.start_equity_paise = 100
    assert book.on_mark(AccountMarked(1, 0, 1, 1))


def benched(book):
    book.on_state(SetTradingState(TradingState.REDUCING, "it failed", "gate", "NIFTY"))


def paused(book):
    for strategy, underlying in (("", ""), ("gate", ""), ("", "NIFTY")):
        book.on_state(SetTradingState(TradingState.REDUCING, "by the operator", strategy, underlying))


def test_a_close_that_the_end_of_the_process_cut_off_is_ordered_again():
    assert restarted(halted) == [("", "")]
    assert restarted(lost) == [("", "")]
    assert restarted(benched) == [("gate", "NIFTY")]


def test_nothing_is_closed_for_a_pause_for_yesterdays_loss_or_where_nothing_is_held():
    assert restarted(paused) == []
    assert restarted(lost, day=dt.date(2026, 11, 26)) == []
    assert restarted(lambda book: (halted(book), book.on_intent_end("i"))) == []


def test_a_benched_strategy_keeps_its_positions_on_other_underlyings():
    desk = OrderDesk(DeskSettings(), Ledger(10**9))
    runtime = SimRuntime(strict=True)
    runtime.spawn(RiskActor, "risk", RiskBook(RiskSettings()), ("NIFTY", "SENSEX"))
    runtime.spawn(OrderActor, "orders", desk)
    for name, instrument in (("n", CALL), ("s", "BSE|OPT|SENSEX|2026-12-03|80000|CE")):
        desk.on_intent(intent(name, instrument))
        desk.on_fill(Fill(f"f{name}", f"{name}-e", 0, instrument, Side.BUY, 75, 100.0))
    runtime.publish(ActorBenched("strategy/NIFTY/gate", 1, "it failed"))
    runtime.run()
    assert [name for name, trade in desk.flow.live.items() if trade.reason is not None] == ["n"]
