"""What an observer may know of the desk and its trades."""

from __future__ import annotations

import msgspec

from sos_actors.messages import Side


class TradeView(msgspec.Struct, frozen=True):
    """What an observer may know of a live trade. Quantities in units, prices in rupees.

    `orders` are those at work: id, role, side, status, units filled, units in all.
    """

    intent_id: str
    strategy: str
    instrument: str
    side: Side
    open: int
    entry_price: float
    stop: float
    target: float
    closing: str
    orders: tuple[tuple[str, str, str, str, int, int], ...]


class DeskState(msgspec.Struct, frozen=True):
    """What an observer may know of the desk. Money in paise; positions as (strategy, instrument, signed units)."""

    cash_paise: int
    realised_paise: int
    charges_paise: int
    positions: tuple[tuple[str, str, int], ...]
    trades: tuple[TradeView, ...]
    anomalies: dict[str, int]
