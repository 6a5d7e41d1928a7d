"""What a run's fills cost, by component: worked out again from the dated tariff, as the ledger did."""

from __future__ import annotations

from collections.abc import Iterable

from sos_actors.market.charges import ChargeBreakdown, ChargeModel
from sos_actors.market.clocktime import ist_date
from sos_actors.market.ids import parse_id
from sos_actors.messages import Fill

#: Names of the components as a contract note has them.
NAMES = {
    "brokerage": "Brokerage",
    "stt": "STT",
    "transaction": "Exchange transaction charge",
    "ipft": "IPFT",
    "sebi": "SEBI fee",
    "stamp": "Stamp duty",
    "gst": "GST",
}


def cost_components(fills: Iterable[Fill], charges: ChargeModel, total_paise: int) -> dict[str, float]:
    """Rupees of each component over all fills, by the name a contract note has for it.

    `total_paise` is what the trades were charged in all; what fills do not explain is exercise at expiry. Raises
    InputError for a fill before the first day the tariff is known of.
    """
    total = ChargeBreakdown()
    seen: set[str] = set()
    for fill in fills:
        parts = parse_id(fill.instrument)
        kind = "FUT" if parts.kind == "INDEX" else parts.kind  # as the ledger has it
        orders = 0 if fill.order_id in seen else 1
        seen.add(fill.order_id)
        day = ist_date(fill.ts)
        total += charges.charges(kind, parts.exchange, fill.side, fill.quantity, fill.price, day, orders)
    named = {name: getattr(total, field) / 100 for field, name in NAMES.items()}
    return named | {"STT on exercise": max(total_paise - total.total, 0) / 100}
