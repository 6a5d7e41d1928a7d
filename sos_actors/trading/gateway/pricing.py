"""What an order of ours is at the broker: type, limit, trigger, protection."""

from __future__ import annotations

import msgspec

from sos_actors.messages import OrderType, Side, SubmitOrder
from sos_actors.trading.gateway.settings import Contract, GatewaySettings, Quote
from sos_actors.trading.ticks import tick_down, tick_nearest, tick_up

MARKET, LIMIT, STOP = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP
#: Rupees up to which the exchange bounds limit prices by an amount instead of a fraction.
_LOW_PREMIUM = 50.0


class Terms(msgspec.Struct, frozen=True, gc=False):
    """How an order is priced at the broker. Rupees; 0.0: none."""

    order_type: OrderType
    price: float = 0.0
    trigger: float = 0.0


def first_terms(order: SubmitOrder, contract: Contract, quote: Quote | None, settings: GatewaySettings) -> Terms:
    """Give the terms on which an order of the desk is first placed; `quote` only where it is fresh."""
    if order.order_type is LIMIT:
        return Terms(LIMIT, order.price)
    if order.order_type is STOP:
        return stop_terms(order.side, order.trigger, contract, settings)
    return market_terms(order.side, contract, quote, settings, 0)


def stop_terms(side: Side, trigger: float, contract: Contract, settings: GatewaySettings) -> Terms:
    """Give a stop's terms: its limit lies behind the trigger, as far as the exchange allows at most."""
    if settings.stop_order == "SL-M":
        return Terms(STOP, 0.0, trigger)
    offset = max(settings.stop_offset * trigger, settings.stop_offset_ticks * contract.tick)
    offset = min(offset, _reach(trigger, settings))
    price = tick_up(trigger + offset, contract.tick) if side is Side.BUY else tick_down(trigger - offset, contract.tick)
    return Terms(STOP, max(price, contract.tick), trigger)


def market_terms(side: Side, contract: Contract, quote: Quote | None, settings: GatewaySettings, chases: int) -> Terms:
    """Give the terms of an order that is to fill at once, for the `chases`-th time (0: the first).

    Without a fresh quote, or the first time where the broker's protection is trusted, that is a protected market order.
    """
    if quote is None or quote.last <= 0.0 or (not chases and settings.market_order == "PROTECTED"):
        return Terms(MARKET)
    tick, reach = contract.tick, _reach(quote.last, settings)
    through = settings.through_ticks * tick * (1 + chases)
    if side is Side.BUY:
        wanted = max(quote.ask, quote.last) + through
        return Terms(LIMIT, tick_down(min(wanted, quote.last + reach), tick))
    near = min(quote.bid, quote.last) if quote.bid > 0.0 else quote.last
    return Terms(LIMIT, max(tick_up(max(near - through, quote.last - reach), tick), tick_nearest(tick, tick)))


def passed(side: Side, trigger: float, quote: Quote | None) -> bool:
    """Whether the price has reached a stop's trigger."""
    if quote is None or quote.last <= 0.0 or trigger <= 0.0:
        return False
    return quote.last >= trigger if side is Side.BUY else quote.last <= trigger


def _reach(price: float, settings: GatewaySettings) -> float:
    return settings.price_reach * price if price > _LOW_PREMIUM else settings.price_reach_low
