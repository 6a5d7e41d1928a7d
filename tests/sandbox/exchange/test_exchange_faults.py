"""Each fault does what it says, at its point, as often as it was asked to, and the books stay in order."""

import msgspec
import numpy as np
import pytest
from exchange_helpers import MS, Venue, with_settings

from sos_actors.errors import InputError
from sos_actors.sandbox.exchange import FAULTS, AnswerKind, Chance, EventKind, FaultMenu
from sos_actors.sandbox.exchange.faults import FaultDice

SURE = Chance(probability=1.0)


@pytest.fixture
def armed(venue):
    def arm(*names):
        for name in names:
            venue.exchange.faults.arm(name)
        return venue

    return arm


# --- the dice ------------------------------------------------------------------------------------------------


def test_counts_come_before_probability():
    dice = FaultDice(FaultMenu(halt=Chance(count=2)), np.random.default_rng(1))
    assert [dice.hit("halt") for _ in range(4)] == [True, True, False, False]
    assert dice.struck == {"halt": 2}


def test_probability():
    dice = FaultDice(FaultMenu(halt=Chance(probability=0.25)), np.random.default_rng(1))
    hits = sum(dice.hit("halt") for _ in range(4000))
    assert 900 < hits < 1100


def test_what_is_not_armed_draws_nothing():
    rng = np.random.default_rng(1)
    dice = FaultDice(FaultMenu(), rng)
    for name in FAULTS:
        assert not dice.hit(name)
    assert rng.random() == np.random.default_rng(1).random()


def test_another_menu_keeps_the_counts_it_does_not_change():
    dice = FaultDice(FaultMenu(halt=Chance(count=2)), np.random.default_rng(1))
    dice.arm("too_many")
    assert dice.hit("halt")
    dice.set(FaultMenu(halt=Chance(count=2), restart=Chance(count=1)))
    assert [dice.hit("halt") for _ in range(2)] == [True, False]
    assert [dice.hit("restart") for _ in range(2)] == [True, False]
    assert dice.hit("too_many")
    dice.set(FaultMenu(halt=Chance(count=1)))
    assert [dice.hit("halt") for _ in range(2)] == [True, False]


def test_the_empty_menu_ends_everything():
    dice = FaultDice(FaultMenu(halt=Chance(count=5)), np.random.default_rng(1))
    dice.arm("too_many", 3)
    dice.set(FaultMenu())
    assert not dice.hit("halt")
    assert not dice.hit("too_many")


def test_unknown_fault():
    with pytest.raises(InputError, match="known are"):
        FaultDice(FaultMenu(), np.random.default_rng(1)).arm("nothing")


@pytest.mark.parametrize("fields", [{"probability": 1.1}, {"probability": -0.1}, {"count": -1}])
def test_bad_chance(fields):
    with pytest.raises(ValueError, match="probability"):
        Chance(**fields)


def test_menu_from_configuration():
    menu = msgspec.convert({"too_many": {"count": 3}, "halt": {"probability": 0.5}, "halt_s": 2.0}, FaultMenu)
    assert (menu.too_many.count, menu.halt.probability, menu.halt_s) == (3, 0.5, 2.0)
    with pytest.raises(ValueError, match="seconds"):
        FaultMenu(halt_s=-1)


def test_same_seed_same_storm():
    menu = FaultMenu(**{name: Chance(probability=0.2) for name in FAULTS if name != "restart"})

    def story(seed):
        venue = Venue(faults=menu, seed=seed)
        venue.quote()
        for number in range(30):
            venue.send(price=99.0 + number % 3, tag=str(number))
            venue.run(300)
            venue.quote(last=99.0, traded=130)
        return [(event.ts, event.kind, str(event.body)) for event in venue.events]

    assert story(5) == story(5)
    assert story(5) != story(6)


# --- requests ------------------------------------------------------------------------------------------------


def test_drop_before(armed):
    venue = armed("drop_before_accept")
    answer = venue.send()
    assert (answer.kind, answer.body) == (AnswerKind.DROP_BEFORE_ACCEPT, None)
    venue.run()
    assert venue.exchange.books.orders() == ()


