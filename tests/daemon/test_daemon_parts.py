"""One daemon a home; a token that reaches it while it runs."""

import contextlib
import datetime as dt
import gzip
import json
import os
import subprocess
import sys
import threading
import types

import pytest

from sos_actors.config import Config
from sos_actors.daemon.cast import LiveCast, with_real_orders
from sos_actors.daemon.edges import TodaysTable
from sos_actors.daemon.home_lock import HomeLock
from sos_actors.daemon.token_watch import TokenWatch
from sos_actors.errors import InputError
from sos_actors.market.clocktime import DAY_NS, ist_ns
from sos_actors.messages import Phase, SessionPhase
from sos_actors.runtime import LiveRuntime
from sos_actors.storage.order_store import OrderStore
from sos_actors.trading.gateway.settings import GatewaySettings
from sos_actors.upstox.instruments import MasterFiles
from sos_actors.upstox.tokens import Token, TokenStore

NOW = ist_ns(dt.date(2026, 11, 20), "10:00")


def test_a_home_is_held_by_one_process_and_the_other_names_it(tmp_path):
    with HomeLock(tmp_path), pytest.raises(InputError, match=rf"a daemon \(process {os.getpid()}\) runs on this"):
        HomeLock(tmp_path)
    with HomeLock(tmp_path):
        pass


