"""What the stream's topics hold: the pages' sections, put together from the source."""

from __future__ import annotations

from typing import Any

import msgspec

from sos_actors.errors import InputError
from sos_actors.market.ids import index_id
from sos_actors.web import views
from sos_actors.web.source import Source

#: Signals and trades the Now page lists.
_LISTED = 60
_FEW = 14


class Topics:
    """Reads topics from a source."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, topic: str) -> dict[str, Any]:
        """Give a topic's parts. Raises InputError for one that is not there."""
        kind, _, rest = topic.partition(" ")
        underlyings = self._source.about().underlyings
        if kind in {"now", "chain"} and rest.split(" ")[0] not in underlyings:
            raise InputError(f"topic '{topic}': there are {', '.join(underlyings)}")
        if kind == "status":
            return self._status()
        if kind == "now":
            return self._now(*rest.split(" ", 1))
        if kind == "chain":
            return self._chain(rest)
        if kind == "actors":
            return {"tree": self._source.actors()}
        if kind == "edges":
            return {"edges": self._source.edges()[:400]}
        if kind == "strategies":
            return {"strategies": self._source.strategies()}
        raise InputError(f"there is no topic '{topic}'")

    def _status(self) -> dict[str, Any]:
        status = msgspec.structs.asdict(self._source.status())
        clock = status.pop("now")
        return {"clock": clock, "status": status}

    def _now(self, underlying: str, instrument: str = "") -> dict[str, Any]:
        """Give the Now page: index, one option, chain figures over the day, trading."""
        book, index = self._source.book(), index_id(underlying)
        chains = book.chains.get(underlying, [])
        last = chains[-1] if chains else None
        return {
            "index": views.candles(index, book.bars.get(index, [])),
            "index_forming": self._source.forming(index),
            "option": views.candles(instrument, book.bars.get(instrument, [])) if instrument else None,
            "option_forming": self._source.forming(instrument) if instrument else None,
            "traded": self._instruments(underlying),
            "figures": None if last is None else views.chain_figures(last),
            "atm": None if last is None else {"strike": views.known(last.atm_strike), "expiry": str(last.expiry)},
            "series": views.chain_series(underlying, chains),
            "structure": book.structures.get(underlying) and msgspec.structs.asdict(book.structures[underlying]),
            "open": views.open_rows(book, {position.instrument for position in self._source.status().positions}),
            "trades": views.trade_rows(book)[-_LISTED:],
            "signals": views.signal_rows(book)[:_FEW],
            "performance": views.performance(book),
            "events": [{"ts": ts, "who": who, "what": what} for ts, who, what in book.events[: -_FEW - 1 : -1]],
        }

    def _instruments(self, underlying: str) -> list[str]:
        """Give contracts worth a chart: held now, then traded today, the last first, then those at the money."""
        book = self._source.book()
        held = [position.instrument for position in self._source.status().positions]
        traded = [trade.instrument for trade in reversed(list(book.trades)) if trade.underlying == underlying]
        chains = book.chains.get(underlying, [])
        money = [] if not chains else views.at_the_money(chains[-1])
        return [name for name in dict.fromkeys([*held, *traded, *money]) if f"|{underlying}|" in name][:12]

    def _chain(self, underlying: str) -> dict[str, Any]:
        book = self._source.book()
        snapshot = book.chain_at(underlying)
        return {
            "chain": None if snapshot is None else views.chain_view(book, snapshot),
            "series": views.chain_series(underlying, book.chains.get(underlying, [])),
        }
