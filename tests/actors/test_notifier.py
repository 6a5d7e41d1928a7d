"""What a person hears: one line an event, and nothing twice."""

import datetime as dt

from sos_actors.actors.notifier import NotifierActor
from sos_actors.messages import (
    AccountDiffered,
    ActorBenched,
    AlertLevel,
    AlertRaised,
    ClockStepped,
    Direction,
    ExitReason,
    FeedStatus,
    Fill,
    OrderStreamChanged,
    Phase,
    RefusalReason,
    Refused,
    Regime,
    SessionPhase,
    SetTradingState,
    Side,
    TradeClosed,
    TradingState,
)
from sos_actors.runtime import SimRuntime


def said(*messages):
    events = []
    runtime = SimRuntime(strict=True)
    runtime.spawn(NotifierActor, "notifier", events.append)
    for message in messages:
        runtime.publish(message)
    runtime.drain()
    runtime.publish_snapshots()
    kept = runtime.snapshots["notifier"]["events"]
    assert [line["what"] for line in kept] == [event.text for event in reversed(events)]
    return [(event.level, event.who, event.text) for event in events]


INFO, WARNING, CRITICAL = AlertLevel.INFO, AlertLevel.WARNING, AlertLevel.CRITICAL


def test_the_feed_is_told_when_it_changes_and_not_that_it_still_is():
    statuses = [FeedStatus("NIFTY", n, live) for n, live in enumerate([False, True, True, False, False, True])]
    assert [text.rpartition(" ")[2] for _, _, text in said(*statuses)] == ["live", "stale", "live"]
    stale = FeedStatus("NIFTY", 2, False, "no tick for 10 s")
    assert said(FeedStatus("NIFTY", 1, True), stale) == [(WARNING, "NIFTY", "no tick for 10 s")]


def test_alerts_pass_with_their_level():
    alert = AlertRaised(1, CRITICAL, "broker", "an order nobody knows")
    assert said(alert) == [(CRITICAL, "broker", "an order nobody knows")]


def test_every_difference_is_a_line_and_so_is_its_end():
    lines = said(AccountDiffered(1, ("X: ours 65, theirs 0", "Y: ours 0, theirs 75")), AccountDiffered(2, ()))
    assert lines == [
        (CRITICAL, "account", "differs from the broker: X: ours 65, theirs 0"),
        (CRITICAL, "account", "differs from the broker: Y: ours 0, theirs 75"),
        (INFO, "account", "agrees with the broker again"),
    ]


def test_a_start_that_finds_nothing_wrong_is_no_alarm():
    unread = "start-up: the broker's books have not been read yet"
    assert said(AccountDiffered(1, (unread,), starting=True), AccountDiffered(2, ())) == [
        (INFO, "account", "agrees with the broker"),
    ]
    found = AccountDiffered(2, (unread, "X: ours 65, theirs 0"), starting=True)
    assert [level for level, _, _ in said(AccountDiffered(1, (unread,), starting=True), found)] == [CRITICAL]


def test_a_refusal_is_told_once_a_day_for_each_reason_and_counted_at_its_end():
    day, spread = dt.date(2026, 11, 20), RefusalReason.SPREAD_TOO_WIDE

    def refused(ts, strategy="bounce", reason=spread):
        return Refused(ts, strategy, "NIFTY", reason, "detail")

    first = SessionPhase(1, day, Phase.PRE_OPEN)
    others = refused(3, "gap"), refused(4, reason=RefusalReason.COOLDOWN)
    lines = said(
        first, refused(2), refused(2), *others, refused(5), SessionPhase(6, day, Phase.CLOSED), first, refused(7)
    )
    told = "NIFTY not entered: SPREAD_TOO_WIDE: detail"
    assert [(who, text) for _, who, text in lines if who in {"bounce", "gap", "day"}] == [
        ("bounce", told),
        ("gap", told),
        ("bounce", "NIFTY not entered: COOLDOWN: detail"),
        ("day", "2026-11-20: 0 trades, 0 won, net 0.00 rupees; 5 signals refused"),
        ("bounce", told),
    ]


def test_what_trades_came_to_is_written_as_money_is_here():
    day, nan = dt.date(2026, 11, 20), float("nan")
    closed = TradeClosed(
        "t", "t", "bounce", "NIFTY", "X", Direction.LONG, Side.BUY, 65, 1, 2, 100.0, 90.0, -12_300_000, 45_670,
        -12_345_670, ExitReason.STOP, Regime.SIDEWAYS, nan, 0.0, 0.0,
    )  # fmt: skip
    lines = said(SessionPhase(1, day, Phase.PRE_OPEN), closed, SessionPhase(3, day, Phase.CLOSED))
    assert [text for _, who, text in lines if who in {"bounce", "day"}] == [
        "X closed by STOP: net -1,23,456.70 rupees",
        "2026-11-20: 1 trades, 0 won, net -1,23,456.70 rupees",
    ]


def test_the_rest_of_what_happens():
    day = dt.date(2026, 11, 20)
    lines = said(
        SessionPhase(1, day, Phase.PRE_OPEN),
        SessionPhase(2, day, Phase.OPEN),
        Fill("f", "bounce/NIFTY/7-p-e", 3, "X", Side.BUY, 65, 101.5),
        ActorBenched("strategy/NIFTY/x", 4, "failed four times"),
        OrderStreamChanged(5, False),
        SetTradingState(TradingState.HALTED, "kill switch"),
        SetTradingState(TradingState.REDUCING, "paused", "x", "NIFTY"),
        ClockStepped(6, -1_500_000_000, False),
    )
    assert lines == [
        (INFO, "session", "2026-11-20 OPEN"),
        (INFO, "fill", "BUY 65 X at 101.50, bounce/NIFTY/7-p-e"),
        (CRITICAL, "strategy/NIFTY/x", "taken out: failed four times"),
        (WARNING, "order stream", "lost"),
        (WARNING, "account", "HALTED: kill switch"),
        (WARNING, "x NIFTY", "REDUCING: paused"),
        (WARNING, "system clock", "was set by -1.500 s; ours did not go back"),
    ]
