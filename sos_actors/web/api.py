"""The API's answers: one route a question, each with what it takes and gives, which the OpenAPI document is made of."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web
from loguru import logger

from sos_actors.control.status import DaemonStatus, OrderView, PositionView
from sos_actors.decoding import from_json
from sos_actors.errors import InputError, SosError
from sos_actors.market.clocktime import ist_ns
from sos_actors.market.ids import index_id
from sos_actors.reports.run import RunResult
from sos_actors.web import schema as s
from sos_actors.web import views
from sos_actors.web.access import Confirmations
from sos_actors.web.daybook import DayBook
from sos_actors.web.guard import API, Handler, answer
from sos_actors.web.source import ORDERS, Source

Query = Mapping[str, str]
#: Parameters that name a day: any route that reads a book takes them.
_DAY = {
    "day": "a stored day, YYYY-MM-DD; today when left out",
    "run": "name of a backtest or of a past live day, as /sessions gives it",
}
_UNDERLYING = {"underlying": "NIFTY, BANKNIFTY or SENSEX; the first when left out"}


@dataclass(frozen=True, slots=True)
class Route:
    """One question: `read` answers it from the query, on a worker's thread."""

    path: str
    summary: str
    gives: Any
    read: Callable[[Query], Any]
    takes: Mapping[str, str]


