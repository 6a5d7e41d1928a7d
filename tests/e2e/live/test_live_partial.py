"""An entry that fills in part, the rest taken back: what was bought is protected, and that alone."""

from __future__ import annotations

#: Orders at the planned price that are larger than what stands there.
CONFIG = {"orders": {"entry_order": "LIMIT", "entry_patience_s": 60}}


def test_partial_fill_then_cancel(stand):
    """An entry larger than what stands at its price is given up halfway: what was bought is sold, and nothing else."""
    one = stand("2026-11-20T09:16:00", 30.0, config=CONFIG, quantity=1755, sides=("CALL",))

    def entries(*, live):
        bought = [order for order in one.books.orders() if order.side.sign > 0 and order.live is live]
        return [order for order in bought if 0 < order.filled < order.quantity]

    one.start()
    for _ in range(8):
        one.until(lambda: entries(live=True), "an entry is filled in part")
        one.ask("flatten")
        one.wait_flat()
        if entries(live=False):
            break
    (given_up,) = entries(live=False)[:1]
    assert given_up.status == "cancelled"
    sold = [order for order in one.books.orders() if order.side.sign < 0 and order.placed_ts > given_up.placed_ts]
    assert sum(order.filled for order in sold if order.instrument == given_up.instrument) == given_up.filled
    one.ask("pause")
    one.same_money()
