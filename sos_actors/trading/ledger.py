"""The account's books: cash and positions in integer paise, fill by fill.

Two identities hold after every fill, to the paisa:

    cash = start + sum(sell value) - sum(buy value) - sum(charges)
    sum(sell value) - sum(buy value) = realised - cost of what is still open
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from math import isnan

import msgspec

from sos_actors.market.charges import ChargeModel
from sos_actors.market.ids import parse_id
from sos_actors.messages import Fill, Side
from sos_actors.trading.ledger_entry import LedgerEntry

#: Reached through its class, a member of an enumeration costs ten times as much.
BUY = Side.BUY


class LedgerPosition(msgspec.Struct, eq=False, gc=False):
    """What one strategy holds of one instrument: signed units, their signed cost and what was realised, in paise."""

    quantity: int = 0
    cost_paise: int = 0
    realised_paise: int = 0


class Ledger:
    """Cash, positions per (strategy, instrument) at average cost, realised profit, charges.

    `charges` None trades free of charge; an index, traded on paper only, costs what its future would. The average is
    kept as an integer total cost, so nothing drifts: a part that is closed takes its share of the cost rounded down,
    and the last part takes what remains. `books` holds every position ever opened,
    `seen` the ids of the fills booked in their order, `changed` the positions that changed since a checkpoint took them
    from there.
    """

    def __init__(self, cash_paise: int, charges: ChargeModel | None = None) -> None:
        self.start_paise = cash_paise
        self.cash_paise = cash_paise
        self.charges_paise = 0
        self.realised_paise = 0
        self.duplicates = 0
        self._charges = charges
        self.books: dict[tuple[str, str], LedgerPosition] = {}
        self._open: dict[tuple[str, str], LedgerPosition] = {}
        self.seen: dict[str, None] = {}
        self.changed: dict[tuple[str, str], None] = {}

    def apply(
        self,
        fill: Fill,
        strategy: str,
        day: dt.date,
        *,
        first_of_order: bool = True,
        expired: bool = False,
    ) -> LedgerEntry | None:
        """Book one fill; None (and counted) when its `fill_id` is already in the books.

        The price is taken to the nearest paisa. `day` is the Indian date whose tariff applies. Brokerage is paid
        with the first fill of an order. `expired`: not a trade but an option's settlement at its intrinsic value,
        which costs the holder of a long one the tax on exercise and nobody anything else.
        """
        if fill.fill_id in self.seen:
            self.duplicates += 1
            return None
        self.seen[fill.fill_id] = None
        instrument, quantity = fill.instrument, fill.quantity
        paise = round(fill.price * 100.0)
        signed = quantity if fill.side is BUY else -quantity
        key = (strategy, instrument)
        self.changed[key] = None
        position = self.books.get(key)
        if position is None:
            position = self.books[key] = LedgerPosition()
        held = position.quantity
        realised = _book(position, signed, paise)
        if not position.quantity:
            self._open.pop(key, None)
        elif not held:
            self._open[key] = position
        charges = 0
        if self._charges is not None:
            charges = self._cost(fill, day, first_of_order, expired)
            self.charges_paise += charges
        self.realised_paise += realised
        self.cash_paise -= signed * paise + charges
        return LedgerEntry(
            signed,
            paise,
            charges,
            realised,
            position.quantity,
            position.cost_paise,
            position.realised_paise,
            self.cash_paise,
        )

    def _cost(self, fill: Fill, day: dt.date, first_of_order: bool, expired: bool) -> int:
        parts = parse_id(fill.instrument)
        if self._charges is None:
            return 0
        if not expired:
            kind = "FUT" if parts.kind == "INDEX" else parts.kind
            orders = 1 if first_of_order else 0
            return self._charges.charges(kind, parts.exchange, fill.side, fill.quantity, fill.price, day, orders).total
        if fill.side is BUY or not fill.price > 0.0:
            return 0
        return self._charges.exercise(parts.exchange, fill.quantity, fill.price, day).total

    def open_again(self, keys: Iterable[tuple[str, str]]) -> None:
        """After `books` were put back: take these positions as the open ones, in this order."""
        self._open = {key: self.books[key] for key in keys}

    def position(self, strategy: str, instrument: str) -> int:
        """Signed units `strategy` holds of `instrument`."""
        position = self._open.get((strategy, instrument))
        return position.quantity if position is not None else 0

    def positions(self) -> dict[tuple[str, str], int]:
        """Signed units of every open position, by (strategy, instrument), oldest first."""
        return {key: position.quantity for key, position in self._open.items()}

    @property
    def open_positions(self) -> int:
        """How many (strategy, instrument) pairs are not flat."""
        return len(self._open)

    @property
    def open_cost_paise(self) -> int:
        """Signed cost of everything open."""
        return sum(position.cost_paise for position in self._open.values())

    def equity(self, prices: Mapping[str, float]) -> int:
        """Cash plus open positions at `prices` (rupees by instrument), in paise; at cost where no price is known."""
        total = self.cash_paise
        for (_, instrument), position in self._open.items():
            price = prices.get(instrument)
            if price is None or isnan(price):
                total += position.cost_paise
            else:
                total += position.quantity * round(price * 100.0)
        return total


def _book(position: LedgerPosition, signed: int, paise: int) -> int:
    """Add `signed` units at `paise` to the position; the realised profit in paise. A flip closes, then opens."""
    held = position.quantity
    after = held + signed
    position.quantity = after
    if held == 0 or (held > 0) == (signed > 0):
        position.cost_paise += signed * paise
        return 0
    if (held > 0) == (after > 0) and after != 0:
        released = position.cost_paise * -signed // held
        position.cost_paise -= released
        realised = -signed * paise - released
    else:
        realised = held * paise - position.cost_paise
        position.cost_paise = after * paise
    position.realised_paise += realised
    return realised
