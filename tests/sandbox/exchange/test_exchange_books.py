"""The views of the exchange's own books, and an audit that sees what is wrong with them."""

import pytest
from exchange_helpers import CALL

from sos_actors.sandbox.exchange.orders import Status


@pytest.fixture
def busy(venue):
    """One order filled, one resting, one waiting for its trigger."""
    venue.place(price=100.05, tag="filled")
    venue.place(price=99.0, tag="resting")
    venue.place(price=98.0, trigger_price=99.0, order_type="SL", transaction_type="SELL", tag="stop")
    venue.audited()
    return venue


def test_views(busy):
    books = busy.exchange.books
    assert {tag: [one.status for one in found] for tag, found in books.orders_by_tag().items()} == {
        "filled": ["complete"],
        "resting": ["open"],
        "stop": ["trigger pending"],
    }
    assert books.live_by_tag() == {"resting": 1, "stop": 1}
    assert books.net() == {CALL.id: 65}
    (execution,) = books.executions()
    assert (execution.tag, execution.quantity, execution.price) == ("filled", 65, 10_005)
    assert books.cash == 100_000_000 - 65 * 10_005 - books.charges
    (resting,) = books.orders("resting")
    assert (resting.price, resting.quantity, resting.filled, resting.live) == (9_900, 65, 0, True)
    assert resting.words == ("put order req received", "validation pending", "open pending", "open")


def inside(venue):
    """The books' own objects, to be tampered with."""
    floor = venue.exchange._floor
    filled, resting, stop = floor.orders.values()
    return floor, filled, resting, stop


def cash(floor, filled, resting, stop):
    floor.account.cash += 1


def charges(floor, filled, resting, stop):
    floor.account.charges += 1


def position(floor, filled, resting, stop):
    floor.account.position(CALL, "I").bought += 65


def overfilled(floor, filled, resting, stop):
    filled.filled = 130


def lost_from_the_book(floor, filled, resting, stop):
    floor.book(CALL).resting.clear()


def stop_twice(floor, filled, resting, stop):
    floor.book(CALL).stops.append(stop)


def not_live(floor, filled, resting, stop):
    del floor.live[resting.order_id]


def filled_is_live(floor, filled, resting, stop):
    floor.live[filled.order_id] = filled


def status_after_the_last(floor, filled, resting, stop):
    filled.history.append((filled.history[-1][0], {**filled.history[-1][1], "status": str(Status.OPEN)}))


def illegal_step(floor, filled, resting, stop):
    del resting.history[1]


def backwards(floor, filled, resting, stop):
    resting.history[2] = (0, resting.history[2][1])


def trade_twice(floor, filled, resting, stop):
    floor.account.executions.append(floor.account.executions[0])


def no_trade(floor, filled, resting, stop):
    floor.account.trades.clear()


@pytest.mark.parametrize(
    ("tamper", "word"),
    [
        (cash, "cash is"),
        (charges, "charges are"),
        (position, "position 130"),
        (overfilled, "filled 130 of 65"),
        (lost_from_the_book, "stands 0 times"),
        (stop_twice, "2 times among the stops"),
        (not_live, "live False"),
        (filled_is_live, "live True"),
        (status_after_the_last, "is final"),
        (illegal_step, "'open pending' follows 'put order req received'"),
        (backwards, "runs backwards"),
        (trade_twice, "twice"),
        (no_trade, "the executions make None"),
    ],
)
def test_audit_sees(busy, tamper, word):
    tamper(*inside(busy))
    assert any(word in line for line in busy.exchange.books.audit())
