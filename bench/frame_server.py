"""A market feed that sends frames made beforehand, on time: the load of bench/tick_to_order.py, a process of its own.

It speaks as much of the broker's protocol as a client needs that asks once for everything: a frame of market_info, a
snapshot of what is asked for, then frames of several instruments each, in mode full, as the broker sends them. All
frames are made before the first is sent: while it is measured this process does nothing but write to a socket.

    python bench/frame_server.py PLAN.json      (bench/tick_to_order.py writes the plan and starts it)

It says `{"port": ...}` when the frames are made, `{"asked": n}` when every instrument has been asked for, waits for a
line with the monotonic instant (ns) at which to begin, and says what it sent when it is done.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import WSMsgType, web
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as pb

_MS = 1_000_000
#: Regular prices swing around the first one by this fraction, in so many steps up and down.
_SWING, _STEPS = 0.004, 20


class Line(msgspec.Struct, kw_only=True):
    """One instrument: the broker's key, its kind, its first price, and the price that makes somebody act (0: none)."""

    key: str
    kind: str
    price: float
    hit: float = 0.0


class Plan(msgspec.Struct, kw_only=True):
    """What to send. `shown` is the clock's time (UTC ns) at the beginning, `speed` its seconds in a real one."""

    lines: list[Line]
    seconds: float
    ticks_per_s: float
    keys_per_frame: int
    hits_per_s: float
    #: Real seconds after the beginning before the first hit.
    quiet_s: float
    shown: int
    speed: float


class Writer:
    """Turns a plan into frames. The same plan gives the same frames."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._feeds = [_feed(line) for line in plan.lines]
        self._sent = [0] * len(plan.lines)

    def snapshot(self, keys: list[str], shown: int) -> bytes:
        """Give the first frame of these keys: what had traded before the schedule."""
        self._sent = [0] * len(self._plan.lines)
        places = {line.key: place for place, line in enumerate(self._plan.lines)}
        wanted = [(places[key], self._plan.lines[places[key]].price) for key in keys if key in places]
        return self._frame(wanted, shown, pb.Type.initial_feed)

    def frames(self) -> list[bytes]:
        """Give all frames of the schedule, at even distances in time."""
        plan = self._plan
        count = len(plan.lines)
        total = round(plan.seconds * plan.ticks_per_s / plan.keys_per_frame)
        hits = [place for place, line in enumerate(plan.lines) if line.hit]
        every = plan.ticks_per_s / plan.keys_per_frame / plan.hits_per_s if hits and plan.hits_per_s else 0.0
        first = plan.quiet_s * plan.ticks_per_s / plan.keys_per_frame
        made, at, done = [], 0, 0
        for number in range(total):
            shown = plan.shown + round(number * plan.keys_per_frame / plan.ticks_per_s * plan.speed * 1e9)
            chosen: dict[int, float] = {}
            if every and number >= first + done * every:
                place = hits[done % len(hits)]
                chosen[place] = plan.lines[place].hit
                done += 1
            while len(chosen) < plan.keys_per_frame:
                chosen.setdefault(at % count, 0.0)
                at += 1
            made.append(self._frame([(p, price or self._usual(p)) for p, price in chosen.items()], shown, 1))
        return made

    def _usual(self, place: int) -> float:
        """Give the next regular price of a line: up and down around its first one."""
        step = self._sent[place] % (2 * _STEPS)
        share = (step if step <= _STEPS else 2 * _STEPS - step) / _STEPS - 0.5
        return max(round(self._plan.lines[place].price * (1.0 + _SWING * share) / 0.05) * 0.05, 0.05)

    def _frame(self, wanted: list[tuple[int, float]], shown: int, kind: int) -> bytes:
        response = pb.FeedResponse(type=kind, currentTs=shown // _MS)
        for place, price in wanted:
            line, feed = self._plan.lines[place], self._feeds[place]
            self._sent[place] += 1
            full = feed.fullFeed.indexFF if line.kind == "INDEX" else feed.fullFeed.marketFF
            full.ltpc.ltp, full.ltpc.ltt = price, shown // _MS
            if line.kind != "INDEX":
                full.ltpc.ltq = 75
                full.vtt = 1_000_000 + 75 * self._sent[place]
                best = full.marketLevel.bidAskQuote[0]
                best.bidP, best.askP = max(price - 0.05, 0.05), price + 0.05
            response.feeds[line.key].CopyFrom(feed)
        return bytes(response.SerializeToString())


def _feed(line: Line) -> Any:
    """Give a record of mode full with everything in it that the broker's has: five levels, Greeks, two bars."""
    ltpc = pb.LTPC(ltp=line.price, ltt=1, ltq=75, cp=line.price)
    bars = [pb.OHLC(interval=name, open=line.price, high=line.price, low=line.price, close=line.price, vol=75, ts=1)
            for name in ("1d", "I1")]  # fmt: skip
    ohlc = pb.MarketOHLC(ohlc=bars)
    if line.kind == "INDEX":
        return pb.Feed(fullFeed=pb.FullFeed(indexFF=pb.IndexFullFeed(ltpc=ltpc, marketOHLC=ohlc)))
    levels = [pb.Quote(bidQ=750, bidP=line.price - n * 0.05, askQ=750, askP=line.price + n * 0.05) for n in range(1, 6)]
    record = pb.MarketFullFeed(
        ltpc=ltpc, marketLevel=pb.MarketLevel(bidAskQuote=levels), marketOHLC=ohlc, atp=line.price, vtt=1_000_000,
        optionGreeks=pb.OptionGreeks(delta=0.5, theta=-10.0, gamma=0.001, vega=12.0, rho=1.0), oi=1_500_000.0, iv=0.14,
        tbq=50_000.0, tsq=50_000.0,
    )  # fmt: skip
    return pb.Feed(fullFeed=pb.FullFeed(marketFF=record))


