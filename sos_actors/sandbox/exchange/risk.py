"""What the broker's risk checks and the exchange refuse after a request was taken, and how market orders are limited.

Each text is what the order's `status_message_raw` shows; `status_message` is the same without the checker's prefix.
"""

from __future__ import annotations

from sos_actors.market.instruments import Instrument
from sos_actors.messages import Side
from sos_actors.sandbox.exchange.book import Book
from sos_actors.sandbox.exchange.orders import Order
from sos_actors.sandbox.exchange.settings import RiskSettings
from sos_actors.sandbox.exchange.validation import MARKET, STOP, STOPS


def market_limit(
    settings: RiskSettings, instrument: Instrument, side: Side, protection: float, base: int, tick: int
) -> int:
    """Limit price (paise, whole ticks) of a market order at `base`; `protection` is percent, -1 the broker's table."""
    percent = protection
    if protection < 0:
        percent = settings.future_protection
        if instrument.kind == "OPT":
            table = settings.automatic_protection
            percent = next(share for below, share in table if below == 0.0 or base < below * 100)
    limit = base * (100 + side.sign * percent) / 100
    # Rounded away from the market, so that a low premium gets a tick at least.
    ticks = -(-limit // tick) if side is Side.BUY else limit // tick
    return max(tick, int(ticks) * tick)


def band(settings: RiskSettings, reference: int) -> tuple[int, int]:
    """Lowest and highest limit the limit price protection lets pass, paise."""
    high = reference > settings.lpp_split * 100
    width = round(reference * settings.lpp_percent / 100) if high else round(settings.lpp_rupees * 100)
    return reference - width, reference + width


def circuit(settings: RiskSettings, book: Book) -> tuple[int, int]:
    """Lower and upper circuit of the day, paise; the first price of the day sets them."""
    return book.tick, round((book.first or book.last) * settings.circuit_multiple) + 10_000


def problem(settings: RiskSettings, order: Order, book: Book) -> str:
    """What is wrong with an order's quantity or prices; '' when nothing is."""
    return _wrong_size(order) or _wrong_step(order, book) or _wrong_price(settings, order, book)


def _wrong_size(order: Order) -> str:
    instrument = order.instrument
    if instrument.lot_size and order.quantity % instrument.lot_size:
        return f"RMS:Rule: quantity {order.quantity} is not a multiple of the lot size {instrument.lot_size}"
    if instrument.freeze_quantity and order.quantity > instrument.freeze_quantity:
        return f"17070 : quantity {order.quantity} is above the freeze quantity {instrument.freeze_quantity}"
    return ""


def _wrong_step(order: Order, book: Book) -> str:
    for name, price in (("price", order.price), ("trigger price", order.trigger)):
        if price % book.tick:
            return f"16283 : the {name} {price / 100:.2f} is not a multiple of the tick size {book.tick / 100:.2f}"
    return ""


def _wrong_price(settings: RiskSettings, order: Order, book: Book) -> str:
    if not book.last:
        return "RMS:Rule: no last price for this contract" if order.order_type in {MARKET, STOP} else ""
    low, high = circuit(settings, book)
    for price in (order.price, order.trigger):
        if price and not low <= price <= high:
            return f"RMS:Rule: price {price / 100:.2f} is outside the circuit limits {low / 100:.2f} - {high / 100:.2f}"
    # A stop's limit is a limit only once it is triggered.
    if order.price and order.order_type not in STOPS:
        low, high = band(settings, book.reference())
        if not low <= order.price <= high:
            return (
                f"17080 : limit price {order.price / 100:.2f} is outside the circuit limits (limit price protection) "
                f"{max(low, book.tick) / 100:.2f} - {high / 100:.2f}"
            )
    return ""
