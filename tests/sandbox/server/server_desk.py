"""A sandbox on a free port, and the broker's real SDK pointed at it."""

from __future__ import annotations

import json
import time
import types
import urllib.error
import urllib.request

import upstox_client
import urllib3

#: How long a slow machine may take for anything, seconds.
PATIENCE = 30.0


def wait_until(condition, what="the condition"):
    """Wait until `condition()` is true and give what it gave."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come true within {PATIENCE} s")


class Desk:
    """A sandbox and the SDK's view of it."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        config = upstox_client.Configuration()
        config.host = config.order_host = sandbox.address
        config.access_token = sandbox.token()
        self.api = upstox_client.ApiClient(config)
        self.api.rest_client.pool_manager.connection_pool_kw["retries"] = urllib3.Retry(
            total=0, redirect=0, respect_retry_after_header=False
        )
        self.streams = []

    def close(self):
        for stream in self.streams:
            stream.auto_reconnect(False)
            stream.disconnect()
        self.api.rest_client.pool_manager.clear()
        self.api.pool.close()
        self.api.pool.join()

    def renew(self):
        """Take a fresh token."""
        self.api.configuration.access_token = self.sandbox.token()

    def call(self, path, method="GET", body=None, headers=None):
        """Status and JSON (or text) of a plain request with the token."""
        head = {
            "Authorization": f"Bearer {self.api.configuration.access_token}",
            "User-Agent": "test",
            **(headers or {}),
        }
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.sandbox.address + path, data, head, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, _read(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _read(error.read())

    def control(self, path, body=None):
        """Data of a call of the control side."""
        status, answer = self.call(f"/sandbox/{path}", "POST" if body is not None else "GET", body)
        assert status == 200, answer
        return answer["data"]

    def arm(self, **faults):
        return self.control("faults", {"arm": faults})

    def books(self):
        return self.control("books")

    def key(self, text):
        """The broker's key of an instrument by the words of its trading symbol, e.g. 'NIFTY 29950 CE 23 NOV 26'."""
        found = self.sandbox.call(
            lambda service: [one.upstox_key for one in service.world.market.table if one.trading_symbol == text]
        )
        assert found, text
        return found[0]

    def feed(self, keys, mode="full", **listeners):
        """A connected market feed with its messages."""
        return self._stream(upstox_client.MarketDataStreamerV3(self.api, list(keys), mode), listeners)

    def order_stream(self, **listeners):
        return self._stream(
            upstox_client.PortfolioDataStreamer(self.api, order_update=True, position_update=True), listeners
        )

    def _stream(self, stream, listeners):
        seen = types.SimpleNamespace(messages=[], errors=[], opened=[], closed=[], stream=stream)
        stream.auto_reconnect(False)
        stream.on("message", seen.messages.append)
        stream.on("error", seen.errors.append)
        stream.on("open", lambda: seen.opened.append(1))
        stream.on("close", lambda *code: seen.closed.append(code))
        for name, listener in listeners.items():
            stream.on(name, listener)
        self.streams.append(stream)
        stream.connect()
        return seen


def _read(raw):
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")