class Api:
    """Answers questions with a source."""

    def __init__(self, source: Source, *, token_needed: bool = False) -> None:
        self._source, self._token_needed = source, token_needed

    def routes(self) -> list[Route]:
        """Give every question that may be asked with GET."""
        source, day_and_name = self._source, _UNDERLYING | _DAY
        return [
            Route("/health", "Whether it answers", s.Health, lambda _: self.health(), {}),
            Route("/about", "What is looked at", s.About, lambda _: self.about(), {}),
            Route("/status", "The daemon at a glance", DaemonStatus, lambda _: source.status(), {}),
            Route("/config", "The configuration, no secrets", dict[str, Any], lambda _: source.config(), {}),
            Route("/actors", "The cast", s.ActorTree, lambda _: source.actors(), {}),
            Route(
                "/actor", "One of the cast", s.ActorState, lambda q: source.actor(_given(q, "path")),
                {"path": "its path, e.g. chain/NIFTY"},
            ),
            Route("/edges", "Who hears what", list[s.Edge], lambda _: source.edges(), {}),
            Route("/positions", "What is held", list[PositionView], lambda _: source.status().positions, {}),
            Route("/orders", "Orders at work", list[OrderView], lambda _: source.status().orders, {}),
            Route("/trades", "Round trips", list[s.TradeRow], lambda q: views.trade_rows(self.book(q)), _DAY),
            Route("/why", "Why a trade was made: phases, conditions with their values, plan, orders, fills", s.Why,
                  self.why, _DAY | {"trade": "its id, as /trades gives it"}),
            Route("/signals", "Signals, and refusals with reasons", list[s.SignalRow],
                  lambda q: views.signal_rows(self.book(q)), _DAY),
            Route("/performance", "What trading came to", s.Performance,
                  lambda q: views.performance(self.book(q)), _DAY),
            Route("/events", "What happened", list[dict[str, Any]], self.events, _DAY),
            Route("/chain", "The option chain of a minute", s.ChainView, self.chain,
                  day_and_name | {"at": "HH:MM, Indian time; the newest when left out"}),
            Route("/chain/series", "The chain's figures over the day", s.ChainSeries, self.series, day_and_name),
            Route("/chain/heat", "One figure over strike x time", s.HeatMap, self.heat,
                  day_and_name | {"field": ", ".join(views.HEAT_FIELDS), "right": "CE, PE or BOTH"}),
            Route("/candles", "Bars of an instrument", s.Candles, self.candles,
                  _DAY | {"instrument": "its id; the first index when left out"}),
            Route("/structure", "Levels of an underlying", dict[str, Any], self.structure, day_and_name),
            Route("/strategies", "Where every one stands", list[s.StrategyView], lambda _: source.strategies(), {}),
            Route("/sessions", "What can be looked at: what runs, backtests, past live days, stored days",
                  list[s.SessionRow], lambda _: self.sessions(), {}),
            Route("/start-log", "What was logged at the start", list[str], lambda _: source.start_log(), {}),
            Route("/instruments", "What a name, key or part of one means", list[dict[str, Any]],
                  lambda q: source.find(_given(q, "find")), {"find": "e.g. NIFTY 25550 PE 20 JAN 26"}),
            Route("/maintenance", "How long data is kept, and how the database was found", s.Maintenance,
                  lambda _: source.maintenance(), {}),
            Route("/run", "The result of a backtest or a past live day", RunResult,
                  lambda q: source.run_result(_given(q, "run")), {"run": "its name"}),
        ]  # fmt: skip

    def health(self) -> s.Health:
        """Say whether what stands behind answers; nothing else, for anybody may ask."""
        try:
            self._source.about()
        except SosError as error:
            return s.Health(ok=False, detail=type(error).__name__)
        return s.Health(ok=True)

    def about(self) -> s.About:
        """Say what is looked at."""
        return msgspec.structs.replace(self._source.about(), token_needed=self._token_needed)

    def sessions(self) -> list[s.SessionRow]:
        """List the running session (if any), the runs, and the days whose prices are known; the newest day first."""
        about = self._source.about()
        rows = self._source.runs()
        rows += [s.SessionRow(kind="day", name=day, day=day) for day in reversed(about.days)]
        if about.kind != "result":
            status = self._source.status()
            rows.insert(0, s.SessionRow(kind=about.kind, name=status.session, detail=f"since {status.started}"))
        return rows

    def book(self, query: Query) -> DayBook:
        """Give the book a query names."""
        text = query.get("day", "")
        try:
            day = dt.date.fromisoformat(text) if text else None
        except ValueError:
            raise InputError(f"day '{text}': write YYYY-MM-DD") from None
        return self._source.book(day, query.get("run", ""))

    def underlying(self, query: Query) -> str:
        """Give the underlying a query names, or the first."""
        names = self._source.about().underlyings
        name = query.get("underlying", "") or names[0]
        if name not in names:
            raise InputError(f"underlying '{name}': there are {', '.join(names)}")
        return name

    def chain(self, query: Query) -> s.ChainView:
        """Give the chain of a minute."""
        book, name, at = self.book(query), self.underlying(query), query.get("at", "")
        try:
            ts = ist_ns(book.day, at) if at and book.day is not None else None
        except ValueError as error:
            raise InputError(str(error)) from None
        snapshot = book.chain_at(name, ts)
        if snapshot is None:
            raise InputError(f"no chain of {name} is known{f' at {at}' if at else ' yet'}")
        return views.chain_view(book, snapshot)

    def series(self, query: Query) -> s.ChainSeries:
        """Give the chain's figures over the day."""
        name = self.underlying(query)
        return views.chain_series(name, self.book(query).chains.get(name, []))

    def heat(self, query: Query) -> s.HeatMap:
        """Give one figure over strike x time."""
        field, right = query.get("field", "oi_change"), query.get("right", "BOTH")
        if field not in views.HEAT_FIELDS or right not in {"CE", "PE", "BOTH"}:
            raise InputError(f"field: one of {', '.join(views.HEAT_FIELDS)}; right: CE, PE or BOTH")
        return views.heat_map(self.book(query), self.underlying(query), field, right)

    def candles(self, query: Query) -> s.Candles:
        """Give an instrument's bars."""
        name = query.get("instrument", "") or index_id(self.underlying(query))
        book = self.book(query)
        today = "day" not in query and "run" not in query
        return views.candles(name, book.bars.get(name, []), self._source.forming(name) if today else None)

    def why(self, query: Query) -> s.Why:
        """Say why a trade was made: what a run's result says of it, or what was seen of the day."""
        book, trade_id, run = self.book(query), _given(query, "trade"), query.get("run", "")
        trade = next((one for one in list(book.trades) if one.trade_id == trade_id), None)
        if trade is None:
            raise InputError(f"there is no trade '{trade_id}' on {book.day}")
        row = views.trade_row(book, trade)
        if run:
            found = self._source.run_result(run).decisions.get(trade.intent_id)
        else:
            found = views.decision(book, trade.intent_id)
        return s.Why(trade=row, decision=found)

    def structure(self, query: Query) -> dict[str, Any]:
        """Give the levels of an underlying."""
        found = self.book(query).structures.get(self.underlying(query))
        return {} if found is None else msgspec.structs.asdict(found)

    def events(self, query: Query) -> list[dict[str, Any]]:
        """Give what happened, newest first."""
        events = list(self.book(query).events)
        return [{"ts": ts, "who": who, "what": what} for ts, who, what in reversed(events)]


