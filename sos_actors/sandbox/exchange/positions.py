"""What the account holds of each contract and product, and the rows the API shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sos_actors.market.instruments import Instrument
from sos_actors.messages import Side
from sos_actors.sandbox.exchange.orders import FO_EXCHANGE, short_symbol


@dataclass(slots=True, eq=False)
class Position:
    """One contract in one product. Quantities in units, values in paise; overnight is what the last day left."""

    instrument: Instrument
    product: str
    overnight: int = 0
    overnight_value: int = 0
    bought: int = 0
    bought_value: int = 0
    sold: int = 0
    sold_value: int = 0

    @property
    def net(self) -> int:
        """Signed units held."""
        return self.overnight + self.bought - self.sold

    @property
    def buys(self) -> tuple[int, int]:
        """Units and value of everything bought, what came over night included."""
        carried = self.overnight > 0
        return self.bought + self.overnight * carried, self.bought_value + self.overnight_value * carried

    @property
    def sells(self) -> tuple[int, int]:
        """Units and value of everything sold, a short that came over night included."""
        carried = self.overnight < 0
        return self.sold - self.overnight * carried, self.sold_value + self.overnight_value * carried

    def add(self, side: Side, quantity: int, price: int) -> None:
        """Book an execution."""
        if side is Side.BUY:
            self.bought += quantity
            self.bought_value += quantity * price
        else:
            self.sold += quantity
            self.sold_value += quantity * price

    def realised(self) -> float:
        """Rupees gained by what was both bought and sold, at average prices."""
        (bought, paid), (sold, got) = self.buys, self.sells
        matched = min(bought, sold)
        return matched * (got / sold - paid / bought) / 100 if matched else 0.0

    def average(self) -> float:
        """Average price of what is open, rupees; 0 when flat."""
        units, value = self.buys if self.net > 0 else self.sells
        return value / units / 100 if self.net and units else 0.0

    def carried(self) -> Position:
        """The same holding at the start of the next day."""
        units, value = self.buys if self.net > 0 else self.sells
        carried = round(value * abs(self.net) / units) if self.net else 0
        return Position(self.instrument, self.product, overnight=self.net, overnight_value=carried)

    def row(self, last: int, close: int) -> dict[str, Any]:
        """The position as `short-term-positions` shows it. `last` and `close` in paise."""
        symbol = short_symbol(self.instrument)
        net, average = self.net, self.average()
        (bought, paid), (sold, got) = self.buys, self.sells
        realised = self.realised()
        unrealised = net * (last / 100 - average) if net else 0.0
        long_over, short_over = max(self.overnight, 0), max(-self.overnight, 0)
        return {
            "exchange": FO_EXCHANGE[self.instrument.exchange],
            "multiplier": 1.0,
            "value": round((got - paid) / 100, 2),
            "pnl": round(realised + unrealised, 2),
            "product": self.product,
            "instrument_token": self.instrument.upstox_key,
            "average_price": round(average, 4) if net else None,
            "buy_value": paid / 100,
            "overnight_quantity": self.overnight,
            "day_buy_value": self.bought_value / 100,
            "day_buy_price": _mean(self.bought_value, self.bought),
            "overnight_buy_amount": self.overnight_value / 100 if long_over else 0.0,
            "overnight_buy_quantity": long_over,
            "day_buy_quantity": self.bought,
            "day_sell_value": self.sold_value / 100,
            "day_sell_price": _mean(self.sold_value, self.sold),
            "overnight_sell_amount": self.overnight_value / 100 if short_over else 0.0,
            "overnight_sell_quantity": short_over,
            "day_sell_quantity": self.sold,
            "quantity": net,
            "last_price": last / 100,
            "unrealised": round(unrealised, 2),
            "realised": round(realised, 2),
            "sell_value": got / 100,
            "trading_symbol": symbol,
            "tradingsymbol": symbol,
            "close_price": close / 100,
            "buy_price": _mean(paid, bought),
            "sell_price": _mean(got, sold),
        }


_NOT_STREAMED = ("last_price", "pnl", "unrealised")


def stream_position(row: dict[str, Any], segment: str, user_id: str) -> dict[str, Any]:
    """Turn a position row into a message of the stream, where the exchange is the segment."""
    shown = {name: value for name, value in row.items() if name not in _NOT_STREAMED}
    return {"update_type": "position", "user_id": user_id, "userId": user_id, **shown, "exchange": segment}


def _mean(value: int, units: int) -> float:
    return round(value / units / 100, 4) if units else 0.0