def test_a_killed_daemon_leaves_no_lock(tmp_path):
    code = (
        "import pathlib, os, signal; from sos_actors.daemon.home_lock import HomeLock;"
        f"lock = HomeLock(pathlib.Path({str(tmp_path)!r})); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    with HomeLock(tmp_path):
        assert (tmp_path / "daemon.lock").read_text() == f"{os.getpid()}\n"


@pytest.fixture(autouse=True)
def _no_tokens_of_this_machine(monkeypatch):
    for name in ("SOS_UPSTOX_TOKEN", "SOS_UPSTOX_TOKEN_FILE", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def stored(home, secret, *, dies=NOW + DAY_NS):
    TokenStore(home).save(Token(secret=secret, user_id="AB1234", expires_at=dies))


def test_a_new_login_reaches_whoever_uses_the_token(tmp_path):
    used = []
    watch = TokenWatch(tmp_path, lambda: NOW, used.append)
    watch.look()
    assert watch.token is None
    assert watch.trouble == "nobody is logged in: log in with `python run_actors.py login`"
    stored(tmp_path, "first-token")
    watch.look()
    watch.look()
    stored(tmp_path, "second-token")
    watch.look()
    assert [token.secret for token in used] == ["first-token", "second-token"]
    assert watch.trouble == ""


def test_a_token_that_dies_is_none_and_is_told(tmp_path):
    now = [NOW]
    stored(tmp_path, "days-token", dies=NOW + 10)
    watch = TokenWatch(tmp_path, lambda: now[0], lambda _: None)
    watch.look()
    assert watch.token is not None
    now[0] += 10
    assert watch.token is None
    watch.look()
    assert watch.trouble.startswith("the access token died at 2026-11-20T10:00:00")


def test_a_login_goes_before_a_token_from_elsewhere_that_may_have_been_revoked(tmp_path, monkeypatch):
    monkeypatch.setenv("SOS_UPSTOX_TOKEN", "given-token")
    stored(tmp_path, "mornings-token")
    used, now = [], [NOW]
    watch = TokenWatch(tmp_path, lambda: now[0], used.append)
    watch.look()
    watch.look()
    stored(tmp_path, "new-login", dies=NOW + 10)
    watch.look()
    watch.look()
    now[0] += 10  # what is left then
    watch.look()
    assert [token.secret for token in used] == ["given-token", "new-login", "given-token"]
    TokenStore(tmp_path).path.write_text("{")
    watch.look()
    assert watch.trouble == ""


def test_a_daemon_with_real_money_takes_no_token_of_another_account(tmp_path):
    used = []
    stored(tmp_path, "days-token")
    watch = TokenWatch(tmp_path, lambda: NOW, used.append)
    watch.look()
    watch.belong("AB1234")
    TokenStore(tmp_path).save(Token(secret="strange-token", user_id="ZZ9999", expires_at=NOW + DAY_NS))
    watch.look()
    assert watch.trouble == "the new access token is ZZ9999's, not taken: log in as AB1234"
    assert [token.secret for token in used] == ["days-token"]
    stored(tmp_path, "another-token")
    watch.look()
    assert watch.trouble == ""
    assert [token.secret for token in used] == ["days-token", "another-token"]


def test_a_broken_store_is_told_and_does_not_end_the_watch(tmp_path):
    stored(tmp_path, "days-token")
    TokenStore(tmp_path).path.write_text("{")
    watch = TokenWatch(tmp_path, lambda: NOW, lambda _: None)
    watch.look()
    assert "is not a token file" in watch.trouble
    stored(tmp_path, "days-token")
    watch.look()
    assert watch.trouble == ""


def test_waiting_for_a_login_ends_with_it_or_with_the_stop(tmp_path):
    watch = TokenWatch(tmp_path, lambda: NOW, lambda _: None)
    stop = threading.Event()
    stop.set()
    assert watch.wait(stop) is None
    stored(tmp_path, "days-token")
    watch.look()
    assert watch.wait(threading.Event()) is not None


def test_a_start_that_nobody_logs_in_for_ends_when_told_to(tmp_path):
    watch = TokenWatch(tmp_path, lambda: NOW, lambda _: None)
    watch.look()
    with pytest.raises(InputError, match=r"no log-in within 0.1 s \(live.login_wait_s\): nobody is logged in"):
        watch.wait(threading.Event(), 0.1)


def test_a_log_in_is_heard_although_a_token_the_broker_refused_stands_before_it(tmp_path, monkeypatch):
    used = []
    monkeypatch.setenv("SOS_UPSTOX_TOKEN", "first-token")
    watch = TokenWatch(tmp_path, lambda: NOW, used.append)
    watch.look()
    watch.refuse("the broker does not take the token: log in")
    stored(tmp_path, "second-token")
    watch.look()
    assert [token.secret for token in used] == ["first-token", "second-token"]
    assert (watch.token.secret, watch.trouble) == ("second-token", "")
    watch.refuse("nor this one")
    watch.look()
    assert (watch.token, len(used)) == (None, 2)  # the first is no better than before


def test_a_token_the_broker_refuses_is_dead_until_another_comes(tmp_path):
    used = []
    watch = TokenWatch(tmp_path, lambda: NOW, used.append)
    stored(tmp_path, "first-token")
    watch.look()
    watch.refuse("the broker does not take the token: log in")
    assert watch.token is None
    watch.look()  # it still lies in the store, and by its dates it is alive
    assert watch.token is None
    assert watch.trouble == "the broker does not take the token: log in"
    stored(tmp_path, "second-token")
    watch.look()
    assert watch.token is not None
    assert watch.trouble == ""
    assert [token.secret for token in used] == ["first-token", "second-token"]


@pytest.mark.parametrize(("speed", "scale"), [(0.5, 1.0), (1.0, 1.0), (30.0, 30.0)])
def test_what_waits_for_the_network_waits_in_real_time(speed, scale):
    before = Config(gateway=GatewaySettings(trades_wait_s=1.0, answer_s=30.0, read_s=20.0, chase_s=3.0))
    after = with_real_orders(before, speed)
    assert (after.gateway.trades_wait_s, after.gateway.answer_s, after.gateway.read_s) == (
        scale,
        30 * scale,
        20 * scale,
    )
    assert after.gateway.chase_s == 3.0  # how long the market is waited for is the clock's time
    assert (after.orders.exit_by_stop, after.orders.rest_target) == (True, False)


class Roll(LiveRuntime):
    """A runtime of which only the list of its cast is real: the player of history is still on it when it ends."""

    def __init__(self):
        self.cast = {"feed": None, "strategy/one": None}
        self.told = []
        self.clock = self

    def __iter__(self):
        return iter(self.cast)

    def ref(self, path):
        return self

    def stop(self, *, block):
        assert block

    def together(self):
        return contextlib.nullcontext()

    def spawn(self, kind, path, *args, **kwargs):
        self.cast[path] = kind

    def actor(self, path):
        return types.SimpleNamespace(ports={SessionPhase: ()})

    def tell(self, path, message):
        self.told.append((path, message.phase))


def test_the_live_feed_is_told_what_part_of_the_day_it_is_though_it_takes_the_path_of_historys(monkeypatch, tmp_path):
    roll = Roll()
    cast = LiveCast.__new__(LiveCast)
    cast._runtime, cast._restored_on = roll, None
    cast._cast = types.SimpleNamespace()
    cast._parts = types.SimpleNamespace(real=True, edges=types.SimpleNamespace(tell=None))
    cast.store = OrderStore(tmp_path)
    monkeypatch.setattr("sos_actors.daemon.cast.assembly.spawn_recorder", lambda *_: None)
    monkeypatch.setattr(LiveCast, "_spawn_orders", lambda self: roll.spawn(None, "orders"))
    monkeypatch.setattr(LiveCast, "_spawn_data", lambda self, edges: None)
    monkeypatch.setattr(LiveCast, "_spawn_following", lambda self: None)
    monkeypatch.setattr(LiveCast, "_spawn_feed", lambda self, edges: roll.spawn(None, "feed"))
    cast.trade([SessionPhase(NOW, dt.date(2026, 11, 20), Phase.OPEN)], NOW)
    assert roll.told == [("feed", Phase.OPEN), ("orders", Phase.OPEN), ("notifier", Phase.OPEN)]


@pytest.mark.parametrize(("restored_on", "heard"), [(None, 2), (dt.date(2026, 11, 20), 1), (dt.date(2026, 11, 19), 2)])
def test_a_desk_that_went_through_this_morning_is_not_told_of_it_again(restored_on, heard):
    roll, day = Roll(), dt.date(2026, 11, 20)
    cast = LiveCast.__new__(LiveCast)
    cast._runtime, cast._restored_on = roll, restored_on
    cast._tell("orders", [SessionPhase(NOW, day, Phase.PRE_OPEN), SessionPhase(NOW, day, Phase.OPEN)])
    assert len(roll.told) == heard
    assert roll.told[-1][1] is Phase.OPEN


def test_on_a_scaled_clock_what_waits_for_lagging_books_waits_in_real_time():
    plain = Config().gateway
    same = with_real_orders(Config(), 1.0).gateway
    assert same == plain
    fast = with_real_orders(Config(), 60.0).gateway
    assert fast.absent_s / 60 == 5.0, "an order that shows up seconds late must not be sent a second time"
    assert fast.settle_s / 60 == 5.0
    assert fast.doubt_read_s / 60 == 0.5
    assert with_real_orders(Config(), 2.0).gateway.absent_s == plain.absent_s


class _Master:
    """The broker's file, made anew at 06:00 every day."""

    def __init__(self) -> None:
        self.fetched = 0

    def __call__(self) -> bytes:
        self.fetched += 1
        key = f"NSE_FO|{self.fetched}"
        row = {"segment": "NSE_FO", "instrument_type": "CE", "instrument_key": key, "underlying_symbol": "NIFTY",
               "expiry": 1795458599000, "strike_price": 25000.0, "lot_size": 65, "tick_size": 5.0}  # fmt: skip
        return gzip.compress(json.dumps([row]).encode())


def test_a_start_in_the_small_hours_takes_todays_instruments_in_the_morning(tmp_path):
    day, clock, download = dt.date(2026, 11, 20), ["02:00"], _Master()
    listed = TodaysTable(MasterFiles(tmp_path, download), lambda: ist_ns(day, clock[0]))
    early = listed.refresh()
    assert listed.of(day) is early is listed.table()
    clock[0] = "08:30"
    today = listed.of(day)
    assert today is not early
    assert listed.of(day) is today is listed.table()
    assert download.fetched == 2
    assert MasterFiles(tmp_path).days() == [dt.date(2026, 11, 19), day]
