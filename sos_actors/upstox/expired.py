"""Contracts that have expired: which there were, and their candles. Needs the plan Upstox Plus (UDAPI1149).

The broker knows about six months back. An expired contract's key carries its date, `NSE_FO|47983|17-04-2025`, because
the number alone is given to another contract afterwards.
"""

from __future__ import annotations

import datetime as dt

import msgspec
from upstox_client import ExpiredInstrumentApi

from sos_actors.market.ids import EXCHANGE_OF, future_id, option_id
from sos_actors.market.instruments import INDEX_KEYS, Instrument, rupees_of_tick
from sos_actors.messages import Right
from sos_actors.upstox.client import UpstoxClient
from sos_actors.upstox.history import CandleAnswer, Row, chunks

_UNDERLYING_OF = {key: name for name, key in INDEX_KEYS.items()}


class ContractRow(msgspec.Struct):
    """One contract as the contract calls give it. Any field can be null; `expiry` is a date, `tick_size` paise."""

    instrument_key: str | None = None
    expiry: str | None = None
    instrument_type: str | None = None
    strike_price: float | None = None
    trading_symbol: str | None = None
    underlying_key: str | None = None
    underlying_symbol: str | None = None
    lot_size: float | None = None
    freeze_quantity: float | None = None
    tick_size: float | None = None
    weekly: bool | None = None

    def instrument(self) -> Instrument | None:
        """Give it as our instrument; None for what is none of ours, or lacks its key or expiry."""
        underlying = _UNDERLYING_OF.get(self.underlying_key or "") or self.underlying_symbol or ""
        if underlying not in EXCHANGE_OF or not self.instrument_key or not self.expiry:
            return None
        try:
            expiry = dt.date.fromisoformat(self.expiry[:10])
        except ValueError:
            return None
        right = Right(self.instrument_type) if self.instrument_type in {"CE", "PE"} else None
        if right is None and self.instrument_type != "FUT":
            return None
        if right is not None and not self.strike_price:
            return None
        strike = self.strike_price if right is not None else None
        return Instrument(
            id=future_id(underlying, expiry) if right is None else option_id(underlying, expiry, strike or 0.0, right),
            upstox_key=self.instrument_key,
            exchange=EXCHANGE_OF[underlying],
            kind="FUT" if right is None else "OPT",
            underlying=underlying,
            trading_symbol=self.trading_symbol or "",
            expiry=expiry,
            strike=strike,
            right=right,
            lot_size=int(self.lot_size or 0),
            freeze_quantity=int(self.freeze_quantity or 0),
            tick_size=rupees_of_tick(self.tick_size or 0.0),
            weekly=bool(self.weekly),
        )


class _Dates(msgspec.Struct):
    data: list[str] | None = None


class ContractAnswer(msgspec.Struct):
    """The envelope of the contract calls."""

    data: list[ContractRow] | None = None

    def instruments(self) -> list[Instrument]:
        """Give our contracts among the rows, by strike, calls first."""
        found = [one for row in self.data or () if (one := row.instrument()) is not None]
        return sorted(found, key=lambda one: (one.strike or 0.0, one.right or ""))


class ExpiredContracts:
    """What the broker knows of the expired contracts of an underlying. Every method raises BrokerError."""

    def __init__(self, client: UpstoxClient, *, patience_s: float) -> None:
        """`patience_s`: seconds a request may wait for the rate limit."""
        self._client, self._api, self._patience_s = client, ExpiredInstrumentApi(client.api), patience_s

    def expiries(self, underlying: str) -> tuple[dt.date, ...]:
        """Give the past expiries it knows, oldest first."""
        answer = self._client.call(
            f"past expiries of {underlying}", self._api.get_expiries, INDEX_KEYS[underlying],
            answer=_Dates, patience_s=self._patience_s,
        )  # fmt: skip
        return tuple(sorted({dt.date.fromisoformat(text[:10]) for text in answer.data or ()}))

    def options(self, underlying: str, expiry: dt.date) -> list[Instrument]:
        """Give the options of a past expiry by strike, calls before puts."""
        return self._client.call(
            f"options of {underlying} that expired on {expiry}", self._api.get_expired_option_contracts,
            INDEX_KEYS[underlying], expiry.isoformat(), answer=ContractAnswer, patience_s=self._patience_s,
        ).instruments()  # fmt: skip

    def futures(self, underlying: str, expiry: dt.date) -> list[Instrument]:
        """Give the futures of a past expiry: one, or none."""
        return self._client.call(
            f"futures of {underlying} that expired on {expiry}", self._api.get_expired_future_contracts,
            INDEX_KEYS[underlying], expiry.isoformat(), answer=ContractAnswer, patience_s=self._patience_s,
        ).instruments()  # fmt: skip

    def candles(self, key: str, first: dt.date, last: dt.date) -> list[Row]:
        """Give one-minute rows from `first` to `last`, both included, oldest first."""
        rows: list[Row] = []
        for start, end in chunks(first, last):
            rows += self._client.call(
                f"candles of {key} from {start} to {end}", self._api.get_expired_historical_candle_data,
                key, "1minute", end.isoformat(), start.isoformat(), answer=CandleAnswer, patience_s=self._patience_s,
            ).rows()  # fmt: skip
        return rows
