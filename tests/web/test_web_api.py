"""The API over a cast on the live stage: what it answers, what it refuses, what never leaves."""

import socket
import time

import pytest
from web_rig import PLANTED, TOKEN, Asker, settings, source_of

from sos_actors.messages import HistoryPlayed
from sos_actors.web.api import Api
from sos_actors.web.guard import POLICY
from sos_actors.web.openapi import document
from sos_actors.web.server import WebServer


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("did not come true in time")


def test_every_question_is_answered(ask, source):
    for route in Api(source).routes():
        if route.path in {"/run", "/actor", "/instruments", "/maintenance", "/why"}:
            continue
        assert ask.get(route.path) is not None, route.path


def test_chain_of_any_minute(ask):
    chain = ask.get("/chain?at=09:40")
    assert chain["at"].endswith("09:40:00")
    assert chain["expiry"] == "2025-09-02"
    assert len(chain["calls"]) == len(chain["puts"]) == len(chain["strikes"]) > 10
    money = chain["strikes"].index(chain["figures"]["atm_strike"])
    call, put = chain["calls"][money], chain["puts"][money]
    assert 0.3 < call["delta"] < 0.7
    assert -0.7 < put["delta"] < -0.3
    assert call["price"] + put["price"] == pytest.approx(chain["figures"]["straddle"])
    assert call["oi"] > 0
    assert call["volume"] > 0
    later = ask.get("/chain?at=10:10")
    assert later["calls"][money]["volume"] > call["volume"]  # the day's, so it only grows


def test_series_and_heat_maps_have_one_entry_a_minute(ask):
    for field in ("oi_change", "oi", "iv", "volume", "gamma"):
        for right in ("CE", "PE", "BOTH"):
            heat = ask.get(f"/chain/heat?field={field}&right={right}")
            assert len(heat["values"]) == len(heat["strikes"])
            assert {len(row) for row in heat["values"]} == {len(heat["ts"])}
            assert any(value is not None for row in heat["values"] for value in row), (field, right)
    series = ask.get("/chain/series")
    assert {len(values) for values in series["series"].values()} == {len(series["ts"])}


def test_candles_carry_the_bar_being_built(ask):
    def forming():
        candles = ask.get("/candles")
        return candles if candles["forming"] else None

    candles = until(forming)
    assert candles["instrument"] == "NSE|INDEX|NIFTY"
    assert candles["start"] == sorted(candles["start"])
    assert candles["forming"][0] >= candles["start"][-1]
    _, opened, high, low, price = candles["forming"]
    assert low <= min(opened, price) <= max(opened, price) <= high


def test_strategies_say_what_they_wait_for(ask):
    rows = until(lambda: [one for one in ask.get("/strategies") if one["waiting_for"]])
    one = rows[0]
    assert one["phase_number"] <= one["phases"]
    assert one["waiting_for"]["condition"]


def test_actors_and_who_hears_what(ask):
    tree = until(lambda: (found := ask.get("/actors"))["actors"][0]["rate"] is not None and found)
    paths = {one["path"] for one in tree["actors"]}
    assert {"orders", "risk", "observer", "chain/NIFTY"} <= paths
    orders = until(lambda: (found := ask.get("/actor?path=orders"))["state"] and found)
    assert "cash_paise" in orders["state"]
    assert {"message": "Fill", "actor": "orders"}.items() <= next(
        one for one in ask.get("/edges") if one["actor"] == "orders" and one["message"] == "Fill"
    ).items()


def test_trades_add_up(ask):
    trades, performance = ask.get("/trades"), ask.get("/performance")
    assert performance["figures"]["trades"] >= len(trades) > 0
    for trade in trades:
        assert trade["net"] == pytest.approx(trade["gross"] - trade["charges"])
        assert trade["entry_ts"] <= trade["exit_ts"]


def test_a_signal_was_entered_or_says_why_not(ask):
    signals = ask.get("/signals")
    assert {"entered"} < {one["outcome"] for one in signals}
    assert all(one["detail"] for one in signals if one["outcome"].isupper())


