"""An entry that fills in part, the rest taken back: what was bought is protected, and that alone."""

from __future__ import annotations

import math

#: Orders at the planned price that are larger than what stands there.
CONFIG = {"orders": {"entry_order": "LIMIT", "entry_patience_s": 60}}


def test_partial_fill_then_cancel(stand):
    """An entry larger than what stands at its price is given up halfway: what was bought is sold, and nothing else."""
    one = stand("2026-11-20T09:16:00", 30.0, config=CONFIG, quantity=1755, sides=("CALL",))

    def entries(*, live):
        bought = [order for order in one.books.orders() if order.side.sign > 0 and order.live is live]
        return [order for order in bought if 0 < order.filled < order.quantity]

    one.start()
    # Its own exit or its patience may give an entry up before a flatten does: either way the rest is taken back.
    while not entries(live=False):
        one.until(lambda: entries(live=True) or entries(live=False), "an entry is filled in part", 240.0)
        one.ask("flatten")
        one.wait_flat()
    (given_up,) = entries(live=False)[:1]
    assert given_up.status == "cancelled"
    later = [
        order
        for order in one.books.orders()
        if order.instrument == given_up.instrument and order.placed_ts > given_up.placed_ts
    ]
    again = min((order.placed_ts for order in later if order.side.sign > 0), default=math.inf)
    assert sum(order.filled for order in later if order.placed_ts < again) == given_up.filled
    one.ask("pause")
    one.same_money()
