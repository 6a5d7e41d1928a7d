"""Sandboxes on free ports, with the SDK's streams led to them."""

from __future__ import annotations

import types

import pytest
import websocket
from server_desk import Desk
from upstox_client.feeder import market_data_feeder_v3, portfolio_data_feeder

from sos_actors.sandbox.server.local import LocalSandbox


def pytest_collection_modifyitems(items):
    """The websocket library leaves the socket of a redirect's first hop to the garbage collector."""
    for item in items:
        if "sandbox/server" in item.path.as_posix():
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


@pytest.fixture
def open_desk(monkeypatch):
    """Start sandboxes with given settings; all are stopped at the end."""
    opened = []

    def start(**changes):
        settings = {"symbols": ("NIFTY",), "start": "2026-11-20T10:00:00+05:30", "speed": 1.0, **changes}
        sandbox = LocalSandbox(**settings)
        sandbox.start()

        class App(websocket.WebSocketApp):
            def __init__(self, url, *args, **kwargs):
                super().__init__(url.replace("wss://api.upstox.com", sandbox.feed_base), *args, **kwargs)

        shim = types.SimpleNamespace(WebSocketApp=App, ABNF=websocket.ABNF)
        monkeypatch.setattr(market_data_feeder_v3, "websocket", shim)
        monkeypatch.setattr(portfolio_data_feeder, "websocket", shim)
        opened.append((sandbox, Desk(sandbox)))
        return opened[-1][1]

    yield start
    for sandbox, desk in opened:
        desk.close()
        sandbox.stop()


@pytest.fixture
def desk(open_desk):
    """A sandbox at 10:00 that runs in real time."""
    return open_desk()