def test_drop_after(armed):
    venue = armed("drop_after_accept")
    answer = venue.send(price=100.05)
    assert answer.kind is AnswerKind.DROP_AFTER_ACCEPT
    venue.run()
    assert [one.status for one in venue.exchange.books.orders("t1")] == ["complete"]


@pytest.mark.parametrize(
    ("name", "status", "code", "placed"),
    [
        ("reject_place", 400, "UDAPI100500", 0),
        ("too_many", 429, "UDAPI10005", 0),
        ("server_error", 500, "UDAPI100500", 0),
        ("bad_gateway", 502, "", 0),
        ("bad_gateway_after", 502, "", 1),
        ("forbidden", 403, "", 0),
    ],
)
def test_refusals_strike_once(armed, name, status, code, placed):
    venue = armed(name)
    answer = venue.send()
    assert (answer.status, answer.code) == (status, code)
    assert len(venue.exchange.books.orders()) == placed
    if not code:
        assert answer.kind is AnswerKind.TEXT
        assert answer.text.startswith("<!DOCTYPE html>")
    assert venue.send().ok
    assert venue.exchange.faults.struck == {name: 1}


def test_reject_place_with_a_code():
    venue = Venue(faults=FaultMenu(reject_place=SURE, reject_place_code="UDAPI1161", reject_place_status=423))
    assert (venue.send().status, venue.send().code) == (423, "UDAPI1161")


def test_slow_answer(armed):
    venue = armed("slow_answer")
    assert venue.send().delay_ns >= 3_000 * MS
    assert venue.send().delay_ns < 100 * MS


def test_faults_of_writes_leave_reads_alone(armed):
    venue = armed("drop_before_accept", "drop_after_accept", "bad_gateway_after")
    assert venue.exchange.order_book(venue.now).ok
    assert venue.exchange.faults.struck == {}


# --- an order's way ------------------------------------------------------------------------------------------


def test_slow_status(armed):
    venue = armed("slow_status")
    venue.send(price=99.0)
    venue.run(1900)
    assert [event.body["status"] for event in venue.events] == ["put order req received"]
    venue.run(1000)
    assert venue.events[-1].body["status"] == "open"


def test_fill_before_answer(armed):
    venue = armed("fill_before_answer")
    answer = venue.send(price=100.05)
    told = venue.run(100)
    done = next(event for event in told if event.body.get("status") == "complete")
    assert done.ts < venue.now + answer.delay_ns
    assert answer.delay_ns > 3000 * MS


def test_reject_risk(armed):
    venue = armed("reject_risk")
    assert venue.order(venue.place()).status == "rejected"
    assert venue.order(venue.place()).status == "open"


def test_reject_modify(armed):
    venue = armed("reject_modify")
    order = venue.place(price=99.0)
    assert venue.modify(order, price=98.0).ok
    venue.run()
    assert venue.words(order)[-2:] == ["not modified", "open"]
    assert venue.rows()[0]["price"] == 99.0


def test_cancel_loses(armed):
    venue = armed("cancel_loses")
    order = venue.place(price=99.0, quantity=130)
    assert venue.exchange.cancel(order, venue.now).ok
    venue.run()
    assert venue.words(order)[-3:] == ["cancel pending", "not cancelled", "complete"]
    assert venue.audited().net() != {}


def test_odd_fill(armed):
    venue = armed("odd_fill")
    order = venue.place(price=100.05, quantity=130)
    parts = [row["quantity"] for row in venue.exchange.trades(venue.now).body["data"]]
    assert len(parts) == 2
    assert sum(parts) == 130
    assert venue.order(order).status == "complete"
    venue.audited()


# --- the stream ----------------------------------------------------------------------------------------------


def test_lost_message(armed):
    venue = armed("lost_message")
    order = venue.place(price=99.0)
    assert venue.words(order) == ["validation pending", "open pending", "open"]


def test_duplicate_message(armed):
    venue = armed("duplicate_message")
    order = venue.place(price=99.0)
    assert sorted(venue.words(order)) == sorted(
        ["put order req received"] * 2 + ["validation pending", "open pending", "open"]
    )


