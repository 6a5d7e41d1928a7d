"""The broker's instrument master: index contracts and indices, as the file of one day lists them."""

from __future__ import annotations

import datetime as dt
import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from sos_actors.decoding import from_json
from sos_actors.errors import InputError
from sos_actors.market.clocktime import ist_date
from sos_actors.market.ids import EXCHANGE_OF, future_id, index_id, option_id
from sos_actors.messages import Right

_MS = 1_000_000
_SEGMENTS = {"NSE_FO": "NSE", "BSE_FO": "BSE"}
#: Upstox's keys of the indices we know, as its instrument file writes them.
INDEX_KEYS = {
    "NIFTY": "NSE_INDEX|Nifty 50",
    "BANKNIFTY": "NSE_INDEX|Nifty Bank",
    "FINNIFTY": "NSE_INDEX|Nifty Fin Service",
    "MIDCPNIFTY": "NSE_INDEX|NIFTY MID SELECT",
    "NIFTYNXT50": "NSE_INDEX|Nifty Next 50",
    "INDIAVIX": "NSE_INDEX|India VIX",
    "SENSEX": "BSE_INDEX|SENSEX",
    "BANKEX": "BSE_INDEX|BANKEX",
}
_UNDERLYING_OF_INDEX = {key: underlying for underlying, key in INDEX_KEYS.items()}
_GZIP_MAGIC = b"\x1f\x8b"


class Instrument(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One index, future or option. Prices in rupees, quantities in units; an index has none of either (0)."""

    id: str
    upstox_key: str
    exchange: str
    kind: str
    underlying: str
    trading_symbol: str
    expiry: dt.date | None = None
    strike: float | None = None
    right: Right | None = None
    lot_size: int = 0
    freeze_quantity: int = 0
    tick_size: float = 0.0
    weekly: bool = False


class _Row(msgspec.Struct, gc=False):
    """The fields of a master row that matter here; every other is skipped while decoding. Any can be null."""

    segment: str | None = None
    instrument_type: str | None = None
    instrument_key: str | None = None
    trading_symbol: str | None = None
    underlying_symbol: str | None = None
    underlying_key: str | None = None
    name: str | None = None
    expiry: int | None = None
    strike_price: float | None = None
    lot_size: float | None = None
    freeze_quantity: float | None = None
    tick_size: float | None = None
    weekly: bool | None = None


class InstrumentTable:
    """Instruments by canonical id, by Upstox key, and by underlying and expiry."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._by_id: dict[str, Instrument] = {}
        self._by_key: dict[str, Instrument] = {}
        self._options: dict[tuple[str, dt.date], list[Instrument]] = {}
        self._futures: dict[str, list[Instrument]] = {}
        for item in instruments:
            self._by_id[item.id] = item
            self._by_key[item.upstox_key] = item
        for item in self._by_id.values():
            if item.kind == "OPT" and item.expiry is not None:
                self._options.setdefault((item.underlying, item.expiry), []).append(item)
            elif item.kind == "FUT":
                self._futures.setdefault(item.underlying, []).append(item)
        for options in self._options.values():
            options.sort(key=lambda item: (item.strike or 0.0, item.right or ""))
        for futures in self._futures.values():
            futures.sort(key=lambda item: item.expiry or dt.date.max)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_id.values())

    def by_id(self, instrument: str) -> Instrument | None:
        """Instrument of a canonical id, None when it is not listed."""
        return self._by_id.get(instrument)

    def by_key(self, upstox_key: str) -> Instrument | None:
        """Instrument of an Upstox key such as 'NSE_FO|43885', None when it is not listed."""
        return self._by_key.get(upstox_key)

    def expiries(self, underlying: str) -> tuple[dt.date, ...]:
        """Expiries with options listed, ascending."""
        return tuple(sorted(expiry for name, expiry in self._options if name == underlying))

    def options(self, underlying: str, expiry: dt.date) -> tuple[Instrument, ...]:
        """Options of one expiry by strike, calls before puts."""
        return tuple(self._options.get((underlying, expiry), ()))

    def futures(self, underlying: str) -> tuple[Instrument, ...]:
        """Futures, nearest expiry first."""
        return tuple(self._futures.get(underlying, ()))


def read_master(path: Path | str) -> InstrumentTable:
    """Read Upstox's instrument file (.json or .json.gz): the indices we know, their options and futures.

    Everything else in the file (equities, commodities, currencies, other indices) is left out. `tick_size` is in
    paise there and in rupees here. Raises InputError when the file is missing, no gzip or JSON of that shape, or holds
    no index contract.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"instrument file {path}: {error.strerror}; fetch it with `instruments`") from None
    try:
        rows = from_json(gzip.decompress(raw) if raw[:2] == _GZIP_MAGIC else raw, list[_Row])
        table = InstrumentTable(item for item in map(_instrument, rows) if item is not None)
    except (gzip.BadGzipFile, EOFError, zlib.error, msgspec.DecodeError, ValueError, OverflowError) as error:
        raise InputError(f"instrument file {path}: {error}; fetch it again with `instruments`") from None
    if not any(item.kind != "INDEX" for item in table):
        raise InputError(f"instrument file {path}: no index options or futures in it; use the 'complete' file")
    return table


def _instrument(row: _Row) -> Instrument | None:
    if row.instrument_type == "INDEX":
        return _index(row)
    exchange = _SEGMENTS.get(row.segment or "")
    # The name of the underlying is not in every row: a chain without half of its options would go unnoticed.
    underlying = row.underlying_symbol or _UNDERLYING_OF_INDEX.get(row.underlying_key or "") or row.name or ""
    if exchange is None or EXCHANGE_OF.get(underlying) != exchange or row.expiry is None:
        return None
    expiry = ist_date(row.expiry * _MS)
    if row.instrument_type == "FUT":
        instrument, strike, right = future_id(underlying, expiry), None, None
    elif row.instrument_type in {"CE", "PE"} and row.strike_price is not None:
        strike, right = row.strike_price, Right(row.instrument_type)
        instrument = option_id(underlying, expiry, strike, right)
    else:
        return None
    if not row.instrument_key or not row.lot_size or not row.tick_size:
        raise ValueError(f"{row.instrument_key} '{row.trading_symbol}' has no key, lot or tick size")
    return Instrument(
        id=instrument,
        upstox_key=row.instrument_key,
        exchange=exchange,
        kind="FUT" if right is None else "OPT",
        underlying=underlying,
        trading_symbol=row.trading_symbol or "",
        expiry=expiry,
        strike=strike,
        right=right,
        lot_size=int(row.lot_size),
        freeze_quantity=int(row.freeze_quantity or 0),
        tick_size=rupees_of_tick(row.tick_size),
        weekly=bool(row.weekly),
    )


def rupees_of_tick(told: float) -> float:
    """Give a tick in rupees: the broker writes paise (5.0), its older files rupees (0.05); no tick is below a paisa."""
    return told / 100.0 if told >= 1.0 else told


def _index(row: _Row) -> Instrument | None:
    key = row.instrument_key or ""
    underlying = _UNDERLYING_OF_INDEX.get(key)
    if underlying is None:
        return None
    return Instrument(
        id=index_id(underlying),
        upstox_key=key,
        exchange=EXCHANGE_OF[underlying],
        kind="INDEX",
        underlying=underlying,
        trading_symbol=row.trading_symbol or underlying,
    )
