"""What the broker says of the account: its books, its money, who it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from upstox_client import ChargeApi, Instrument, MarginRequest, OrderApi, PortfolioApi, UserApi

from sos_actors.messages import BrokerOrder, BrokerPosition, BrokerTrade, Side
from sos_actors.upstox.books import BookReader, TableOf, data_of, rows_of, unreadable
from sos_actors.upstox.client import UpstoxClient
from sos_actors.upstox.errors import NO_ORDER, BadRequestError, NotFoundError, UnreadableAnswerError
from sos_actors.upstox.fields import number, text

_V2 = "2.0"


class Funds(NamedTuple):
    """Money in rupees: free to trade, and used as margin."""

    available: float
    used: float


class Profile(NamedTuple):
    """Whose account it is, and where it may trade (the broker's exchange names)."""

    user_id: str
    name: str
    exchanges: tuple[str, ...]
    active: bool


class KillSwitch(NamedTuple):
    """The broker's own kill switch of one segment. `on` true: nothing can be ordered there, not even exits."""

    segment: str
    on: bool


class StaticAddresses(NamedTuple):
    """The addresses from which the broker takes orders; '' for none."""

    primary: str
    secondary: str


class OrderLeg(NamedTuple):
    """One order a margin is asked for. `key` is the broker's; `price` 0 for a market order."""

    key: str
    side: Side
    quantity: int
    product: str
    price: float = 0.0


class UpstoxAccount:
    """The broker's reads of one account. Every method blocks and raises BrokerError; money in rupees."""

    def __init__(self, client: UpstoxClient, table: TableOf, *, patience_s: float) -> None:
        """`patience_s`: seconds a read may wait for room in the rate limits."""
        self._client, self._patience_s = client, patience_s
        self._orders, self._portfolio = OrderApi(client.api), PortfolioApi(client.api)
        self._user, self._charges = UserApi(client.api), ChargeApi(client.api)
        self.reader = BookReader(table)

    # -- books -------------------------------------------------------------------------------------------------

    def order_book(self) -> tuple[BrokerOrder, ...]:
        """Give the day's orders, from whatever channel."""
        what = "order book"
        return self.reader.orders(what, self._rows(what, self._orders.get_order_book, _V2))

    def orders_of(self, tag: str) -> tuple[BrokerOrder, ...]:
        """Give the orders placed under a tag, each as it stood last; empty where the broker knows none."""
        what = f"orders of tag {tag}"
        try:
            rows = self._rows(what, self._orders.get_order_details, _V2, tag=tag)
        except NotFoundError as error:
            if error.code == NO_ORDER:
                return ()
            raise
        return self.reader.orders(what, rows)

    def order(self, broker_id: str) -> BrokerOrder:
        """Give one order as it stands."""
        what = f"order {broker_id}"
        data = data_of(what, self._get(what, self._orders.get_order_status, order_id=broker_id))
        if not isinstance(data, dict):
            raise unreadable(what, "no object in it")
        return self.reader.order(what, data)

    def trades(self) -> tuple[BrokerTrade, ...]:
        """Give the day's executions."""
        what = "trades of the day"
        return self.reader.trades(what, self._rows(what, self._orders.get_trade_history, _V2))

    def positions(self) -> tuple[BrokerPosition, ...]:
        """Give what is held and what was closed today (quantity 0)."""
        what = "positions"
        return self.reader.positions(what, self._rows(what, self._portfolio.get_positions, _V2))

    # -- money -------------------------------------------------------------------------------------------------

    def funds(self) -> Funds:
        """Give the free money: by the newer interface (V3), or by V2 where the broker does not have that.

        Free is what options can be bought with: cash, not pledged shares.
        """
        try:
            return self._funds_v3()
        except (NotFoundError, BadRequestError, UnreadableAnswerError):
            return self._funds_v2()

    def _funds_v3(self) -> Funds:
        what = "funds"
        free = _at(data_of(what, self._get(what, self._user.get_user_fund_margin_v3)), "available_to_trade")
        cash = _at(free, "cash_available_to_trade")
        return _funds(what, cash.get("total", free.get("total")), _at(cash, "margin_used").get("total"))

    def _funds_v2(self) -> Funds:
        what = "funds"
        equity = _at(data_of(what, self._get(what, self._user.get_user_fund_margin, _V2)), "equity")
        return _funds(what, equity.get("available_margin"), equity.get("used_margin"))

    def margin(self, legs: Sequence[OrderLeg]) -> float:
        """Give the margin that the broker would ask for these orders (at most 20) together."""
        what = "margin"
        body = MarginRequest(
            instruments=[
                Instrument(
                    instrument_key=leg.key, quantity=leg.quantity, transaction_type=leg.side.value,
                    product=leg.product, price=leg.price,
                )
                for leg in legs
            ]
        )  # fmt: skip
        data = data_of(what, self._get(what, self._charges.post_margin, body))
        return _needed(what, _at(data, "").get("final_margin"))

    def charges(self, leg: OrderLeg) -> float:
        """Give what the broker says an order costs: brokerage, taxes and fees together."""
        what = "brokerage"
        data = data_of(what, self._get(
            what, self._charges.get_brokerage, leg.key, leg.quantity, leg.product, leg.side.value, leg.price, _V2,
        ))  # fmt: skip
        return _needed(what, _at(data, "charges").get("total"))

    # -- who -----------------------------------------------------------------------------------------------------

    def profile(self) -> Profile:
        """Say whose account the token is of."""
        what = "profile"
        row = _at(data_of(what, self._get(what, self._user.get_profile, _V2)), "")
        exchanges = row.get("exchanges")
        named = tuple(text(one) for one in exchanges) if isinstance(exchanges, list) else ()
        if not text(row.get("user_id")):
            raise unreadable(what, "no user in it")
        return Profile(text(row["user_id"]), text(row.get("user_name")), named, row.get("is_active") is True)

    def kill_switch(self) -> tuple[KillSwitch, ...]:
        """Give the state of the broker's own kill switch, by segment. It is only read here: it blocks exits too."""
        what = "kill switch"
        rows = self._rows(what, self._user.get_kill_switch)
        return tuple(KillSwitch(text(row.get("segment")), row.get("kill_switch_enabled") is True) for row in rows)

    def static_addresses(self) -> StaticAddresses:
        """Give the addresses registered for orders. They are only read here: a change ends every token."""
        what = "static addresses"
        row = _at(data_of(what, self._get(what, self._user.get_user_ips)), "")
        return StaticAddresses(text(row.get("primary_ip")), text(row.get("secondary_ip")))

    # -- the request -----------------------------------------------------------------------------------------------

    def _get(self, what: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> msgspec.Raw:
        # A day's candles, hundreds of contracts of them, count as the same class: they must leave room for the books.
        self._client.need_token(what)
        return self._client.call(
            what, method, *args, answer=msgspec.Raw, books=True, patience_s=self._patience_s, **kwargs
        )

    def _rows(self, what: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        return rows_of(what, self._get(what, method, *args, **kwargs))


def _at(value: Any, name: str) -> dict[str, Any]:
    """Give the object under a name, or (with '') the value itself; an empty one where there is none."""
    found = value if not name else value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _needed(what: str, value: Any) -> float:
    found = number(value)
    if found != found:  # NaN
        raise unreadable(what, "the amount is missing")
    return found


def _funds(what: str, available: Any, used: Any) -> Funds:
    return Funds(_needed(what, available), number(used))
