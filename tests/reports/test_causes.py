"""The chain that led to an order, found in a record that is only ever gone through."""

from dataclasses import replace

import pytest

from sos_actors.errors import InputError
from sos_actors.messages import (
    Bar,
    Direction,
    Fill,
    MinuteClosed,
    OrderIntent,
    OrderRole,
    OrderStatus,
    OrderType,
    OrderUpdate,
    Regime,
    Side,
    Signal,
    SignalExplained,
    SubmitOrder,
    Tick,
    TradePlan,
)
from sos_actors.messages.codec import packed
from sos_actors.reports import causes
from sos_actors.reports.causes import PhaseStep, why
from sos_actors.runtime.journal.deliveries import Delivery
from sos_actors.runtime.worker import OUTSIDE, TIMER

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
STRATEGY = "strategy/NIFTY/s"


class Record:
    """A record that grows by one delivery a second."""

    def __init__(self):
        self.rows = []

    def add(self, path, message, cause=OUTSIDE, body=None, kind=""):
        serial = len(self.rows)
        name = kind or type(message).__name__
        self.rows.append(Delivery(serial, "core", path, serial * SECOND, cause, name, body or packed(message)))
        return serial

    def studies(self, ts, cause):
        return self.add(STRATEGY, None, cause, packed(("Studies", "NIFTY", 60, ts)), "Studies")


def session(between=0):
    """Two bars pass the two phases of a strategy; its order is filled, another one goes nowhere.

    `between` deliveries of others lie between the intent and the order.
    """
    record = Record()
    add = record.add
    for n in (1, 2):
        add("bar/X", Tick("X", n, n, 100.0 + n))
        add("bar/Y", Tick("Y", n, n, 1.0))
        closed = add("bar/X", MinuteClosed(n * MINUTE), add("clock", MinuteClosed(n * MINUTE), TIMER))
        add("bar/X", Tick("X", n, n, 900.0))  # after the close, so not of this bar
        bar = add("study/NIFTY", Bar("X", 0, n * MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0), closed)
        decided = record.studies(n * MINUTE, bar)
        record.studies(n * MINUTE, bar)
    phases = tuple((f"P{n}", n * MINUTE, (("close > 0", (("close", float(n)),)),), (("low", 0.5),)) for n in (1, 2))
    for name in ("s", "other"):
        ids = f"{name}/NIFTY/2"
        signal = Signal(ids, name, "NIFTY", 2 * MINUTE, Direction.LONG, 1.0, 0.5, 2.0, Regime.UNKNOWN, 1.0, "ATM")
        at = add("selector/NIFTY", signal, decided + 1)
        add("recorder", signal, decided + 1)
        add("recorder", SignalExplained(ids, name, "NIFTY", 2 * MINUTE, phases), decided + 1)
        plan = TradePlan(
            ids + "-p", ids, name, "NIFTY", 2 * MINUTE, Direction.LONG, "C", Side.BUY, 65, 65, 9.0, 8.0, 12.0
        )
        intent = add("orders", OrderIntent(ids + "-p", 3, plan), add("risk", plan, at))
        for _ in range(between):
            add("bar/Y", Tick("Y", 3, 3, 1.0))
        order = SubmitOrder(ids + "-p-e", ids + "-p", 3, "C", Side.BUY, 65, OrderType.MARKET, OrderRole.ENTRY)
        sent = add("broker", order, intent)
        add("recorder", order, intent)
    ids = "s/NIFTY/2-p-e"
    add("orders", OrderUpdate(ids, 4, OrderStatus.OPEN), add("broker", Tick("C", 5, 5, 9.0), sent))
    add("orders", Fill("f", ids, 5, "C", Side.BUY, 65, 9.5))
    add("orders", Fill("g", "other/NIFTY/2-p-e", 5, "C", Side.BUY, 65, 9.5))
    return record.rows


WHOLE = ["Tick", "MinuteClosed", "MinuteClosed", "Bar", "Studies", "P2", "Signal", "TradePlan", "OrderIntent",
         "SubmitOrder", "OrderUpdate", "Fill"]  # fmt: skip


def names(steps):
    return [step.phase if isinstance(step, PhaseStep) else step.kind for step in steps]


def test_the_whole_chain_and_no_other():
    steps = why(session(), "s/NIFTY/2-p-e")
    assert names(steps) == ["P1", *WHOLE]
    assert [step.serial for step in steps] == sorted(step.serial for step in steps)
    tick = steps[1]
    assert (tick.values["instrument"], tick.values["price"]) == ("X", 102.0), "the bar's last, not the one after it"
    first, second = (step for step in steps if isinstance(step, PhaseStep))
    assert (first.number, first.of, first.ts, first.conditions) == (1, 2, MINUTE, (("close > 0", {"close": 1.0}),))
    assert (second.path, second.captured, second.now) == (STRATEGY, {"low": 0.5}, second.serial * SECOND)
    by_kind = {step.kind: step for step in steps if not isinstance(step, PhaseStep)}
    assert (by_kind["OrderUpdate"].sender, by_kind["Fill"].sender) == ("broker", "outside")
    assert by_kind["Fill"].values["fill_id"] == "f"


@pytest.mark.parametrize("window", [1, 2, 7])
def test_a_cause_far_back_is_found_too(monkeypatch, window):
    rows = session(between=30)
    near = why(rows, "s/NIFTY/2-p-e")
    monkeypatch.setattr(causes, "WINDOW", window)
    assert repr(why(rows, "s/NIFTY/2-p-e")) == repr(near)  # NaN is not equal to itself
    assert names(near) == ["P1", *WHOLE]


def test_a_phase_from_before_the_record_is_told_without_a_place():
    rows = session()
    bar = packed(Bar("X", 0, 1, 1.0, 1.0, 1.0, 1.0, 1.0))
    changed = [replace(one, kind="Bar", body=bar) if one.kind == "Studies" and one.serial < 8 else one for one in rows]
    first = why(changed, "s/NIFTY/2-p-e")[0]
    assert (first.phase, first.serial, first.now, first.ts) == ("P1", -1, 0, MINUTE)


def test_an_order_nobody_decided_is_told_as_far_as_it_goes():
    record = Record()
    order = SubmitOrder("x", "nothing", 3, "C", Side.SELL, 65, OrderType.MARKET, OrderRole.EXIT)
    record.add("broker", order, record.add("orders", MinuteClosed(1)))
    assert names(why(record.rows, "x")) == ["MinuteClosed", "SubmitOrder"]


def test_an_unknown_order_is_an_error_that_names_the_last():
    said = r"no order 'z' in this session; the last are s/NIFTY/2-p-e, other/NIFTY/2-p-e$"
    with pytest.raises(InputError, match=said):
        why(session(), "z")
    with pytest.raises(InputError, match=r"the last are none$"):
        why([], "z")
