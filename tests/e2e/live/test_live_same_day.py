"""A daemon started again in the middle of a day: its pages show the whole day, not what came since."""

from __future__ import annotations

import json
import urllib.request

from live_stand import until


def test_pages_show_the_whole_day_after_a_restart(stand):
    one = stand("2026-11-20T09:40:00", 30.0, config={"web": {"enabled": True, "port": 0}})
    one.start()
    address = dashboard(one)
    before = until(lambda: get(address, "/trades"), "a trade is closed and on the pages")
    equity = until(lambda: get(address, "/performance")["ts"], "the account was marked")
    signals = [row["ts"] for row in get(address, "/signals")]
    recorded(one)
    one.kill()
    first_life = len(one.output.read_text())
    one.start()
    address = dashboard(one, first_life)
    known = {trade["trade_id"] for trade in before}
    until(lambda: known <= {trade["trade_id"] for trade in get(address, "/trades")}, "what was traded before is there")
    trades = until(lambda: (rows := get(address, "/trades")) and len(rows) > len(before) and rows, "it trades on")
    ids = [trade["trade_id"] for trade in trades]
    assert len(ids) == len(set(ids)), "no trade stands twice"
    assert [trade["exit_ts"] for trade in trades] == sorted(trade["exit_ts"] for trade in trades)
    performance = get(address, "/performance")
    assert performance["ts"] == sorted(performance["ts"])
    assert performance["ts"][0] == equity[0]
    assert performance["ts"][-1] > equity[-1]
    assert set(signals) <= {row["ts"] for row in get(address, "/signals")}
    trade = before[0]["trade_id"]
    why = get(address, f"/why?trade={urllib.request.quote(trade)}")["decision"]
    assert why["phases"]
    assert {order["role"] for order in why["orders"]} >= {"ENTRY"}
    shown = sum(row["trades"] for row in get(address, "/strategies"))
    assert shown >= len(trades)


def dashboard(one, since=0):
    """Where the dashboard is: the log says it, behind so many signs."""

    def told():
        lines = one.output.read_text()[since:].split("dashboard at ")[1:]
        return lines and lines[-1].split(";")[0].split()[0]

    return until(told, "the dashboard is there")


def recorded(one):
    """Wait until what the pages show is in the record: a crash may lose half a second of it (`journal.flush_s`)."""
    count = lambda: sum(path.stat().st_size for path in (one.home / "sessions").rglob("*.journal"))  # noqa: E731
    size = count()
    until(lambda: count() > size, "the record grows")
    size = count()
    until(lambda: count() > size, "and once more")


def get(address, path):
    with urllib.request.urlopen(f"{address}/api/v1{path}", timeout=30) as answer:
        return json.loads(answer.read())
