import datetime as dt
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trading_helpers import CALL, DAY, INDEX, PUT, Paise, fill

from sos_actors.messages import Side
from sos_actors.trading.ledger import Ledger

BUY, SELL = Side.BUY, Side.SELL


class FlatCharge:
    """20 rupees an order, and a paisa a unit sold."""

    def __init__(self):
        self.asked = []

    def charges(self, *asked):
        self.asked.append(asked)
        return Paise(2000 * asked[-1] + (asked[3] if asked[2] is SELL else 0))

    def exercise(self, exchange, quantity, intrinsic, day):
        self.asked.append((exchange, quantity, intrinsic, day))
        return Paise(7)


def test_buy_then_sell_moves_cash_and_realises_the_difference():
    ledger = Ledger(1_000_000_00, FlatCharge())
    first = ledger.apply(fill("1", BUY, 75, 100.05), "a", DAY)
    assert (first.price_paise, first.charges_paise, first.realised_paise, first.position) == (10005, 2000, 0, 75)
    assert first.cash_paise == 1_000_000_00 - 75 * 10005 - 2000
    assert first.average_price == pytest.approx(100.05)
    second = ledger.apply(fill("2", SELL, 75, 110.10), "a", DAY)
    assert second.realised_paise == 75 * (11010 - 10005)
    assert second.charges_paise == 2075
    assert second.cash_paise == 1_000_000_00 + 75 * 1005 - 2000 - 2075
    assert (second.position, second.cost_paise, second.average_price) == (0, 0, 0.0)
    assert ledger.charges_paise == 4075


def test_charges_are_asked_with_what_the_tariff_depends_on():
    charges = FlatCharge()
    Ledger(0, charges).apply(fill("1", SELL, 75, 100.05), "a", DAY)
    assert charges.asked == [("OPT", "NSE", SELL, 75, 100.05, DAY, 1)]


def test_a_flip_closes_and_opens_at_the_new_price():
    ledger = Ledger(0)
    ledger.apply(fill("1", BUY, 10, 100.0), "a", DAY)
    entry = ledger.apply(fill("2", SELL, 25, 90.0), "a", DAY)
    assert entry.realised_paise == 10 * (9000 - 10000)
    assert (entry.position, entry.cost_paise, entry.average_price) == (-15, -15 * 9000, 90.0)
    entry = ledger.apply(fill("3", BUY, 15, 80.0), "a", DAY)
    assert entry.realised_paise == 15 * (9000 - 8000)
    assert entry.total_realised_paise == 5_000 * 1


def test_a_part_takes_its_share_of_the_cost_and_the_last_part_the_rest():
    ledger = Ledger(0)
    ledger.apply(fill("1", BUY, 1, 0.05), "a", DAY)
    ledger.apply(fill("2", BUY, 2, 0.10), "a", DAY)
    parts = [ledger.apply(fill(str(n), SELL, 1, 0.10), "a", DAY).realised_paise for n in (3, 4, 5)]
    assert sum(parts) == 5
    assert max(parts) - min(parts) <= 1


def test_a_duplicate_is_ignored_and_counted():
    ledger = Ledger(0)
    assert ledger.apply(fill("1", BUY, 75, 100.0), "a", DAY) is not None
    assert ledger.apply(fill("1", BUY, 75, 100.0), "a", DAY) is None
    assert ledger.duplicates == 1
    assert ledger.position("a", CALL) == 75


def test_positions_are_kept_apart_by_strategy_and_instrument():
    ledger = Ledger(0)
    ledger.apply(fill("1", BUY, 75, 100.0), "a", DAY)
    ledger.apply(fill("2", SELL, 75, 100.0), "b", DAY)
    ledger.apply(fill("3", BUY, 30, 50.0, instrument=PUT), "a", DAY)
    assert ledger.positions() == {("a", CALL): 75, ("b", CALL): -75, ("a", PUT): 30}
    assert ledger.open_positions == 3
    ledger.apply(fill("4", BUY, 75, 100.0), "b", DAY)
    assert ledger.positions() == {("a", CALL): 75, ("a", PUT): 30}


def test_equity_marks_at_the_price_or_at_cost_where_none_is_known():
    ledger = Ledger(100_000)
    ledger.apply(fill("1", BUY, 10, 100.0), "a", DAY)
    assert ledger.equity({}) == 100_000
    assert ledger.equity({CALL: float("nan")}) == 100_000
    assert ledger.equity({CALL: 101.5}) == 100_000 + 10 * 150


fills = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from([CALL, PUT]),
        st.sampled_from([BUY, SELL]),
        st.integers(1, 300),
        st.integers(1, 40_000),
    ),
    max_size=60,
)


@given(fills)
def test_the_books_balance_to_the_paisa(rows):
    ledger = Ledger(50_000_00, FlatCharge())
    cash = 50_000_00
    for number, (strategy, instrument, side, quantity, ticks) in enumerate(rows):
        entry = ledger.apply(fill(str(number), side, quantity, ticks * 0.05, instrument=instrument), strategy, DAY)
        cash -= side.sign * quantity * ticks * 5 + 2000 + (quantity if side is SELL else 0)
        assert entry.cash_paise == ledger.cash_paise == cash
        assert entry.position == ledger.position(strategy, instrument)
        assert (entry.position == 0) <= (entry.cost_paise == 0)
        assert entry.position * entry.cost_paise >= 0
    moved = ledger.cash_paise + ledger.charges_paise - 50_000_00
    assert moved == ledger.realised_paise - ledger.open_cost_paise
    marks = {CALL: 123.45, PUT: 67.85}
    value = sum(quantity * round(Fraction(str(marks[key[1]])) * 100) for key, quantity in ledger.positions().items())
    assert ledger.equity(marks) == ledger.cash_paise + value


def test_the_day_reaches_the_tariff():
    charges = FlatCharge()
    Ledger(0, charges).apply(fill("1", BUY, 1, 1.0), "a", dt.date(2024, 1, 2))
    assert charges.asked[0][-2] == dt.date(2024, 1, 2)


def test_brokerage_is_paid_once_an_order_and_an_index_pays_what_its_future_would():
    charges = FlatCharge()
    ledger = Ledger(0, charges)
    ledger.apply(fill("1", BUY, 25, 100.0), "a", DAY)
    assert ledger.apply(fill("2", BUY, 50, 100.0), "a", DAY, first_of_order=False).charges_paise == 0
    assert ledger.apply(fill("3", BUY, 1, 24000.05, instrument=INDEX), "a", DAY).charges_paise == 2000
    assert ledger.charges_paise == 4000
    assert [row[-1] for row in charges.asked] == [1, 0, 1]
    assert [row[0] for row in charges.asked] == ["OPT", "OPT", "FUT"]


def test_expiry_costs_the_holder_the_tax_on_exercise():
    charges = FlatCharge()
    ledger = Ledger(0, charges)
    assert ledger.apply(fill("1", SELL, 75, 12.5), "a", DAY, expired=True).charges_paise == 7
    assert charges.asked == [("NSE", 75, 12.5, DAY)]
    assert ledger.apply(fill("2", SELL, 75, 0.0), "a", DAY, expired=True).charges_paise == 0
    assert ledger.apply(fill("3", BUY, 75, 12.5), "a", DAY, expired=True).charges_paise == 0
