"""What trading costs: brokerage, taxes and fees by date of effect, in integer paise.

Every rate is an integer of rupees a crore of turnover (1 = 0.00001 %), so that each component is exact before it
is rounded. A fill's components are rounded half-up to the paisa each. A contract note rounds differently: it adds up
first, and rounds STT and stamp duty to the rupee (`contract_note`); ledgers book fills and can settle the
difference when the note arrives.

Sources: Finance Acts 2023, 2024, 2026 (STT); exchange circulars on transaction charges of Mar 2023, Mar and Sep 2024,
Feb 2026 (NSE) and Nov 2023, May and Sep 2024 (BSE); Indian Stamp Rules 2020; SEBI fee of Rs 10 a crore; GST 18 %.
"""

# ruff: noqa: ARG002 - the simple models take all that the protocol gives and use less of it

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import msgspec

from sos_actors.errors import InputError
from sos_actors.messages import Side

_CRORE = 10_000_000
_GST_PERCENT = 18


class ChargeBreakdown(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Charges by component, paise. `brokerage` holds the whole sum where a model has one rate for everything."""

    brokerage: int = 0
    stt: int = 0
    transaction: int = 0
    ipft: int = 0
    sebi: int = 0
    stamp: int = 0
    gst: int = 0

    @property
    def total(self) -> int:
        """All components together, paise."""
        return self.brokerage + self.stt + self.transaction + self.ipft + self.sebi + self.stamp + self.gst

    def __add__(self, other: ChargeBreakdown) -> ChargeBreakdown:
        return ChargeBreakdown(
            brokerage=self.brokerage + other.brokerage,
            stt=self.stt + other.stt,
            transaction=self.transaction + other.transaction,
            ipft=self.ipft + other.ipft,
            sebi=self.sebi + other.sebi,
            stamp=self.stamp + other.stamp,
            gst=self.gst + other.gst,
        )


class NoteFill(NamedTuple):
    """One line of a contract note. `executed_orders`: orders this line completes (0 for a further part of one)."""

    kind: str
    exchange: str
    side: Side
    quantity: int
    price: float
    executed_orders: int = 1


class ChargeModel(Protocol):
    """What a fill costs. `kind` is OPT or FUT, `exchange` NSE or BSE, quantity units, price rupees."""

    def charges(
        self, kind: str, exchange: str, side: Side, quantity: int, price: float, day: dt.date, executed_orders: int = 1
    ) -> ChargeBreakdown:
        """Charges of one fill; `executed_orders` 0 when the order's brokerage was booked with an earlier fill."""
        ...

    def exercise(self, exchange: str, quantity: int, intrinsic: float, day: dt.date) -> ChargeBreakdown:
        """Charges of a long option that expires `intrinsic` rupees a unit in the money."""
        ...


class ChargeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the broker itself takes."""

    #: Rupees an executed order (each slice of a sliced one), before GST.
    brokerage_per_order: float = 20.0

    def __post_init__(self) -> None:
        """Check the value; raises ValueError."""
        if self.brokerage_per_order < 0:
            raise ValueError(f"charges.brokerage_per_order is {self.brokerage_per_order}: write 0 or more")


class Rates(NamedTuple):
    """Rates of one kind on one exchange on one day, rupees a crore of turnover (an option's is its premium)."""

    stt_sell: int
    transaction: int
    ipft: int
    stamp_buy: int
    sebi: int = 10


#: A rate by date of effect, newest first.
_Dated = tuple[tuple[dt.date, int], ...]

_FROM = dt.date(2023, 4, 1)
_APR_2024 = dt.date(2024, 4, 1)
_OCT_2024 = dt.date(2024, 10, 1)
_MAR_2026 = dt.date(2026, 3, 1)
_APR_2026 = dt.date(2026, 4, 1)

_STT_SELL: dict[str, _Dated] = {
    "OPT": ((_APR_2026, 15_000), (_OCT_2024, 10_000), (_FROM, 6_250)),
    "FUT": ((_APR_2026, 5_000), (_OCT_2024, 2_000), (_FROM, 1_250)),
}
_STT_EXERCISE: _Dated = ((_APR_2026, 15_000), (_FROM, 12_500))
_TRANSACTION: dict[tuple[str, str], _Dated] = {
    ("NSE", "OPT"): ((_MAR_2026, 3_552), (_OCT_2024, 3_503), (_APR_2024, 4_950), (_FROM, 5_000)),
    ("NSE", "FUT"): ((_MAR_2026, 182), (_OCT_2024, 173), (_APR_2024, 188), (_FROM, 190)),
    # SENSEX and BANKEX; before November 2023 one rate, then by the broker's turnover: the highest slab is taken.
    ("BSE", "OPT"): ((_OCT_2024, 3_250), (dt.date(2024, 5, 13), 4_950), (dt.date(2023, 11, 1), 3_750), (_FROM, 500)),
    ("BSE", "FUT"): ((_FROM, 0),),
}
_IPFT: dict[tuple[str, str], _Dated] = {
    ("NSE", "OPT"): ((_MAR_2026, 1), (_FROM, 50)),
    ("NSE", "FUT"): ((_MAR_2026, 1), (_FROM, 10)),
    ("BSE", "OPT"): ((_FROM, 0),),
    ("BSE", "FUT"): ((_FROM, 0),),
}
#: Stamp duty of buyers.
_STAMP = {"OPT": 300, "FUT": 200}


class ChargeSchedule:
    """Charges of an Indian discount broker on index options and futures by date; InputError before April 2023."""

    def __init__(self, settings: ChargeSettings | None = None) -> None:
        self._brokerage = round((settings or ChargeSettings()).brokerage_per_order * 100)
        self._rates: dict[tuple[str, str, dt.date], Rates] = {}

    def rates(self, kind: str, exchange: str, day: dt.date) -> Rates:
        """Rates in force on `day`; raises InputError for an unknown kind, exchange, or a day before the tables."""
        key = (kind, exchange, day)
        found = self._rates.get(key)
        if found is None:
            if (exchange, kind) not in _TRANSACTION:
                raise InputError(f"charges of '{kind}' on '{exchange}': known are OPT and FUT on NSE and BSE")
            found = Rates(
                stt_sell=_in_force(_STT_SELL[kind], day),
                transaction=_in_force(_TRANSACTION[exchange, kind], day),
                ipft=_in_force(_IPFT[exchange, kind], day),
                stamp_buy=_STAMP[kind],
            )
            self._rates[key] = found
        return found

    def charges(
        self, kind: str, exchange: str, side: Side, quantity: int, price: float, day: dt.date, executed_orders: int = 1
    ) -> ChargeBreakdown:
        """Charges of one fill, each component to the paisa."""
        rates = self.rates(kind, exchange, day)
        turnover = round(quantity * price * 100)
        brokerage = self._brokerage * executed_orders
        transaction = _share(turnover, rates.transaction)
        ipft = _share(turnover, rates.ipft)
        sebi = _share(turnover, rates.sebi)
        return ChargeBreakdown(
            brokerage=brokerage,
            stt=_share(turnover, rates.stt_sell) if side is Side.SELL else 0,
            transaction=transaction,
            ipft=ipft,
            sebi=sebi,
            stamp=_share(turnover, rates.stamp_buy) if side is Side.BUY else 0,
            gst=_gst(brokerage + transaction + ipft + sebi),
        )

    def exercise(self, exchange: str, quantity: int, intrinsic: float, day: dt.date) -> ChargeBreakdown:
        """STT on the intrinsic value of a long option exercised at expiry; the exchange and broker take nothing."""
        return ChargeBreakdown(stt=_share(round(quantity * intrinsic * 100), _in_force(_STT_EXERCISE, day)))

    def contract_note(self, fills: Iterable[NoteFill], day: dt.date) -> ChargeBreakdown:
        """Charges of a day's note: turnovers added up before rounding, STT and stamp duty to the rupee, half up."""
        turnover: dict[tuple[str, str, Side], int] = {}
        orders = 0
        for fill in fills:
            key = (fill.kind, fill.exchange, fill.side)
            turnover[key] = turnover.get(key, 0) + round(fill.quantity * fill.price * 100)
            orders += fill.executed_orders
        # Sums of paise x rate: the division by a crore comes last.
        stt = transaction = ipft = sebi = stamp = 0
        for (kind, exchange, side), paise in turnover.items():
            rates = self.rates(kind, exchange, day)
            transaction += paise * rates.transaction
            ipft += paise * rates.ipft
            sebi += paise * rates.sebi
            if side is Side.SELL:
                stt += paise * rates.stt_sell
            else:
                stamp += paise * rates.stamp_buy
        brokerage = self._brokerage * orders
        fees = [_half_up(scaled, _CRORE) for scaled in (transaction, ipft, sebi)]
        return ChargeBreakdown(
            brokerage=brokerage,
            stt=_half_up(stt, _CRORE * 100) * 100,
            transaction=fees[0],
            ipft=fees[1],
            sebi=fees[2],
            stamp=_half_up(stamp, _CRORE * 100) * 100,
            gst=_gst(brokerage + sum(fees)),
        )


class FlatCharges:
    """One fraction of the turnover on each side, for comparing strategies under a simple assumption."""

    def __init__(self, rate: float) -> None:
        if not 0.0 <= rate < 1.0:
            raise InputError(f"flat charges of {rate}: give a fraction of turnover, e.g. 0.0005 for 0.05 %")
        self._rate = rate

    def charges(
        self, kind: str, exchange: str, side: Side, quantity: int, price: float, day: dt.date, executed_orders: int = 1
    ) -> ChargeBreakdown:
        """Give the rate times the turnover, to the paisa."""
        return ChargeBreakdown(brokerage=round(quantity * price * 100 * self._rate))

    def exercise(self, exchange: str, quantity: int, intrinsic: float, day: dt.date) -> ChargeBreakdown:
        """Give the rate times the value received, to the paisa."""
        return ChargeBreakdown(brokerage=round(quantity * intrinsic * 100 * self._rate))


def _half_up(value: int, divisor: int) -> int:
    return (value + divisor // 2) // divisor


def _share(turnover_paise: int, rate: int) -> int:
    return _half_up(turnover_paise * rate, _CRORE)


def _gst(fees_paise: int) -> int:
    return _half_up(fees_paise * _GST_PERCENT, 100)


def _in_force(dated: _Dated, day: dt.date) -> int:
    for since, rate in dated:
        if day >= since:
            return rate
    raise InputError(f"charges on {day}: the tables begin on {dated[-1][0]}; use flat charges before")
