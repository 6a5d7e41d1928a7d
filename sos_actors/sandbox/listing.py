"""What the exchanges list on a day: contracts with the broker's keys, symbols and terms."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from sos_actors.market.contracts import freeze_quantity, tick_size
from sos_actors.market.expiries import expiries, is_monthly, monthly_expiries
from sos_actors.market.ids import EXCHANGE_OF, future_id, index_id, option_id
from sos_actors.market.instruments import INDEX_KEYS, Instrument
from sos_actors.messages import Right
from sos_actors.sandbox.schedule import Schedule

#: How far ahead weekly and monthly expiries are listed.
WEEKLY_AHEAD, MONTHLY_AHEAD = dt.timedelta(days=35), dt.timedelta(days=95)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_UNDERLYINGS = tuple(EXCHANGE_OF)
#: Segment of the derivatives of each exchange.
SEGMENT = {"NSE": "NSE_FO", "BSE": "BSE_FO"}


def listed_expiries(underlying: str, day: dt.date, schedule: Schedule) -> tuple[dt.date, ...]:
    """Every expiry of the next five weeks and the monthly ones of the next three months, ascending."""
    near = expiries(underlying, day, day + WEEKLY_AHEAD, schedule.calendar)
    far = monthly_expiries(underlying, day, day + MONTHLY_AHEAD, schedule.calendar)
    return tuple(sorted({*near, *far}))


def index_instrument(underlying: str) -> Instrument:
    """Describe an index, India VIX included."""
    return Instrument(
        id=index_id(underlying),
        upstox_key=INDEX_KEYS[underlying],
        exchange=EXCHANGE_OF[underlying],
        kind="INDEX",
        underlying=underlying,
        trading_symbol="INDIA VIX" if underlying == "INDIAVIX" else underlying,
    )


def future_instrument(underlying: str, expiry: dt.date, day: dt.date, schedule: Schedule) -> Instrument:
    """Describe a future as traded on `day`."""
    return _contract(underlying, expiry, None, None, day, schedule)


def option_instruments(
    underlying: str, expiry: dt.date, strikes: Sequence[float], day: dt.date, schedule: Schedule
) -> Iterator[Instrument]:
    """Describe calls and puts of an expiry as traded on `day`."""
    for strike in strikes:
        for right in (Right.CE, Right.PE):
            yield _contract(underlying, expiry, float(strike), right, day, schedule)


def _contract(
    underlying: str, expiry: dt.date, strike: float | None, right: Right | None, day: dt.date, schedule: Schedule
) -> Instrument:
    exchange = EXCHANGE_OF[underlying]
    date = f"{expiry.day:02} {_MONTHS[expiry.month - 1]} {expiry.year % 100:02}"
    token = f"{SEGMENT[exchange]}|{_token(underlying, expiry, strike, right)}"
    if strike is None or right is None:
        name, symbol, kind = future_id(underlying, expiry), f"{underlying} FUT {date}", "FUT"
    else:
        name, kind = option_id(underlying, expiry, strike, right), "OPT"
        symbol = f"{underlying} {strike:g} {right.value} {date}"
    return Instrument(
        id=name,
        upstox_key=token,
        exchange=exchange,
        kind=kind,
        underlying=underlying,
        trading_symbol=symbol,
        expiry=expiry,
        strike=strike,
        right=right,
        lot_size=schedule.lot_size(underlying, expiry, day),
        freeze_quantity=freeze_quantity(underlying, day),
        tick_size=tick_size(underlying, kind, day),
        weekly=not is_monthly(underlying, expiry, schedule.calendar),
    )


def _token(underlying: str, expiry: dt.date, strike: float | None, right: Right | None) -> int:
    """Number of a contract: the same on every day of its life, and reused years after, as the exchanges' are."""
    place = 0 if strike is None else round(strike / 25.0) % 8192
    side = 0 if right is Right.CE else 1
    return ((expiry.toordinal() % 512 * 8 + _UNDERLYINGS.index(underlying)) * 8192 + place) * 2 + side


def contract_of(segment: str, token: int, expiry: dt.date, day: dt.date, schedule: Schedule) -> Instrument | None:
    """Give the contract a number stands for, as traded on `day`; None when no contract of that expiry has it."""
    rest, side = divmod(token, 2)
    rest, place = divmod(rest, 8192)
    number, index = divmod(rest, 8)
    if number != expiry.toordinal() % 512 or index >= len(_UNDERLYINGS):
        return None
    underlying = _UNDERLYINGS[index]
    if SEGMENT[EXCHANGE_OF[underlying]] != segment or underlying == "INDIAVIX":
        return None
    if place == 0:
        return future_instrument(underlying, expiry, day, schedule)
    return next(iter(list(option_instruments(underlying, expiry, (place * 25.0,), day, schedule))[side:]))
