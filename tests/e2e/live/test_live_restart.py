"""kill -9 and restart: the same position, its stop in place, no second order."""

from __future__ import annotations

import random
import time

#: Stops and targets out of reach: what is entered stays. A slow machine is minutes of the clock late to its start.
PATIENT = {
    "execution": {"sl": "close - 60", "tp": "close + 60"},
    "time_windows": [["09:15", "09:45"]],
    "exits": {"time_stop": 0},
}


def test_killed_with_a_position(stand):
    one = stand("2026-11-20T09:16:00", 30.0, sides=("CALL",), strategy=PATIENT)
    one.start()
    one.until(one.books.net, "something is held")
    one.protected()
    held, orders = one.books.net(), one.books.orders()
    one.kill()
    assert one.books.live(), "the stop rests at the exchange while nobody watches"
    one.start()
    status = one.until(lambda: (found := one.status()) and found["positions"] and found, "the position is known again")
    assert {row["instrument"]: row["quantity"] for row in status["positions"]} == held == one.books.net()
    assert [row["role"] for row in status["orders"]] == ["STOP"]
    time.sleep(3.0)
    assert one.books.net() == held
    assert [order.order_id for order in one.books.orders()] == [order.order_id for order in orders], "another order"
    one.settled()
    one.ask("pause")
    one.ask("flatten")
    one.wait_flat()
    one.until(lambda: one.status()["positions"] == [], "the daemon knows it")


def test_the_stop_strikes_while_nobody_watches(stand):
    """What happened at the exchange between kill and restart is booked, to the paisa, and nothing is sold twice."""
    one = stand("2026-11-20T09:16:00", 30.0, sides=("CALL", "PUT"), strategy={"exits": {"time_stop": 0}})
    one.start()
    one.until(lambda: len(one.books.net()) == 2, "both are held")
    one.protected()
    one.kill()
    one.until_dead(lambda: len(one.books.net()) < 2, "a stop strikes", 120.0)
    entered = one.books.entries()
    one.start()
    one.until(lambda: one.books.entries() > entered, "it trades on")
    one.protected()
    one.ask("pause")
    one.ask("flatten")
    one.wait_flat()
    one.same_money()


def test_killed_again_and_again(stand):
    """At whatever instant it dies, with what the exchange did meanwhile: never two orders, never more than meant."""
    one = stand("2026-11-20T09:16:00", 30.0)
    rng = random.Random(20261120)
    one.start()
    for _ in range(7):
        entered = one.books.entries()
        one.until(lambda entered=entered: one.books.entries() > entered, "it trades")
        time.sleep(rng.uniform(0.0, 0.6))
        one.kill()
        one.judge()
        one.start()
    one.trades(4)
    one.protected()
    one.ask("pause")
    one.ask("flatten")
    one.wait_flat()
    one.same_money()
