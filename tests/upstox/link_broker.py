"""The pieces that the link's tests put together: a client of the test server, a table of one contract, rows."""

from __future__ import annotations

import datetime as dt
import socket
import time
from typing import Any

from sos_actors.market.ids import option_id
from sos_actors.market.instruments import Instrument, InstrumentTable
from sos_actors.messages import OrderType, Right, SendPlace, Side
from sos_actors.upstox.account import UpstoxAccount
from sos_actors.upstox.answers import Answerer
from sos_actors.upstox.client import UpstoxClient
from sos_actors.upstox.limits import RateLimiter, RateSettings
from sos_actors.upstox.orders import UpstoxOrders
from sos_actors.upstox.settings import UpstoxSettings

TOKEN = "secret-access-token-of-the-test"
KEY = "NSE_FO|43885"
OPTION = option_id("NIFTY", dt.date(2026, 11, 23), 25000.0, Right.CE)
PLACE, MODIFY, CANCEL = ("POST", "/v3/order/place"), ("PUT", "/v3/order/modify"), ("DELETE", "/v3/order/cancel")
BOOK, HISTORY = ("GET", "/v2/order/retrieve-all"), ("GET", "/v2/order/history")
TRADES, POSITIONS = ("GET", "/v2/order/trades/get-trades-for-day"), ("GET", "/v2/portfolio/short-term-positions")
FUNDS_3, FUNDS_2 = ("GET", "/v3/user/get-funds-and-margin"), ("GET", "/v2/user/get-funds-and-margin")
TABLE = InstrumentTable(
    [
        Instrument(
            id=OPTION, upstox_key=KEY, exchange="NSE", kind="OPT", underlying="NIFTY", trading_symbol="NIFTY 25000 CE",
            expiry=dt.date(2026, 11, 23), strike=25000.0, right=Right.CE, lot_size=65, freeze_quantity=1800,
            tick_size=0.05,
        )
    ]
)  # fmt: skip


def dead_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def client_of(url: str, *, token: str = TOKEN, rates: RateSettings | None = None, **changes: Any) -> UpstoxClient:
    """A client of a server at `url`, for both hosts."""
    settings = UpstoxSettings(**{"host": url, "order_host": url, **changes})
    return UpstoxClient(settings, RateLimiter(rates or RateSettings(), time.monotonic), token)


def orders_of(client: UpstoxClient) -> UpstoxOrders:
    """The order interface, with little patience."""
    return UpstoxOrders(client, patience_s=0.0, exit_patience_s=0.0)


def answerer_of(client: UpstoxClient) -> Answerer:
    """All that answers the gateway."""
    account = UpstoxAccount(client, lambda: TABLE, patience_s=0.0)
    return Answerer(orders_of(client), account, lambda: TABLE, lambda: 77)


def place(request_id: str = "r1", **changes: Any) -> SendPlace:
    """A command to buy a lot at a limit."""
    fields = {
        "request_id": request_id, "tag": "sos-1", "instrument": OPTION, "side": Side.BUY, "quantity": 65,
        "order_type": OrderType.LIMIT, "price": 100.05,
    }  # fmt: skip
    return SendPlace(**{**fields, **changes})


def order_row(**changes: Any) -> dict[str, Any]:
    """An order as the broker's book shows it."""
    row = {
        "exchange": "NFO", "product": "I", "price": 100.05, "quantity": 65, "status": "open", "guid": None,
        "tag": "sos-1", "instrument_token": KEY, "placed_by": "AB1234", "order_type": "LIMIT", "validity": "DAY",
        "trigger_price": 0.0, "disclosed_quantity": 0, "transaction_type": "BUY", "average_price": 0.0,
        "filled_quantity": 0, "pending_quantity": 65, "status_message": None, "status_message_raw": None,
        "exchange_order_id": "1300000025660919", "parent_order_id": None, "order_id": "261120025562880",
        "order_timestamp": "2026-11-20 13:25:13", "exchange_timestamp": "2026-11-20 13:25:14",
        "order_request_id": "1",
    }  # fmt: skip
    return {**row, **changes}
