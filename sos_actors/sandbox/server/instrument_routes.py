"""Routes of the instrument master and of the search over it."""

from __future__ import annotations

import datetime as dt
import gzip
from typing import Any

import msgspec
from aiohttp import web

from sos_actors.market.clocktime import DAY_NS, SECOND_NS, midnight_ns
from sos_actors.market.instruments import INDEX_KEYS, Instrument, InstrumentTable
from sos_actors.sandbox.exchange.answers import Answer, Refusal, page, success
from sos_actors.sandbox.listing import SEGMENT
from sos_actors.sandbox.server.service import Service

_FOLDER = "/market-quote/instruments/exchange"
_MAX_ROWS = 30
#: Numbers of the indices at their exchanges.
_INDEX_TOKENS = {"NIFTY": "26000", "BANKNIFTY": "26009", "INDIAVIX": "26017", "SENSEX": "1", "BANKEX": "12"}


def add_routes(app: web.Application, service: Service) -> None:
    """Add the master's files and the search."""
    routes = InstrumentRoutes(service)
    app.router.add_get(_FOLDER + "/{name}.json.gz", routes.master)
    app.router.add_get("/v2/instruments/search", routes.search)


def master_row(item: Instrument) -> dict[str, Any]:
    """Describe an instrument as the master file does: tick size in paise, expiry the last second of its day, ms."""
    segment, _, token = item.upstox_key.partition("|")
    if item.kind == "INDEX":
        return {
            "segment": segment,
            "name": token,
            "exchange": item.exchange,
            "instrument_type": "INDEX",
            "instrument_key": item.upstox_key,
            "exchange_token": _INDEX_TOKENS.get(item.underlying, token),
            "trading_symbol": item.trading_symbol,
        }
    assert item.expiry is not None  # contracts have one
    return {
        "weekly": item.weekly,
        "segment": segment,
        "name": item.underlying,
        "exchange": item.exchange,
        "expiry": (midnight_ns(item.expiry) + DAY_NS - SECOND_NS) // 1_000_000,
        "instrument_type": item.right.value if item.right is not None else "FUT",
        "underlying_symbol": item.underlying,
        "instrument_key": item.upstox_key,
        "lot_size": item.lot_size,
        "freeze_quantity": float(item.freeze_quantity),
        "exchange_token": token,
        "minimum_lot": item.lot_size,
        "underlying_key": underlying_key(item.underlying),
        "tick_size": round(item.tick_size * 100, 2),
        "underlying_type": "INDEX",
        "trading_symbol": item.trading_symbol,
        "strike_price": item.strike or 0.0,
    }


def contract_row(item: Instrument, *, key: str = "") -> dict[str, Any]:
    """Describe a contract as the option-contract calls do: like the master, but the expiry is a date."""
    row = master_row(item)
    row["expiry"] = item.expiry.isoformat() if item.expiry is not None else None
    row["freeze_quantity"] = item.freeze_quantity
    return {**row, "instrument_key": key or item.upstox_key}


def underlying_key(underlying: str) -> str:
    """Give the broker's key of an underlying's index."""
    return INDEX_KEYS[underlying]


class InstrumentRoutes:
    """Handlers of files and search."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._files: dict[tuple[int, str], bytes] = {}

    async def master(self, request: web.Request) -> web.StreamResponse:
        """Give a file of the day: complete, NSE or BSE; others are empty, and 403 for who does not say what he is."""
        if not request.headers.get("User-Agent"):
            return await self._service.give(request, page(403, "403 Forbidden"))
        name = request.match_info["name"]
        table = self._service.world.market.table
        key = (id(table), name)
        if key not in self._files:
            self._files = {old: raw for old, raw in self._files.items() if old[0] == id(table)}
            self._files[key] = _file(table, name)
        return web.Response(body=self._files[key], content_type="application/gzip")

    async def search(self, request: web.Request) -> web.StreamResponse:
        """Search by words of the trading symbol; pages of up to 30 rows."""
        query = request.query

        def work() -> list[dict[str, Any]]:
            return [contract_row(item) for item in self._found(dict(query))]

        service, first, size = self._service, _number(query, "page_number", 1), _number(query, "records", 10)
        if not 1 <= size <= _MAX_ROWS or first < 1:
            refusal = Refusal("100036", f"records is 1 to {_MAX_ROWS}, page_number 1 or more", path="records")
            return await service.give(request, refusal.answer())
        answer = service.world.exchange.market(
            "search", service.clock.now_ns(), service.caller(request), lambda: _paged(work(), first, size)
        )
        return await service.give(request, answer)

    def _found(self, query: dict[str, str]) -> list[Instrument]:
        words = query.get("query", "").upper().split()
        if not words:
            raise Refusal("100036", "query is required", path="query")
        wanted = {name: _list(query.get(name, "")) for name in ("exchanges", "segments", "instrument_types", "expiry")}
        found = []
        for item in self._service.world.market.table:
            row = master_row(item)
            kind, day = row["instrument_type"], item.expiry.isoformat() if item.expiry else ""
            facts = {
                "exchanges": item.exchange,
                "segments": row["segment"],
                "instrument_types": kind,
                "expiry": day,
            }
            text = f"{item.trading_symbol} {row['name']}".upper()
            if all(word in text for word in words) and all(
                not options or facts[name].upper() in options for name, options in wanted.items()
            ):
                found.append(item)
        return found


def _paged(rows: list[dict[str, Any]], number: int, size: int) -> Answer:
    shown = rows[(number - 1) * size : number * size]
    pages = {
        "page_number": number,
        "total_pages": -(-len(rows) // size),
        "records": len(shown),
        "total_records": len(rows),
    }
    return success(shown, meta_data={"page": pages})


def _file(table: InstrumentTable, name: str) -> bytes:
    segments = {f"{name}_INDEX", SEGMENT.get(name, "")}
    rows = [row for row in map(master_row, table) if name == "complete" or row["segment"] in segments]
    return gzip.compress(msgspec.json.encode(rows), compresslevel=6, mtime=0)


def _list(text: str) -> set[str]:
    return {part.strip().upper() for part in text.split(",") if part.strip()}


def _number(query: Any, name: str, default: int) -> int:
    text = query.get(name, str(default))
    return int(text) if text.isdecimal() else 0


def asked_underlying(request: web.Request, service: Service) -> str:
    """Give the underlying whose index key a request names; raises Refusal 100011."""
    key = request.query.get("instrument_key", "")
    found = next((name for name, one in INDEX_KEYS.items() if one == key), None)
    if found is None or found not in service.world.days.underlyings:
        raise Refusal("100011", "Invalid Instrument key", path="instrument_key", value=key)
    return found


def asked_expiry(request: web.Request) -> dt.date:
    """Give the expiry a request names; raises Refusal 1088."""
    text = request.query.get("expiry_date", "")
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise Refusal("1088", "expiry_date must be a date, YYYY-MM-DD", path="expiry_date", value=text) from None