def test_late_message_holds_back_those_after_it(armed):
    venue = armed("late_message")
    order = venue.place(price=99.0)
    assert venue.words(order) == []
    venue.run(2000)
    assert venue.words(order)[-1] == "open"


def test_swapped_message(armed):
    venue = armed("swapped_message")
    order = venue.place(price=99.0)
    assert venue.words(order) == ["validation pending", "open pending", "open"]
    venue.run(500)
    assert venue.words(order)[-1] == "put order req received"


def test_phantom_fill_is_told_and_never_booked(venue):
    venue.exchange.faults.set(FaultMenu(phantom_fill=SURE))
    order = venue.place(price=99.0, quantity=650)
    told = [row["filled_quantity"] for row in venue.told(order)]
    assert max(told) == 65
    assert told[-1] == 0
    assert venue.rows()[0]["filled_quantity"] == 0
    assert venue.exchange.trades(venue.now).body["data"] == []
    venue.audited()


# --- reads ---------------------------------------------------------------------------------------------------


def test_stale_order_book(venue):
    venue.run(10_000)
    order = venue.place(price=100.05)
    venue.exchange.faults.arm("stale_orders", 4)
    assert venue.rows() == []
    assert venue.exchange.order_details(order, venue.now).code == "UDAPI100010"
    assert venue.exchange.order_history(venue.now, tag="t1").code == "UDAPI100010"
    assert venue.exchange.trades(venue.now).body["data"] == []
    assert venue.rows()[0]["status"] == "complete"


def test_stale_order_book_shows_the_status_of_then(venue):
    venue.place(price=99.0)
    venue.run(10_000)
    venue.quote(last=98.0, ask=98.5, traded=65)
    venue.exchange.faults.arm("stale_orders")
    assert [venue.rows()[0]["status"] for _ in range(2)] == ["open", "complete"]


def test_stale_positions(venue):
    venue.place(price=100.05)
    venue.run(10_000)
    venue.place(price=100.0, transaction_type="SELL")
    venue.quote(last=101.0, bid=101.0, traded=65)
    venue.exchange.faults.arm("stale_positions")
    stale, fresh = (venue.exchange.positions(venue.now).body["data"][0]["quantity"] for _ in range(2))
    assert (stale, fresh) == (65, 0)


def test_unknown_word(armed):
    venue = armed("unknown_word")
    venue.place(price=99.0)
    assert venue.rows()[0]["validity"] == "GTD"
    assert venue.rows()[0]["validity"] == "DAY"


# --- the house -----------------------------------------------------------------------------------------------


def test_halt(armed):
    venue = armed("halt")
    order = venue.place(price=100.05)
    assert venue.order(order).filled == 0
    venue.run(10_000)
    assert venue.order(order).status == "complete"


def test_restart(venue):
    order = venue.place(price=99.0)
    venue.exchange.cancel(order, venue.now)
    venue.exchange.faults.arm("restart")
    answer = venue.exchange.order_book(venue.now)
    assert (answer.status, answer.kind) == (503, AnswerKind.TEXT)
    assert venue.send().status == 503
    told = venue.run(100)
    assert told[0].kind is EventKind.DISCONNECTED
    assert [event.body["status"] for event in told[1:]] == ["cancelled"]  # 'cancel pending' was on its way
    venue.run(3000)
    assert venue.rows()[0]["status"] == "cancelled"
    venue.audited()


def test_restart_by_hand(venue):
    venue.exchange.restart(venue.now)
    assert [event.kind for event in venue.run(0)] == [EventKind.DISCONNECTED]
    assert venue.exchange.order_book(venue.now).ok


def test_settings_are_checked():
    for groups in (
        {"delays": {"jitter": -1}},
        {"depth": {"levels": 0}},
        {"depth": {"split_probability": 2}},
        {"risk": {"unprotected_market": "x"}},
        {"risk": {"automatic_protection": ((5.0, 1.0),)}},
        {"day": {"square_off": "25:00"}},
        {"day": {"square_off_retry_s": 0}},
    ):
        with pytest.raises(ValueError, match=r"exchange|time of day"):
            with_settings(**groups)
