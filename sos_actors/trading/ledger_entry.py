"""What one fill did to the books."""

from __future__ import annotations

import msgspec


class LedgerEntry(msgspec.Struct, frozen=True, gc=False):
    """What one fill did to the books. Money in paise; `quantity` is signed units, `position` and `cost` after it."""

    quantity: int
    price_paise: int
    charges_paise: int
    realised_paise: int
    position: int
    cost_paise: int
    total_realised_paise: int
    cash_paise: int

    @property
    def average_price(self) -> float:
        """Average cost of the open position in rupees a unit; 0 when flat."""
        return self.cost_paise / self.position / 100.0 if self.position else 0.0