def _given(query: Query, name: str) -> str:
    value = query.get(name, "")
    if not value:
        raise InputError(f"{name}: name one, as in ?{name}=...")
    return value


class Endpoints:
    """The API on aiohttp: questions and orders run on worker threads, so that none holds up another.

    What is ordered of the trading has workers of its own: a kill waits for no page that reads and no maintenance.
    """

    def __init__(
        self, source: Source, api: Api, workers: ThreadPoolExecutor, order_workers: ThreadPoolExecutor
    ) -> None:
        self._source, self._api, self._workers, self._order_workers = source, api, workers, order_workers
        self._confirmations = Confirmations()

    def add_to(self, app: web.Application) -> None:
        """Add every route."""
        for route in self._api.routes():
            app.router.add_get(API + route.path, self._reader(route))
        for name in ORDERS:
            app.router.add_post(f"{API}/control/{name}", self._orderer(name))

    def _reader(self, route: Route) -> Handler:
        async def read(request: web.Request) -> web.StreamResponse:
            unknown = [name for name in request.query if name not in route.takes]
            if unknown:
                raise InputError(f"{unknown[0]}: {API}{route.path} takes {', '.join(route.takes) or 'nothing'}")
            query = dict(request.query)
            body = await self._on_worker(lambda: msgspec.json.encode(route.read(query)))
            response = web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})
            response.enable_compression()
            return response

        return read

    def _orderer(self, name: str) -> Handler:
        async def order(request: web.Request) -> web.StreamResponse:
            try:
                wanted = from_json(await request.read() or b"{}", s.Order)
            except msgspec.DecodeError as error:
                raise InputError(f"the order is not understood: {error}") from None
            what, now = f"{name} {wanted.strategy}", time.monotonic()
            if (
                self._source.real()
                and name != "maintenance"
                and not self._confirmations.good(wanted.confirm, what, now)
            ):
                effect = await self._ordering(lambda: self._effect(name, wanted.strategy))
                return answer(s.Fault(error=effect, confirm=self._confirmations.ask(what, now)), 409)
            args = {"kill": {"reason": wanted.reason}, "maintenance": {}}.get(name, {"strategy": wanted.strategy})
            if name in {"stop", "start", "reinstate"} and not wanted.strategy:
                raise InputError(f"{name}: name a strategy; `pause`, `resume` and `kill` are for all")
            logger.warning("web: {} {} ordered from {}", name, wanted.strategy or "all", request.remote)
            do = self._on_worker if name == "maintenance" else self._ordering
            done = await do(lambda: self._source.order(name, **args))
            return answer(s.Done(done=done))

        return order

    def _effect(self, name: str, strategy: str) -> str:
        """Say what an order would do now, with real money."""
        status = self._source.status()
        held = [p for p in status.positions if strategy in {"", p.strategy}]
        if name in {"kill", "flatten", "stop"}:
            what = f"closes {len(held)} position(s) with real orders"
            return f"{name}: {what}{' and stops all entries until resumed' if name == 'kill' else ''}. Send it again."
        return f"{name}: {strategy or 'the whole account'}, real money. Send it again."

    async def _on_worker(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)

    async def _ordering(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._order_workers, work)
