import io

import msgspec

from sos_actors.control.status import ActorView, DaemonStatus, FeedView, PositionView
from sos_actors.reports.daemon import print_actors, print_status


def printed(show, data):
    file = io.StringIO()
    show(msgspec.to_builtins(data), file)
    return file.getvalue().splitlines()


def test_status_says_whether_it_is_ready_and_what_it_holds():
    feeds = [
        FeedView(underlying="NIFTY", live=True, contracts=85, price=24512.35, age_s=0.4),
        FeedView(underlying="SENSEX", live=False, detail="no tick yet"),
    ]
    held = PositionView(
        strategy="brf_short", instrument="NSE|OPT|NIFTY|2025-09-02|24500|PE", quantity=-150, entry=101.5, price=99.0,
        unrealised=375.0,
    )  # fmt: skip
    status = DaemonStatus(
        session="s", mode="paper", now="2025-09-01 10:00:00", started="2025-09-01 09:00:00", phase="OPEN",
        ready=False, not_ready=["SENSEX: market data no tick yet"], trading="ACTIVE", broker="", feeds=feeds,
        positions=[held], differences=["we hold 75 of X, the broker 0"], realised=-123456.5,
    )  # fmt: skip
    lines = printed(print_status, status)
    assert lines[0].endswith("ACTIVE  NOT READY: SENSEX: market data no tick yet")
    rows = {line.split()[0]: line.split() for line in lines if line}
    assert rows["NIFTY"] == ["NIFTY", "live", "85", "24512.35", "0.4"]
    assert rows["SENSEX"] == ["SENSEX", "STALE", "no", "tick", "yet", "0", "-", "-"]
    assert rows[held.instrument][1:] == ["brf_short", "-150", "101.50", "99.00", "-", "-", "375.00"]
    assert "DIFFERS FROM THE BROKER: we hold 75 of X, the broker 0" in lines
    assert "realised -1,23,456.50" in "\n".join(lines)


def test_an_actor_is_one_line_however_long_its_path():
    path = "strategy/BANKNIFTY/opening_range_breakout_with_volume_confirmation_short"
    one = ActorView(
        path=path, kind="StrategyActor", group="strategies", state="waiting", handled=1_234_567, rate=86.4, age_s=0.1
    )
    assert [line for line in printed(print_actors, [one]) if path in line]
