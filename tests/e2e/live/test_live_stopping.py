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


def test_an_entry_under_way_is_waited_for_and_gets_its_stop(stand):
    """SIGTERM while an entry is on its way to the exchange: what it fills must not stay there bare."""
    one = stand("2026-11-20T09:16:00", 30.0, sides=("CALL",), strategy=PATIENT, config={"live": {"on_stop": "keep"}})
    one.faults(slow_status=0.999, slow_status_s=40.0)
    one.start()
    one.until(lambda: [order for order in one.books.live() if order.side.sign > 0], "an entry is on its way")
    assert one.end() == 0
    one.faults(clear=True)
    time.sleep(3.0)
    assert one.books.net(), "it filled"
    assert one.covered()


def test_a_kill_outlives_the_stop(stand):
    one = _holding(stand, on_stop="keep")
    one.ask("kill")
    one.wait_flat()
    assert one.end() == 0
    one.start()
    assert one.status()["trading"] == "HALTED"
    assert one.status()["restrictions"] == [{"strategy": "", "underlying": "", "state": "HALTED"}]
    one.ask("resume")
    one.until(one.books.net, "it enters again: the stop left nothing behind that keeps it out")