def test_wrong_questions_are_told_in_a_line(ask):
    for path, words in (
        ("/chain?underlying=DOW", "DOW"), ("/chain?at=25:99", "25:99"), ("/trades?day=yesterday", "YYYY-MM-DD"),
        ("/candles?instument=x", "instument"), ("/actor?path=nobody", "nobody"), ("/chain/heat?field=luck", "field"),
        ("/trades?day=2020-01-01", "2020-01-01"),
    ):  # fmt: skip
        status, said, _ = ask("/api/v1" + path)
        assert status == 400, path
        assert words in said["error"]


def test_reading_puts_nothing_into_a_mailbox(ask, rehearsal, monkeypatch):
    """Neither a message nor a question: what the API says was published before."""
    asked = []
    monkeypatch.setattr(rehearsal.runtime, "snapshot", lambda *given: asked.append(given))
    monkeypatch.setattr(rehearsal.runtime, "tell", lambda *given: asked.append(given))
    monkeypatch.setattr(rehearsal.runtime, "publish", lambda *given: asked.append(given))
    for path in ("/actors", "/actor?path=orders", "/status", "/strategies", "/chain", "/candles", "/edges"):
        ask.get(path)
    assert not asked


# -- orders ----------------------------------------------------------------------------------------------------


def test_orders_need_token_and_header(ask):
    assert ask.order("pause", Authorization="Bearer " + "x" * 43)[0] == 401
    assert ask.order("pause", Authorization="")[0] == 401
    assert ask.order("pause", X_SOS_Control="0")[0] == 403
    assert ask.order("pause", Origin="http://evil.example")[0] == 403
    assert ask("/api/v1/control/pause")[0] == 405  # a link cannot


def test_pause_and_resume_reach_risk(ask, rehearsal):
    name = "brf_short"
    status, said = ask.order("pause", {"strategy": name})
    assert status == 200, said
    assert name in said["done"]
    assert next(one for one in ask.get("/strategies") if one["strategy"] == name)["paused"]
    until(lambda: any("REDUCING" in what for _, who, what in rehearsal.seen.book().events if who == name))
    assert ask.order("resume", {"strategy": name})[0] == 200
    assert not next(one for one in ask.get("/strategies") if one["strategy"] == name)["paused"]


def test_a_benched_strategy_is_taken_back(ask, rehearsal):
    name = "brf_short"
    (path,) = [one for one in rehearsal.runtime if one.endswith(f"/{name}")]

    def state():
        return next(one for one in ask.get("/strategies") if one["strategy"] == name)

    status, said = ask.order("reinstate", {"strategy": name})
    assert (status, "benched now: none" in said["error"]) == (400, True)
    assert ask.order("reinstate")[0] == 400
    assert ask.order("reinstate", {"strategy": name}, Authorization="")[0] == 401
    for _ in range(4):
        rehearsal.runtime.tell(path, HistoryPlayed(0, b"no standing"))
    until(lambda: state()["state"] == "benched" and state()["paused"])
    assert "`reinstate brf_short` takes it back" in ask.order("resume", {"strategy": name})[1]["done"]
    with WebServer(source_of(rehearsal, real=True), settings(), TOKEN) as server:
        asks = Asker(server.address)
        status, said = asks.order("reinstate", {"strategy": name})
        assert (status, state()["state"]) == (409, "benched")
        status, said = asks.order("reinstate", {"strategy": name, "confirm": said["confirm"]})
    assert (status, said["done"]) == (200, f"{name} is at work again on NIFTY, from its first phase")
    until(lambda: (state()["state"], state()["paused"], state()["phase_number"]) == ("on", False, 1))
    until(lambda: any("at work again" in what for _, who, what in rehearsal.seen.book().events if who == path))


def test_kill_closes_everything_and_resume_lets_it_go_on(ask):
    assert ask.order("kill", {"reason": "a test"})[0] == 200
    until(lambda: ask.get("/status")["trading"] == "HALTED")
    until(lambda: not ask.get("/status")["positions"])
    assert ask.order("resume")[0] == 200
    until(lambda: ask.get("/status")["trading"] == "ACTIVE")


def test_unknown_strategies_and_fields_are_refused(ask):
    status, said = ask.order("pause", {"strategy": "nobody"})
    assert (status, "nobody" in said["error"]) == (400, True)
    status, said = ask.order("pause", {"strateggy": "brf_short"})
    assert (status, "strateggy" in said["error"]) == (400, True)


