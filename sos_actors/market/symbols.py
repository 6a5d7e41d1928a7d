"""What people, files and brokers call an instrument, to its canonical id and back."""

from __future__ import annotations

import datetime as dt
import difflib
import re

from sos_actors.errors import InputError
from sos_actors.market.calendar import INDIA, TradingCalendar
from sos_actors.market.expiries import MONTHLY, monthly_expiries
from sos_actors.market.ids import EXCHANGE_OF, InstrumentId, future_id, index_id, option_id, parse_id
from sos_actors.market.instruments import INDEX_KEYS, Instrument, InstrumentTable
from sos_actors.messages import Right

#: Other spellings of the underlyings, in capitals without blanks.
_ALIASES = {
    "NIFTY50": "NIFTY",
    "NSENIFTY": "NIFTY",
    "NIFTYBANK": "BANKNIFTY",
    "BANKNIFTY": "BANKNIFTY",
    "NIFTYFINSERVICE": "FINNIFTY",
    "NIFTYFINANCIALSERVICES": "FINNIFTY",
    "NIFTYMIDSELECT": "MIDCPNIFTY",
    "NIFTYMIDCAPSELECT": "MIDCPNIFTY",
    "MIDCAPNIFTY": "MIDCPNIFTY",
    "NIFTYNEXT50": "NIFTYNXT50",
    "VIX": "INDIAVIX",
    "BSESENSEX": "SENSEX",
    "BSEBANKEX": "BANKEX",
}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTH = "|".join(_MONTHS)
_NAMES = "|".join(sorted(MONTHLY, key=len, reverse=True))
_LONG_OPTION = re.compile(r"(.+?) (\d+(?:\.\d+)?) (CE|PE) (\d{1,2}) ?(" + _MONTH + r") ?(\d{2}|\d{4})")
_LONG_FUTURE = re.compile(r"(.+?) FUT (\d{1,2}) ?(" + _MONTH + r") ?(\d{2}|\d{4})")
_SHORT_MONTHLY = re.compile(rf"({_NAMES})(\d{{2}})({_MONTH})(?:(\d+(?:\.\d+)?)(CE|PE)|FUT)")
#: Weekly contracts: year, month as 1-9, O, N, D, day.
_SHORT_WEEKLY = re.compile(rf"({_NAMES})(\d{{2}})([1-9OND])(\d{{2}})(\d+(?:\.\d+)?)(CE|PE)")


