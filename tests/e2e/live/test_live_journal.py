"""The daemon's record: killed at any instant, its session runs again without a difference."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from live_stand import ROOT, Stand, exchange

from sos_actors.market.clocktime import ist_text
from sos_actors.runtime.journal.deliveries import Checkpoint, load
from sos_actors.runtime.journal.format import FRAME, HEADER, MAGIC, SegmentHeader, frame
from sos_actors.web.recorded import RecordedDays

#: House strategies besides the two that trade all the time; each has a thread of the strategies' group.
HOUSE = ("ema_cross_long", "brf_short", "bb_mean_reversion_long")


def add_strategies(stand: Stand) -> None:
    for name in HOUSE:
        shutil.copy(ROOT / "strategies" / f"{name}.json", stand.folder / "playbook")


def command(stand: Stand, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the stand's home."""
    line = [sys.executable, str(ROOT / "run_actors.py"), *words, "--home", str(stand.home)]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)


def sessions(stand: Stand) -> list[str]:
    return sorted(path.name for path in (stand.home / "sessions").iterdir())


def enough_recorded(stand: Stand, kind: str, text: bytes) -> bool:
    """Say whether the record of the running daemon has such a message by now, and is long enough to be compared."""
    (name,) = sessions(stand)
    run = load(stand.home / "sessions" / name)
    return run.count > 2000 and any(one.kind == kind and text in one.body for one in run.rows)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Two lives of one day on the sandbox exchange with orders at it: the first killed, the second ended in order."""
    with exchange("2026-11-20T09:16:00", 60.0) as sandbox:
        stand = Stand(sandbox, tmp_path_factory.mktemp("journal"))
        add_strategies(stand)
        stand.start()
        stand.until(lambda: enough_recorded(stand, "TradeClosed", b"steady_put"), "a trade is in the record", 60.0)
        stand.kill()
        stand.start()
        stand.trades(1)
        assert stand.end() == 0
        yield stand


def test_each_life_is_a_session(killed):
    first, second = sessions(killed)
    listed = command(killed, "sessions").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [first, second]
    assert "was cut off or still runs" in listed[0]
    assert re.search(r"ended 2026-11-20T.* stopped", listed[1])


def test_a_killed_life_replays_without_a_difference(killed):
    first, second = sessions(killed)
    done = command(killed, "replay", first, "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.match(r"(\d+) deliveries, (\d+) messages and (\d+) states compared, no difference\n", done.stdout)
    assert re.search(r"^run_hash [0-9a-f]{32}$", done.stdout, re.MULTILINE)
    assert counted
    assert int(counted[1]) > 500
    assert int(counted[2]) > 300
    assert int(counted[3]) > 40
    assert "equal as far as the record goes, but it is not whole: it was cut off" in done.stdout
    again = command(killed, "replay", second, "--check")  # it began with what the order store had of the first
    assert again.returncode == 0, again.stdout + again.stderr
    assert "not whole" not in again.stdout
    # on the same record the same hash, in another process
    assert command(killed, "replay", second).stdout == again.stdout


def test_the_dashboard_shows_the_day_of_both_lives(killed):
    """Nobody looked on for the pages: what they show is told by the cast. No market database is needed."""
    days = RecordedDays(killed.home / "sessions")
    day = dt.date(2026, 11, 20)
    assert [row.name for row in days.rows()] == [f"sandbox {day}", *reversed(sessions(killed))]
    book, result = days.book(f"sandbox {day}", day), days.result(f"sandbox {day}")
    ids = [one.trade_id for one in book.trades]
    assert ids
    assert len(ids) == len(set(ids))
    assert {one.strategy for one in book.trades} <= {"steady_call", "steady_put"}
    assert result.assumptions["sessions"].split(", ") == sessions(killed)
    assert result.summary["net"] == pytest.approx(sum(one.net_paise for one in book.trades) / 100)
    for trade in book.trades:
        decision = result.decisions[trade.intent_id]
        assert decision.phases[0].conditions[0]["condition"] == "close > 0"
        assert {one["role"] for one in decision.orders} >= {"ENTRY"}
        assert book.bars[trade.instrument], "the bars of what was traded"
    starts = [bar.start for bar in book.bars["NSE|INDEX|NIFTY"]]
    assert starts == sorted(set(starts))
    assert book.chains["NIFTY"]
    assert book.structures["NIFTY"]


def test_a_session_moved_elsewhere_replays(killed, tmp_path):
    """All it needs is in it: no market data, no instrument file, no order store, no configuration."""
    name = sessions(killed)[1]
    shutil.copytree(killed.home / "sessions" / name, tmp_path / "sessions" / name)
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_actors.py"), "replay", name, "--check", "--home", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_strategy_that_was_another_is_found(killed, tmp_path):
    """The check compares: with another stop in one strategy the replay parts from the record, and says where."""
    name = sessions(killed)[0]
    folder = tmp_path / "sessions" / name
    shutil.copytree(killed.home / "sessions" / name, folder)
    alter_strategy(folder)
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_actors.py"), "replay", name, "--check", "--home", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert re.search(r"the replay parts from the record at delivery \d+ \(strategy/NIFTY/steady_call\)", done.stderr)
    assert "Signal differs in stop: recorded" in done.stderr
    assert re.search(r"^\* stop: recorded [\d.]+, replayed [\d.]+$", done.stdout, re.MULTILINE)
    assert re.search(r"^  strategy: recorded steady_call, replayed steady_call$", done.stdout, re.MULTILINE)


def alter_strategy(folder: Path) -> None:
    """Write a session's first segment anew with another strategy in its header."""
    segment = folder / "00001.journal"
    data = segment.read_bytes()
    length, _, _ = FRAME.unpack_from(data, len(MAGIC))
    start = len(MAGIC) + FRAME.size
    header = msgspec.msgpack.decode(data[start : start + length], type=SegmentHeader)
    live = header.facts["live"].replace('"close - 5"', '"close - 6"', 1)
    assert live != header.facts["live"]
    changed = msgspec.structs.replace(header, facts={"live": live})
    rest = data[start + length :]
    segment.write_bytes(MAGIC + frame(HEADER, msgspec.msgpack.encode(changed)) + rest)


