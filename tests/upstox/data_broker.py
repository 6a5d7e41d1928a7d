"""A broker on a loopback port that answers the data requests as the documentation says, or as a test wants."""

import asyncio
import datetime as dt
import gzip
import json
import threading
from collections import Counter

from aiohttp import web

from sos_actors.market.calendar import INDIA
from sos_actors.market.clocktime import MINUTE_NS, ist_ns, ist_text

NIFTY = "NSE_INDEX|Nifty 50"
TODAY = dt.date(2026, 11, 20)
EXPIRED = dt.date(2026, 11, 17)
FRONT = dt.date(2026, 11, 23)
STRIKES = range(24_000, 26_050, 50)


def candles(day, price, *, upto=10**20, step=0.0):
    """Rows of a day, newest first, as the broker gives them."""
    rows = []
    for session in INDIA.sessions("NSE", day):
        for number, start in enumerate(range(session.open_ns, min(session.close_ns, upto), MINUTE_NS)):
            at = price + step * number
            rows.append([ist_text(start), at, at + 2, at - 2, at + 1, 650, 6500])
    return rows[::-1]


def row(key, kind, strike, expiry, *, ms):
    when = ist_ns(expiry, "23:59:59") // 10**6 if ms else expiry.isoformat()
    return {
        "weekly": True, "segment": "NSE_FO", "name": "NIFTY", "exchange": "NSE", "expiry": when,
        "instrument_type": kind, "underlying_symbol": "NIFTY", "instrument_key": key, "lot_size": 65,
        "freeze_quantity": 1800.0, "exchange_token": key.split("|")[1], "minimum_lot": 65, "underlying_key": NIFTY,
        "tick_size": 5.0, "underlying_type": "INDEX", "strike_price": float(strike),
        "trading_symbol": f"NIFTY {strike} {kind} {expiry:%d %b %y}".upper(),
    }  # fmt: skip


INDEX_ROW = {
    "segment": "NSE_INDEX", "name": "Nifty 50", "exchange": "NSE", "instrument_type": "INDEX",
    "instrument_key": NIFTY, "exchange_token": "26000", "trading_symbol": "NIFTY",
}  # fmt: skip


def chain_rows(expiry, first_token, *, ms, suffix=""):
    keys = [(strike, kind) for strike in STRIKES for kind in ("CE", "PE")]
    return [
        row(f"NSE_FO|{first_token + n}{suffix}", kind, strike, expiry, ms=ms) for n, (strike, kind) in enumerate(keys)
    ]


def error(code, message, status=400):
    one = {"errorCode": code, "message": message, "error_code": code}
    return web.json_response({"status": "error", "errors": [one]}, status=status)


class DataBroker:
    """Runs in a thread of its own. `hits` counts requests by kind; `answers`: path prefix -> a stand-in answer."""

    def __init__(self, now=None):
        self.now = now or ist_ns(TODAY, "18:00")
        self.hits, self.asked, self.answers = Counter(), [], {}
        self.plus, self.price = True, 25_000.0
        self.future = row("NSE_FO|9001", "FUT", 0, dt.date(2026, 11, 23), ms=True)
        self.master = [INDEX_ROW, self.future, *chain_rows(FRONT, 40_000, ms=True),
                       *chain_rows(dt.date(2026, 12, 1), 50_000, ms=True)]  # fmt: skip
        self.holidays = []
        self.agents = []

    def start(self):
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()

        def work():
            asyncio.set_event_loop(self._loop)
            self._loop.run_until_complete(self._listen())
            ready.set()
            self._loop.run_forever()

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()
        assert ready.wait(30)
        return self

    def stop(self):
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _listen(self):
        app = web.Application()
        add = app.router.add_get
        add("/v3/historical-candle/intraday/{key}/minutes/1", self._today)
        add("/v3/historical-candle/{key}/minutes/1/{to}/{from}", self._past)
        add("/v2/expired-instruments/expiries", self._expiries)
        add("/v2/expired-instruments/option/contract", self._expired_options)
        add("/v2/expired-instruments/future/contract", self._expired_futures)
        add("/v2/expired-instruments/historical-candle/{key}/1minute/{to}/{from}", self._past)
        add("/v2/market/holidays", self._holidays)
        add("/v2/option/chain", self._chain)
        add("/market-quote/instruments/exchange/complete.json.gz", self._master)
        app.middlewares.append(self._count)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"

    @web.middleware
    async def _count(self, request, handler):
        kind = request.path.split("/")[2]
        self.hits[kind] += 1
        self.asked.append(request.path)
        for prefix, answer in list(self.answers.items()):
            if request.path.startswith(prefix):
                told = answer(request) if callable(answer) else answer
                if told is not None:
                    return told
        return await handler(request)

    def _price(self, key):
        """The index's level, the future's above it, an option's by its distance."""
        if key == NIFTY:
            return self.price, 0.2
        token = int(key.split("|")[1])
        if token in {9000, 9001}:
            return self.price + 40, 0.2
        return 100.0 + token % 97, 0.01

    async def _past(self, request):
        key, first, last = (request.match_info[name] for name in ("key", "from", "to"))
        first, last = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
        if (last - first).days > 30:
            return error("UDAPI1148", "Invalid date range")
        if first > last:
            return error("UDAPI1015", "to_date must be greater than or equal to from_date")
        price, step = self._price(key)
        rows = []
        for day in reversed(INDIA.trading_days("NSE", first, last)):
            if day < TODAY:
                rows += candles(day, price, step=step)
        return web.json_response({"status": "success", "data": {"candles": rows}})

    async def _today(self, request):
        price, step = self._price(request.match_info["key"])
        rows = candles(TODAY, price, upto=self.now, step=step)
        return web.json_response({"status": "success", "data": {"candles": rows}})

    async def _expiries(self, request):
        if not self.plus:
            return error("UDAPI1149", "The Upstox Plus plan is needed")
        assert request.query["instrument_key"] == NIFTY
        return web.json_response({"status": "success", "data": ["2026-11-10", "2026-11-17"]})

    async def _expired_options(self, request):
        expiry = dt.date.fromisoformat(request.query["expiry_date"])
        rows = chain_rows(expiry, 30_000, ms=False, suffix=f"|{expiry:%d-%m-%Y}")
        return web.json_response({"status": "success", "data": rows})

    async def _expired_futures(self, request):
        expiry = dt.date.fromisoformat(request.query["expiry_date"])
        found = row(f"NSE_FO|9000|{expiry:%d-%m-%Y}", "FUT", 0, expiry, ms=False)
        return web.json_response({"status": "success", "data": [found]})

    async def _holidays(self, request):
        return web.json_response({"status": "success", "data": self.holidays})

    async def _chain(self, request):
        side = {"market_data": {"ltp": 120.5, "volume": 650, "oi": 1300, "bid_price": 120.0, "ask_price": 0.0},
                "option_greeks": {"iv": 12.5}}  # fmt: skip
        rows = [{"strike_price": strike, "underlying_spot_price": 25_010.5, "call_options": side, "put_options": None}
                for strike in (25_050, 25_000)]  # fmt: skip
        return web.json_response({"status": "success", "data": rows})

    async def _master(self, request):
        self.agents.append(request.headers.get("User-Agent", ""))
        return web.Response(body=gzip.compress(json.dumps(self.master).encode(), 1))
