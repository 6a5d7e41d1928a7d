"""The running server behind its routes: time, world, streams, and how an answer goes out."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from aiohttp import web

from sos_actors.sandbox.days import MarketDays
from sos_actors.sandbox.exchange.answers import Answer, AnswerKind, Refusal
from sos_actors.sandbox.exchange.gate import Caller, Token
from sos_actors.sandbox.exchange.stream import EventKind, StreamEvent
from sos_actors.sandbox.seeding import stream
from sos_actors.sandbox.server.auth import death_of
from sos_actors.sandbox.server.candles import CandleBook
from sos_actors.sandbox.server.clock import SandboxClock, parse_instant
from sos_actors.sandbox.server.fault_requests import FaultRequest, apply_faults
from sos_actors.sandbox.server.market_feed import MarketFeed
from sos_actors.sandbox.server.outlet import Outlet
from sos_actors.sandbox.server.settings import ServerSettings
from sos_actors.sandbox.server.world import World
from sos_actors.sandbox.tape import DayTape

#: Codes of streams that were handed out and not used yet; the oldest go first.
_MAX_CODES = 1000


class Service:
    """What every route reaches. `history` is a market of its own, because candles are made in another thread."""

    def __init__(self, settings: ServerSettings, clock: SandboxClock, days: MarketDays, history: MarketDays) -> None:
        self.settings, self.clock = settings, clock
        self.world = World(settings, days, clock.now_ns())
        self.feed = MarketFeed(self.world)
        self.order_streams: dict[Outlet, frozenset[str]] = {}
        self.candles = CandleBook(history)
        self._history = history
        self._rng = stream(settings.seed, "stream codes")
        self.background: set[asyncio.Task[None]] = set()
        self._worker = ThreadPoolExecutor(1, "candles")
        self._codes: dict[str, dict[str, str]] = {}
        self.requests = self.cut_off = self.notifications_sent = self.notifications_lost = 0
        #: Changes of faults to come: sandbox time, what.
        self.planned: list[tuple[int, FaultRequest]] = []
        self._next_death = death_of(clock.now_ns())

    # --- requests ---------------------------------------------------------------------------------------------

    def caller(self, request: web.Request, *, open_to_all: bool = False) -> Caller:
        """Say who asks: its address, and its token unless the call takes none."""
        token = Token.DAILY if open_to_all else self.token(request)
        return Caller(ip=request.remote or "", token=token)

    def token(self, request: web.Request) -> Token:
        """Tell what kind of token the request carries."""
        return self.world.tokens.check(request.headers.get("Authorization", ""), self.clock.now_ns())

    async def market(
        self, request: web.Request, name: str, work: Callable[[], Any], *, open_to_all: bool = False
    ) -> web.StreamResponse:
        """Answer a read of the market: `work` gives the data or raises Refusal."""
        caller = self.caller(request, open_to_all=open_to_all)
        answer = self.world.exchange.market(
            name, self.clock.now_ns(), caller, lambda: Answer(body={"status": "success", "data": work()})
        )
        return await self.give(request, answer)

    async def slow(
        self, request: web.Request, name: str, work: Callable[[], Any], *, open_to_all: bool = False
    ) -> web.StreamResponse:
        """Answer as `market` does, but do the work in another thread."""
        caller = self.caller(request, open_to_all=open_to_all)
        answer = self.world.exchange.market(name, self.clock.now_ns(), caller, Answer)
        if answer.ok:
            try:
                data = await asyncio.get_running_loop().run_in_executor(self._worker, work)
                answer = msgspec.structs.replace(answer, body={"status": "success", "data": data})
            except Refusal as refusal:
                answer = msgspec.structs.replace(refusal.answer(), delay_ns=answer.delay_ns)
        return await self.give(request, answer)

    def history_tape(self, day: dt.date) -> DayTape:
        """Give a past day; for work in the other thread only."""
        return self._history.tape(day)

    async def give(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        """Send an answer when its time has come, or break the connection where it says so."""
        await asyncio.sleep(self.clock.real_seconds(answer.delay_ns))
        if answer.kind in {AnswerKind.DROP_BEFORE_ACCEPT, AnswerKind.DROP_AFTER_ACCEPT}:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if answer.kind is AnswerKind.TEXT:
            headers = {**answer.headers, "Content-Type": "text/html"}
            return web.Response(status=answer.status, text=answer.text, headers=headers)
        raw = msgspec.json.encode(answer.body)
        return web.Response(
            status=answer.status, body=raw, headers=answer.headers, content_type="application/json", charset="utf-8"
        )

    async def body(self, request: web.Request) -> object:
        """Read a JSON body; None when it is none."""
        raw = await request.read()
        try:
            return msgspec.json.decode(raw) if raw else {}
        except msgspec.DecodeError:
            return None

    # --- streams ----------------------------------------------------------------------------------------------

    def new_code(self, **what: str) -> str:
        """Make a one-time code for a stream."""
        code = self._rng.bytes(16).hex()
        self._codes[code] = what
        while len(self._codes) > _MAX_CODES:
            self._codes.pop(next(iter(self._codes)))
        return code

    def use_code(self, code: str) -> dict[str, str] | None:
        """Use up a code; None when there is no such."""
        return self._codes.pop(code, None)

    def outlets(self) -> list[Outlet]:
        """Every open stream."""
        return [*self.feed.clients.values(), *self.order_streams]

    def pump(self) -> None:
        """Let the world come to now and send what happened."""
        now = self.clock.now_ns()
        while self.planned and self.planned[0][0] <= now:
            apply_faults(self.world, self.planned.pop(0)[1])
        if now >= self._next_death:
            self._next_death = death_of(now)
            self._close_streams()
        for quote in self.world.step(now):
            self.feed.publish(quote)
        for event in self.world.exchange.advance(now):
            self._tell(event)
        self.feed.flush(now)

    def jump(self, now_ns: int) -> None:
        """Move the clock forward at once."""
        self.clock.jump(now_ns)
        now = self.clock.now_ns()
        self.world.jump(now)
        for event in self.world.exchange.advance(now):
            self._tell(event)
        self.feed.refresh(now)

    def _tell(self, event: StreamEvent) -> None:
        if event.kind is EventKind.TOKENS_DIED:
            self.kill_tokens()
        elif event.kind is EventKind.DISCONNECTED:
            for outlet in self.outlets():
                outlet.snap()
        else:
            text = msgspec.json.encode(event.body).decode()
            for outlet, kinds in self.order_streams.items():
                if event.kind.value in kinds:
                    outlet.send(text)

    def kill_tokens(self) -> None:
        """Let every token be dead now; the streams they opened are closed."""
        self.world.tokens.kill_all(self.clock.now_ns())
        self._close_streams()

    def plan(self, request: FaultRequest) -> None:
        """Carry out a change of faults, or note it for its time; raises InputError."""
        if request.at:
            self.planned.append((parse_instant(request.at), request))
            self.planned.sort(key=lambda one: one[0])
        else:
            apply_faults(self.world, request)

    def _close_streams(self) -> None:
        """Close every stream in good order, as the tokens that opened them are dead."""
        for outlet in self.outlets():
            self.later(outlet.close(1008))

    def later(self, work: Any) -> None:
        """Do something beside the caller."""
        task = asyncio.get_running_loop().create_task(work)
        self.background.add(task)
        task.add_done_callback(self.background.discard)

    def close(self) -> None:
        """Let go of the thread."""
        self._worker.shutdown(wait=False, cancel_futures=True)