def test_no_secret_is_in_a_session(killed):
    for name in sessions(killed):
        for segment in (killed.home / "sessions" / name).iterdir():
            assert segment.stat().st_mode & 0o077 == 0, "nobody else may read it"
            entries = list(load(segment.parent).entries)
            states = [one for one in entries if isinstance(one, Checkpoint)]
            assert {"feed", "link", "broker", "orders", "risk"} <= {one.path for one in states}
            held = b"".join(one.state if isinstance(one, Checkpoint) else one.body for one in entries)
            held += segment.read_bytes()
            tokens = [json.loads(path.read_text()) for path in (killed.home / "tokens").glob("*.json")]
            secrets = [value for one in tokens for value in one.values() if isinstance(value, str) and len(value) > 20]
            assert secrets
            assert not any(secret.encode() in held for secret in secrets)


def test_why_an_order_was_sent(killed):
    name = sessions(killed)[0]
    run = load(killed.home / "sessions" / name)
    fills = (msgspec.msgpack.decode(one.body) for one in run.rows if one.kind == "Fill" and one.path == "orders")
    order_id = next(fill[2] for fill in fills if fill[2].endswith("-e"))
    told = command(killed, "why", order_id, "--session", name).stdout
    kinds = [re.split(r"  #\d+  ", line)[1].split()[0].rstrip(":") for line in told.splitlines() if "  #" in line]
    wanted = ["Tick", "Bar", "Studies", "phase", "Signal", "TradePlan", "OrderIntent", "SubmitOrder", "Fill"]
    places = [kinds.index(kind) for kind in wanted]
    assert places == sorted(places), kinds
    assert "strategy=steady_" in told
    assert re.search(r"^    close > 0:  close=[\d.]+$", told, re.MULTILINE), "what the phase saw"
    assert max(map(len, told.splitlines())) <= 100
    log = (killed.home / "logs" / "sos.log").read_text()
    assert re.search(rf"INFO .* fill #\d+ BUY \d+ NSE.OPT.* at [\d.]+, {re.escape(order_id)}$", log, re.MULTILINE)
    unknown = command(killed, "why", "no-such", "--session", name)
    assert unknown.returncode == 2
    assert "no order 'no-such' in this session; the last are" in unknown.stderr


def test_an_actor_at_an_instant(killed):
    name = sessions(killed)[0]
    rows = list(load(killed.home / "sessions" / name).rows)
    fill = next(one for one in rows if one.kind == "Fill" and one.path == "orders")
    at = ist_text(fill.now)[11:23]
    before = command(killed, "inspect", "orders", "--at", at, "--session", name)
    assert before.returncode == 0, before.stderr
    assert "last in:" in before.stdout
    assert "mailbox: " in before.stdout
    followed = command(killed, "inspect", "orders", "--at", at, "--session", name, "--follow")
    assert len(followed.stdout) > len(before.stdout)
    kept = [one for one in load(killed.home / "sessions" / name).entries if isinstance(one, Checkpoint)]
    after = ist_text(next(one.now for one in kept if one.path == "link") + 1_000_000)[11:23]
    edge = command(killed, "inspect", "link", "--at", after, "--session", name)
    assert edge.stdout.startswith("'link' touches the world and is not replayed\ncheckpoint of 2026-11-20T")
    assert '"stream_live"' in edge.stdout
    nobody = command(killed, "inspect", "nobody", "--at", at, "--session", name)
    assert (nobody.returncode, "no actor 'nobody' at that instant" in nobody.stderr) == (2, True)


def test_the_sessions_market_with_other_strategies(killed, tmp_path):
    name = sessions(killed)[0]
    out = tmp_path / "what_if.json"
    done = command(killed, "replay", name, "--strategies", "steady_put", "--json", str(out))
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert result["source"] == "session"
    assert {trade["strategy"] for trade in result["trades"]} <= {"steady_put"}
    assert result["summary"]["trades"] >= 1
    assert command(killed, "replay", name, "--strategies", "steady_put", "--check").returncode == 2


@pytest.mark.soak
@pytest.mark.parametrize("number", range(10))
def test_a_hundred_thousand_deliveries_replay(tmp_path, number):
    """Five strategies, real orders at the sandbox exchange, a chain of 42 contracts, killed at whatever instant.

    Every other one ends in order, so that what was held at the stop is compared as well.
    """
    config = {"follow": {"NIFTY": {"strikes": 20}}, "journal": {"checkpoint_s": 5.0}}
    with exchange("2026-11-20T09:16:00", 60.0) as sandbox:
        stand = Stand(sandbox, tmp_path / "s", config=config)
        add_strategies(stand)
        stand.start()
        stand.until(lambda: handled(stand) > 104_000 + 131 * number, "a hundred thousand deliveries", 300.0)
        if number % 2:
            stand.kill()
        else:
            assert stand.end() == 0
    (name,) = sessions(stand)
    done = command(stand, "replay", name, "--check")
    print(f"run {number}: {done.stdout}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) >= 100_000


def handled(stand: Stand) -> int:
    return sum(one["handled"] for one in stand.ask("tree")["actors"])
