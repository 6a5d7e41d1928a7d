"""SIGTERM with positions: kept with their stops at the exchange, or flat before the process ends."""

from __future__ import annotations

import time

from test_live_restart import PATIENT


def _holding(stand, **live):
    one = stand("2026-11-20T09:16:00", 30.0, strategy=PATIENT, config={"live": live})
    one.start()
    one.until(lambda: len(one.books.net()) == 2, "both are held")
    one.protected()
    return one


def test_keep(stand):
    one = _holding(stand, on_stop="keep")
    held, orders = one.books.net(), one.books.orders()
    assert one.end() == 0
    assert one.books.net() == held
    assert one.books.orders() == orders
    assert one.covered()
    assert "stay open" in one.output.read_text()
    one.start()
    one.until(lambda: len(one.status()["positions"]) == 2, "it has them again")
    assert one.books.orders() == orders


def test_flatten(stand):
    one = _holding(stand, on_stop="flatten", flatten_s=20.0)
    began = time.monotonic()
    assert one.end() == 0
    assert time.monotonic() - began < 20.0 + 10.0
    assert one.books.net() == {}
    assert one.books.live() == []
    one.same_money()


def test_flatten_in_vain_ends_in_time(stand):
    """An exchange that takes no exit cannot keep the process from ending; the stops are still there."""
    one = _holding(stand, on_stop="flatten", flatten_s=3.0)
    held = one.books.net()
    one.faults(server_error=0.999)
    assert one.end() == 0
    one.faults(clear=True)
    assert one.books.net() == held
    assert one.covered()
    assert "stay open" in one.output.read_text()
