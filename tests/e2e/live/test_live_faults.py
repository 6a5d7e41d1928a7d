"""Everything on the fault menu while the daemon trades: never two orders for one intent, never more held than meant.

One daemon for all: each test lets something go wrong, waits until it has, lets it be, and wants to see it trade again.
"""

from __future__ import annotations

import pytest

#: Some chance of each fault; a number alone arms it so many times.
REQUESTS = {
    "the order arrives, its answer is lost": {"drop_after_accept": 6},
    "the order is lost": {"drop_before_accept": 6},
    "the order arrives, a proxy says 502": {"bad_gateway_after": 5},
    "the order arrives, its answer comes after we gave up": {"slow_answer": 0.3, "slow_answer_s": 60.0},
    "the fill overtakes the answer": {"fill_before_answer": 4, "slow_answer_s": 8.0},
    "too many requests": {"too_many": 0.25},
    "a firewall's page": {"forbidden": 0.15},
    "the broker's own failures": {"server_error": 0.1, "bad_gateway": 0.1, "restart": 1, "restart_s": 30.0},
}
UPDATES = {
    "updates twice, late and out of order": {"duplicate_message": 0.4, "swapped_message": 0.3, "late_message": 0.1},
    "updates missing": {"lost_message": 0.5},
    "updates that say too much": {"phantom_fill": 0.5, "odd_fill": 0.5, "duplicate_message": 0.3},
    "changes refused, steps that take long": {"reject_modify": 0.3, "slow_status": 0.2},
    "books that lag and speak strangely": {"stale_orders": 0.4, "stale_positions": 0.4, "unknown_word": 0.3},
    "orders refused, the exchange halted": {"reject_risk": 2, "halt": 1},
}
STREAMS = {
    "streams close": {"feed_close": 3, "orders_close": 3},
    "streams break": {"feed_break": 3, "orders_break": 3},
    "streams are half open": {"feed_silence": 1, "orders_silence": 1, "orders_silence_s": 90.0},
    "streams open and die": {"feed_break": 1, "orders_break": 1, "open_then_die": 6},
    "streams are refused": {"feed_break": 1, "orders_break": 1, "refuse_stream": 6},
    "everything is down": {"outage": 1, "outage_s": 90.0},
    "ticks are missing, twice, late, crossed": {
        "drop_tick": 0.3, "duplicate_tick": 0.2, "late_tick": 0.1, "crossed_quote": 0.05, "zero_quote": 0.05
    },
}  # fmt: skip


def _suffer(stand, menu, least=3):
    names = [name for name in menu if not name.endswith("_s")]
    before = {name: stand.struck(name) for name in names}
    stand.settled()
    stand.faults(**menu)
    for name in names:
        wanted = before[name] + min(menu[name], least) if isinstance(menu[name], int) else before[name] + least
        stand.until(lambda name=name, wanted=wanted: stand.struck(name) >= wanted, f"{name} strikes {menu[name]}")
        stand.judge()
    stand.faults(clear=True)
    stand.settled()
    stand.trades(4)
    stand.protected()
    stand.judge()


@pytest.mark.parametrize("menu", REQUESTS.values(), ids=REQUESTS)
def test_faults_of_requests(standing, menu):
    _suffer(standing, menu)


@pytest.mark.parametrize("menu", UPDATES.values(), ids=UPDATES)
def test_faults_of_updates(standing, menu):
    _suffer(standing, menu, least=2)


@pytest.mark.parametrize("menu", STREAMS.values(), ids=STREAMS)
def test_faults_of_streams(standing, menu):
    _suffer(standing, menu)


def test_a_refusal_nobody_can_explain_stops_entries_until_somebody_looked(standing):
    standing.settled()
    standing.faults(reject_place=1)
    standing.until(lambda: "order host refused" in str(standing.status()["not_ready"]), "entries are stopped")
    standing.wait_flat()
    entries, minute = standing.books.entries(), standing.clock()[:5]
    standing.until(lambda: standing.clock()[:5] > minute and standing.clock()[6:] > "30", "a minute passes")
    assert standing.books.entries() == entries
    standing.ask("resume")
    standing.settled()
    standing.trades(2)
    standing.judge()
