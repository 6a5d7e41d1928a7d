"""A daemon that died with a position and is started on a later day: what the broker squared off is not sold again."""

from __future__ import annotations

import json
import urllib.request

from test_live_restart import PATIENT


def test_squared_off_while_no_daemon_ran(stand):
    late = {**PATIENT, "time_windows": [["14:30", "15:09"]]}
    one = stand("2026-11-20T14:30:00", 30.0, sides=("CALL",), strategy=late)
    one.start()
    one.until(one.books.net, "something is held")
    one.protected()
    one.kill()
    body = json.dumps({"now": "2026-11-23T09:21:00+05:30"}).encode()
    clock = urllib.request.Request(f"{one.sandbox.address}/sandbox/clock", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(clock, timeout=30) as answer:
        assert answer.status == 200
    assert (one.books.net(), one.books.live()) == ({}, []), "the broker has squared it off, and nothing rests"
    executed = len(one.books.executions())
    one.new_token()
    one.start()
    one.until(lambda: not one.status()["positions"], "it knows that nothing is held")
    one.settled()
    assert len(one.books.executions()) == executed, "it sold what nobody held"
    assert one.books.net() == {}
    assert one.books.live() == []
    assert "with the broker no more" in one.output.read_text()
