"""What the tests of the gateway begin with: books read, an order placed, a position held, a stop at rest."""

from gateway_model import Wire

from sos_actors.messages import (
    OrderRole,
    OrderStatus,
    OrderType,
    SendPlace,
    Side,
)


def ready(**kwargs) -> Wire:
    wire = Wire(**kwargs)
    wire.stream(live=True)
    wire.settle(1.0)
    assert wire.gateway.state().entries_held == ""
    return wire


def place(wire: Wire, order_id: str = "a-e", **kwargs) -> SendPlace:
    wire.submit(order_id, **kwargs)
    (send,) = wire.waiting
    wire.waiting.clear()
    return send


def held(wire: Wire, lots: int = 1, price: int = 10_000) -> None:
    """Enter and fill."""
    send = place(wire, lots=lots)
    wire.answer(wire.carry(send))
    for broker_id in list(wire.broker.orders):
        wire.broker.fill(broker_id, lots, price, wire.now)
    wire.settle(2.0)
    assert wire.desk["a-e"].status is OrderStatus.FILLED


def stopped(wire: Wire, lots: int = 1, trigger: float = 90.0) -> SendPlace:
    send = place(wire, "a-s", role=OrderRole.STOP, side=Side.SELL, lots=lots, kind=OrderType.STOP, trigger=trigger)
    wire.answer(wire.carry(send))
    wire.settle(2.0)
    return send
