"""One picture of the running daemon on a terminal."""

import io

import msgspec
import pytest

from sos_actors.control.status import (
    ActorView,
    DaemonStatus,
    EventView,
    FeedView,
    OrderView,
    PositionView,
    RestrictionView,
)
from sos_actors.errors import InputError
from sos_actors.reports.terminal import console_on
from sos_actors.reports.top import frame

STATUS = DaemonStatus(
    session="2026-11-20-091000", mode="paper", now="2026-11-20 10:32:15", started="2026-11-20 09:10:00", phase="OPEN",
    ready=True, trading="ACTIVE", broker="paper", equity=1_012_345.5, cash=900_000.0, realised=-1_200.25,
    restrictions=[RestrictionView(strategy="brf_short", underlying="", state="REDUCING")],
    feeds=[FeedView(underlying="NIFTY", live=True, contracts=82, price=29_901.4, age_s=0.4)],
    positions=[PositionView(strategy="ema_cross", instrument="NSE|OPT|NIFTY|2026-11-23|29900|CE", quantity=650,
                            entry=100.0, price=103.5, stop=90.0, target=120.0, unrealised=2_275.0)],
    orders=[OrderView(order_id=f"o{n}", instrument="NSE|OPT|NIFTY|2026-11-23|29900|CE", side="SELL", quantity=650,
                      filled=0, status="OPEN", role="STOP", price=90.0) for n in range(8)],
    events=[EventView(at="10:31:00", who="NIFTY", what="market data live")],
)  # fmt: skip


def actor(path, **changes):
    given = {"kind": "BarActor", "group": "core", "state": "waiting", "handled": 10} | changes
    return ActorView(path=path, **given)


ACTORS = [
    actor("bar/quiet", rate=0.1),
    actor("bar/gone", state="stopped"),
    actor("bar/busy", rate=250.0, waiting=12),
    actor("strategy/NIFTY/broken", state="benched", failures=4, restarts=3),
]


def text(status=STATUS, actors=ACTORS, **changes):
    out = io.StringIO()
    with console_on(out) as console:
        console.print(frame(msgspec.to_builtins(status), msgspec.to_builtins(actors), **changes))
    return out.getvalue()


def test_it_says_what_an_operator_asks():
    shown = text()
    for word in ("10:32:15 IST", "paper", "OPEN", "ACTIVE", "ready", "-1,200.25", "+2,275.00", "10,12,345.50",
                 "29901.40", "Positions 1", "Working orders 8, 2 not shown", "enters nothing: brf_short",
                 "market data live"):  # fmt: skip
        assert word in shown, word


def test_what_failed_comes_first_then_the_busiest_and_what_ended_is_counted():
    shown = text()
    places = [shown.index(path) for path in ("strategy/NIFTY/broken", "bar/busy", "bar/quiet")]
    assert places == sorted(places)
    assert "bar/gone" not in shown
    assert "1 ended" in shown


def test_trouble_is_told():
    status = msgspec.structs.replace(
        STATUS, ready=False, not_ready=["nobody is logged in"], trading="HALTED", differences=["130 units of x"],
        feeds=[FeedView(underlying="NIFTY", live=False, detail="no tick for 12 s")], positions=[], orders=[], events=[],
    )  # fmt: skip
    shown = text(status)
    for word in ("NOT READY: nobody is logged in", "HALTED", "DIFFERS FROM THE BROKER: 130 units of x", "STALE",
                 "no tick for 12 s", "Positions 0", "none"):  # fmt: skip
        assert word in shown, word


def test_it_fits_the_screen():
    many = [actor(f"bar/{n:03d}", rate=float(n)) for n in range(300)]
    assert text(actors=many, height=50).count("\n") <= 50
    assert "bar/299" in text(actors=many, height=50)
    assert text(actors=many).count("bar/") == 300


def test_it_starts_before_anything_is_known():
    empty = DaemonStatus(session="s", mode="paper", now="n", started="b", phase="", ready=False, not_ready=["starting"])
    assert "no market data yet" in text(empty, [])


def test_an_order_that_is_none_is_refused():
    with pytest.raises(InputError, match="--sort name: write one of rate"):
        text(by="name")