def test_real_money_is_confirmed(rehearsal):
    with WebServer(source_of(rehearsal, real=True), settings(), TOKEN) as server:
        ask = Asker(server.address)
        status, said = ask.order("flatten", {"strategy": "brf_short"})
        assert status == 409
        assert "real orders" in said["error"]
        word = said["confirm"]
        assert ask.order("kill", {"confirm": word})[0] == 409  # given for another order
        status, said = ask.order("flatten", {"strategy": "brf_short"})
        status, said = ask.order("flatten", {"strategy": "brf_short", "confirm": said["confirm"]})
        assert status == 200, said


# -- what keeps others out ---------------------------------------------------------------------------------------


def test_nothing_secret_leaves(ask, server, source):
    """Planted: the token of the pages, and the broker's in the configuration."""
    texts = [str(ask(f"/api/v1{route.path}")[1]) for route in Api(source).routes()]
    texts += [str(ask.get(f"/actor?path={one['path']}")) for one in ask.get("/actors")["actors"][:60]]
    texts.append(str(ask("/openapi.json")[1]))
    for text in texts:
        assert PLANTED not in text
        assert TOKEN not in text
    assert "(hidden)" in str(ask.get("/config"))


def test_headers_of_every_answer(ask):
    for path in ("/api/v1/about", "/api/v1/nothing", "/openapi.json"):
        headers = ask(path)[2]
        assert headers["Content-Security-Policy"] == POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in headers
    assert "default-src 'self'" in POLICY
    assert "unsafe" not in POLICY.replace("style-src-attr 'unsafe-inline'", "")


def test_foreign_host_names_are_turned_away(ask):
    assert ask("/api/v1/about", Host="evil.example")[0] == 421


def test_beyond_loopback_reading_needs_the_token(rehearsal):
    with WebServer(source_of(rehearsal), settings(host="0.0.0.0", orders_per_min=5.0), TOKEN) as server:
        ask = Asker(f"http://127.0.0.1:{server.port}")
        assert ask("/api/v1/health")[0] == 200
        assert ask("/api/v1/status")[0] == 401
        assert ask("/api/v1/status", Authorization=f"Bearer {TOKEN}")[0] == 200
        assert {ask("/api/v1/status", Authorization="Bearer guess")[0] for _ in range(12)} == {401, 429}


def test_too_many_requests(rehearsal):
    with WebServer(source_of(rehearsal), settings(reads_per_s=0.5), TOKEN) as server:
        ask = Asker(server.address)
        assert 429 in {ask("/api/v1/about")[0] for _ in range(8)}
        assert ask("/api/v1/health")[0] == 200


def test_nothing_without_the_token_uses_up_the_operators_orders(rehearsal):
    with WebServer(source_of(rehearsal), settings(reads_per_s=0.5, orders_per_min=2.0), TOKEN) as server:
        ask = Asker(server.address)
        assert 429 in {ask("/api/v1/about")[0] for _ in range(8)}
        assert 429 in {ask.order("pause", Authorization="Bearer guess")[0] for _ in range(6)}
        assert [ask.order(name)[0] for name in ("pause", "resume", "pause")] == [200, 200, 429]


def test_headers_that_are_no_text_are_refused_like_wrong_ones(server):
    for line in (b"Host: [", b"Host: localhost\r\nOrigin: http://[", b"Host: localhost\r\nAuthorization: Bearer \xff"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
            raw.sendall(
                b"POST /api/v1/control/pause HTTP/1.1\r\nX-SOS-Control: 1\r\nContent-Length: 2\r\n"
                + line
                + b"\r\n\r\n{}"
            )
            answer = raw.recv(65536)
        assert int(answer.split()[1]) in {401, 403, 421}, answer
        assert b"Content-Security-Policy" in answer


def test_openapi_names_only_what_is_there(ask, source):
    described = document(Api(source).routes(), "1")
    assert described == ask("/openapi.json")[1] | {"info": described["info"]}
    text = str(described)
    for reference in {word.split("'")[0] for word in text.split("#/components/schemas/")[1:]}:
        assert reference in described["components"]["schemas"]
