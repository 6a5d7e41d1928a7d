"""What a text means among the instruments of a day."""

from __future__ import annotations

from sos_actors.errors import InputError
from sos_actors.market.instruments import Instrument, InstrumentTable
from sos_actors.market.symbols import SymbolMaster


def matching(table: InstrumentTable, text: str) -> list[Instrument]:
    """Give what a name, key or id means; else every instrument whose symbol, key or id has all words of the text."""
    try:
        one = table.by_id(SymbolMaster(table).parse(text))
        if one is not None:
            return [one]
    except InputError:
        pass
    words = text.upper().split()
    found = [
        one for one in table if all(word in f"{one.trading_symbol} {one.upstox_key} {one.id}".upper() for word in words)
    ]
    return sorted(found, key=lambda one: (one.underlying, str(one.expiry or ""), one.strike or 0.0, one.id))