class FrameServer:
    """Serves the plan to whoever connects; the schedule goes out once, each instrument to who asked for it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._writer = Writer(plan)
        self._frames = self._writer.frames()
        self._left = {line.key for line in plan.lines}
        self._snapshot_ticks = self._snapshots = self._greetings = 0
        self._sockets: list[web.WebSocketResponse] = []
        self._asked = asyncio.Event()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Take one client."""
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._sockets.append(socket)
        info = pb.FeedResponse(type=pb.Type.market_info, currentTs=self._plan.shown // _MS)
        info.marketInfo.segmentStatus["NSE_FO"] = pb.MarketStatus.Value("NORMAL_OPEN")
        await socket.send_bytes(info.SerializeToString())
        self._greetings += 1
        async for message in socket:
            if message.type in {WSMsgType.BINARY, WSMsgType.TEXT}:
                await self._request(socket, json.loads(message.data))
        return socket

    async def _request(self, socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        if asked["method"] != "sub":
            return
        keys = [key for key in asked["data"]["instrumentKeys"] if key in self._left]
        self._left.difference_update(keys)
        if keys:
            await socket.send_bytes(self._writer.snapshot(keys, self._plan.shown - 1_000_000_000))
            self._snapshot_ticks += len(keys)
            self._snapshots += 1
        if not self._left:
            self._asked.set()

    async def run(self) -> None:
        """Serve until the schedule has been sent."""
        app = web.Application()
        app.router.add_get("/v3/feed/market-data-feed", self.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        say({"port": site._server.sockets[0].getsockname()[1]})
        await self._asked.wait()
        say({"asked": len(self._plan.lines)})
        begin = int(await asyncio.to_thread(sys.stdin.readline))
        late = await self._send(begin)
        sent = len(self._frames) * self._plan.keys_per_frame + self._snapshot_ticks
        late.sort()
        marks = {"p50": late[len(late) // 2], "p99": late[len(late) * 99 // 100], "max": late[-1]}
        frames = len(self._frames) + self._greetings + self._snapshots
        say({"ticks": sent, "frames": frames, "late_ms": {name: ns / 1e6 for name, ns in marks.items()}})
        await asyncio.to_thread(sys.stdin.readline)
        await runner.cleanup()

    async def _send(self, begin: int) -> list[int]:
        """Send every frame at its time, or as soon as possible after it; gives how late each was, ns."""
        apart = self._plan.keys_per_frame / self._plan.ticks_per_s * 1e9
        socket = self._sockets[0]
        late = []
        for number, frame in enumerate(self._frames):
            due = begin + round(number * apart)
            wait = due - time.monotonic_ns()
            if wait > 0:
                await asyncio.sleep(wait / 1e9)
            try:
                await socket.send_bytes(frame)
            except ConnectionResetError:  # who measures has seen enough
                break
            late.append(max(time.monotonic_ns() - due, 0))
        return late


def say(what: dict[str, Any]) -> None:
    """Tell the process that started this one."""
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    asyncio.run(FrameServer(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)).run())