class SymbolMaster:
    """Names of instruments. With an instrument table it maps contracts to Upstox keys; without, indices only.

    Understood, in any case and with any blanks: 'NIFTY', 'nifty 50', 'NIFTY 25550 PE 20 JAN 26',
    'NIFTY FUT 27 JAN 26', 'BANKNIFTY26JAN59000CE' (monthly), 'NIFTY2611325550PE' (weekly: 13 January 2026),
    'NSE_INDEX|Nifty 50', 'NSE_FO|43885' (listed ones), 'NSE_FO|43885|20-01-2026' likewise, and canonical ids.
    """

    def __init__(self, table: InstrumentTable | None = None, calendar: TradingCalendar = INDIA) -> None:
        self._table = table
        self._calendar = calendar
        self._index_of_key = {key.casefold(): index_id(name) for name, key in INDEX_KEYS.items()}

    def parse(self, text: str) -> str:
        """Canonical id of whatever `text` names; raises InputError with the nearest names when it names nothing."""
        symbol = " ".join(text.upper().split())
        if "|" in symbol:
            return self._parse_key(text.strip())
        underlying = underlying_named(symbol)
        if underlying is not None:
            return index_id(underlying)
        for reader in (self._long_option, self._long_future, self._short_monthly, self._short_weekly):
            instrument = reader(symbol)
            if instrument is not None:
                return instrument
        raise InputError(f"symbol '{text}': unknown{self._suggestions(symbol)}")

    def upstox_key(self, instrument: str) -> str:
        """Upstox's key of a canonical id; raises InputError when the table of the day does not list it."""
        parts = parse_id(instrument)
        if parts.kind == "INDEX" and parts.underlying in INDEX_KEYS:
            return INDEX_KEYS[parts.underlying]
        return self.instrument(instrument).upstox_key

    def instrument(self, instrument: str) -> Instrument:
        """Everything the master says of a canonical id; raises InputError when it is not listed."""
        if self._table is None:
            raise InputError(f"{instrument}: no instrument file is loaded; fetch one with `instruments`")
        found = self._table.by_id(instrument)
        if found is None:
            raise InputError(f"{instrument}: not in the instrument file of the day; is it listed, and the file fresh?")
        return found

    def _parse_key(self, text: str) -> str:
        index = self._index_of_key.get(text.casefold())
        if index is not None:
            return index
        segment, _, rest = text.upper().partition("|")
        if segment in EXCHANGE_OF.values():
            parts = parse_id(text.upper())
            if EXCHANGE_OF.get(parts.underlying) != parts.exchange:
                raise InputError(f"instrument id '{text}': {parts.underlying} is not on {parts.exchange}")
            return _canonical(parts)
        token, _, expiry = rest.partition("|")
        found = self._table.by_key(f"{segment}|{token}") if self._table is not None else None
        if found is None or (expiry and found.expiry != _key_date(expiry)):
            raise InputError(f"key '{text}': not in the instrument file of the day{self._suggestions(text.upper())}")
        return found.id

    def _long_option(self, symbol: str) -> str | None:
        match = _LONG_OPTION.fullmatch(symbol)
        underlying = match and underlying_named(match[1])
        if not match or not underlying:
            return None
        return option_id(underlying, _date(symbol, match[4], match[5], match[6]), float(match[2]), Right(match[3]))

    def _long_future(self, symbol: str) -> str | None:
        match = _LONG_FUTURE.fullmatch(symbol)
        underlying = match and underlying_named(match[1])
        if not match or not underlying:
            return None
        return future_id(underlying, _date(symbol, match[2], match[3], match[4]))

    def _short_monthly(self, symbol: str) -> str | None:
        match = _SHORT_MONTHLY.fullmatch(symbol)
        if not match:
            return None
        underlying, strike, right = match[1], match[4], match[5]
        first = dt.date(2000 + int(match[2]), _MONTHS.index(match[3]) + 1, 1)
        last = (first + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
        listed = self._listed_in(underlying, first, last)
        expiry = listed[-1] if listed else monthly_expiries(underlying, first, last, self._calendar)[0]
        return option_id(underlying, expiry, float(strike), Right(right)) if right else future_id(underlying, expiry)

    def _short_weekly(self, symbol: str) -> str | None:
        match = _SHORT_WEEKLY.fullmatch(symbol)
        if not match:
            return None
        month = "123456789OND".index(match[3])
        expiry = _date(symbol, match[4], _MONTHS[month], match[2])
        return option_id(match[1], expiry, float(match[5]), Right(match[6]))

    def _listed_in(self, underlying: str, first: dt.date, last: dt.date) -> list[dt.date]:
        if self._table is None:
            return []
        return [expiry for expiry in self._table.expiries(underlying) if first <= expiry <= last]

    def _suggestions(self, symbol: str) -> str:
        names = {*EXCHANGE_OF, *_ALIASES, *(key.upper() for key in INDEX_KEYS.values())}
        near = difflib.get_close_matches(symbol, sorted(names), n=3, cutoff=0.6)
        if not near and self._table is not None:
            underlying = underlying_named(symbol.partition(" ")[0])
            symbols = [item.trading_symbol for item in self._table if item.underlying == underlying]
            near = difflib.get_close_matches(symbol, symbols, n=3, cutoff=0.8)
        if near:
            return "; did you mean " + ", ".join(f"'{name}'" for name in near) + "?"
        return "; write NIFTY, 'NIFTY 25550 PE 20 JAN 26' or 'NSE_INDEX|Nifty 50'"


def _canonical(parts: InstrumentId) -> str:
    if parts.expiry is None:
        return index_id(parts.underlying)
    if parts.strike is None or parts.right is None:
        return future_id(parts.underlying, parts.expiry)
    return option_id(parts.underlying, parts.expiry, parts.strike, parts.right)


def underlying_named(text: str) -> str | None:
    """Give the underlying that a text in capitals names ('NIFTY BANK'), if it names one and nothing else."""
    name = text.replace(" ", "").replace("-", "")
    name = _ALIASES.get(name, name)
    return name if name in EXCHANGE_OF else None


def _date(symbol: str, day: str, month: str, year: str) -> dt.date:
    try:
        return dt.date(int(year) if len(year) == 4 else 2000 + int(year), _MONTHS.index(month) + 1, int(day))
    except ValueError:
        raise InputError(f"symbol '{symbol}': there is no {day} {month} {year}") from None


def _key_date(text: str) -> dt.date | None:
    """Date of an expired contract's key, 'DD-MM-YYYY'; None when it is none."""
    day, _, rest = text.partition("-")
    month, _, year = rest.partition("-")
    try:
        return dt.date(int(year), int(month), int(day))
    except ValueError:
        return None
