"""A trading daemon looked at from all sides: `top`, the command line, the API and the pages say the same."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from live_stand import ROOT, Stand, exchange, until

PAGES = {"now": "#trades tbody tr", "chain": "#chain-table tr.atm", "strategies": '[data-name="steady_call"]',
         "actors": 'tr[data-path="orders"]', "history": "#history-day .cartesianlayer path.box"}  # fmt: skip


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    """A daemon that trades since 09:40 and serves its dashboard."""
    with exchange("2026-11-20T09:40:00", 30.0) as sandbox:
        one = Stand(sandbox, tmp_path_factory.mktemp("seen"), config={"web": {"enabled": True, "port": 0}})
        try:
            one.start()
            one.trades(2)
            yield one
            one.ask("pause")
            one.ask("flatten")
            one.wait_flat()
            one.close()
        finally:
            if one.process is not None and one.process.poll() is None:
                one.kill()


@pytest.fixture(scope="module")
def address(stand):
    """Where its dashboard is: the log says it."""

    def told():
        lines = stand.output.read_text().split("dashboard at ")[1:]
        return lines and lines[-1].split(";")[0].split()[0]

    return until(told, "the dashboard is there")


def command(stand, *words):
    run = [sys.executable, str(ROOT / "run_actors.py"), *words, "--home", str(stand.home)]
    return subprocess.run(run, check=False, capture_output=True, text=True, timeout=60)


def get(address, path):
    with urllib.request.urlopen(f"{address}/api/v1{path}", timeout=30) as answer:
        return json.loads(answer.read())


def order(stand, address, name, strategy):
    token = (stand.home / "tokens" / "web").read_text().strip()
    request = urllib.request.Request(
        f"{address}/api/v1/control/{name}", data=json.dumps({"strategy": strategy}).encode(),
        headers={"Authorization": f"Bearer {token}", "X-SOS-Control": "1"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())["done"]


def test_top_shows_the_trading(stand):
    until(lambda: stand.status()["positions"], "something is held")
    shown = command(stand, "top", "--once")
    assert shown.returncode == 0, shown.stderr
    for word in ("sandbox", "OPEN", "ACTIVE", "order stream live", "steady_", "bar/NSE|INDEX|NIFTY", "STOP", "live"):
        assert word in shown.stdout, word
    restarts = command(stand, "top", "--once", "--sort", "handled").stdout
    assert "by handled" in restarts
    wrong = command(stand, "top", "--once", "--sort", "colour")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


def test_top_without_a_daemon_says_so(stand, tmp_path):
    run = [sys.executable, str(ROOT / "run_actors.py"), "top", "--home", str(tmp_path)]
    shown = subprocess.run(run, check=False, capture_output=True, text=True, timeout=60)
    assert shown.returncode == 1
    assert shown.stderr.startswith("error: no daemon runs on ")
    assert shown.stderr.count("\n") == 1


def test_a_pause_is_one_truth(stand, address):
    def paused():
        return {one["strategy"]: one["paused"] for one in get(address, "/strategies")}

    order(stand, address, "pause", "steady_put")
    assert "enters nothing: steady_put (REDUCING)" in command(stand, "status").stdout
    until(lambda: paused()["steady_put"], "the page says so")
    assert not paused()["steady_call"]
    assert command(stand, "resume", "steady_put").returncode == 0
    assert "enters nothing" not in command(stand, "status").stdout
    until(lambda: not paused()["steady_put"], "the page says so")


def test_the_api_tells_what_the_daemon_knows(stand, address):
    trade = until(lambda: get(address, "/trades"), "a trade is closed")[0]
    why = get(address, f"/why?trade={urllib.request.quote(trade['trade_id'])}")["decision"]
    (phase,) = why["phases"]
    assert phase["conditions"][0]["condition"] == "close > 0"
    assert phase["conditions"][0]["values"]["close"] > 20_000
    assert why["plan"]["instrument"] == trade["instrument"]
    assert {one["role"] for one in why["orders"]} >= {"ENTRY", "STOP"}
    assert sum(fill["quantity"] for fill in why["orders"][0]["fills"]) == trade["quantity"]
    found = get(address, f"/instruments?find={urllib.request.quote(trade['instrument'])}")
    assert [one["id"] for one in found] == [trade["instrument"]]
    assert any("live at" in line for line in get(address, "/start-log"))
    listed = get(address, "/sessions")
    assert listed[0]["kind"] == "live"
    assert [one["name"] for one in listed if one["kind"] == "session"] == [listed[0]["name"]]
    assert not [one for one in listed if one["kind"] == "recorded"], "today is no past day"
    assert get(address, "/maintenance")["keep_days"]["ticks"] == 60
    assert "sound" in order(stand, address, "maintenance", "")
    assert get(address, "/maintenance")["last"]["health"]["integrity"] == "ok"
    get(address, "/actor?path=risk")
    until(lambda: get(address, "/actor?path=risk")["messages"], "risk hears something")

    def told():
        edges = get(address, "/edges")
        return any(one["senders"].get("chain/NIFTY") for one in edges if one["message"] == "ChainSnapshot")

    until(told, "who sends snapshots is known")
    with pytest.raises(urllib.error.HTTPError):
        get(address, "/why?trade=none")


def test_every_page_in_a_browser(stand, address, tmp_path):
    driver = pytest.importorskip("playwright.sync_api")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium here")
    with driver.sync_playwright() as playing:
        browser = playing.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        faults = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: said.type == "error" and faults.append(said.text))
        for name, shown in PAGES.items():
            page.goto(f"{address}/{name}")
            page.wait_for_selector(shown, timeout=30_000)
            if name == "now":
                held = page.locator("#positions button").all()
                edge = page.locator("#positions").bounding_box()
                right = edge["x"] + edge["width"]
                assert all(one.bounding_box()["x"] + one.bounding_box()["width"] <= right for one in held), "clipped"
            if name == "history":
                page.locator("#history-trades tbody tr").first.click()
                page.wait_for_selector("#why .held")
                assert "close > 0" in page.inner_text("#why")
        browser.close()
    assert not faults, faults


def test_the_dashboard_comes_back_when_its_process_dies_and_ends_with_the_daemon(stand, address):
    def child():
        listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(stand.process.pid)], check=False,
                                capture_output=True, text=True).stdout  # fmt: skip
        found = [line.split()[0] for line in listed.splitlines() if "web_process" in line]
        return int(found[0]) if found else None

    before = child()
    assert before
    subprocess.run(["kill", "-9", str(before)], check=True)
    until(lambda: child() not in {None, before}, "another process serves it")
    assert stand.process.poll() is None
    time.sleep(0.1)
    again = until(lambda: stand.output.read_text().count("dashboard at ") > 1, "it listens again")
    assert again
