"""Every page in a real browser: what is shown is what the actors know. Skipped where there is no Chromium.

Screenshots go to the folder named by $SOS_SCREENSHOTS, where it is set.
"""

import os
import re
import shutil
import time
from pathlib import Path

import pytest
from web_rig import TOKEN

playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
SLOW = 30_000
PAGES = ("now", "chain", "strategies", "actors", "history")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


class Window:
    """A page of the dashboard, and what went wrong in it."""

    def __init__(self, context, address):
        self.faults = []
        self.asked = set()
        self.page = context.new_page()
        self.page.set_default_timeout(SLOW)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: said.type == "error" and self.faults.append(said.text))
        self.page.on("request", lambda request: self.asked.add(re.match(r"\w+:(//[^/]+)?", request.url)[0]))
        self.address = address

    def open(self, name):
        self.page.goto(f"{self.address}/{name}")
        self.page.wait_for_selector(".link.up")
        return self.page

    def until(self, condition):
        """Wait for a condition; the library's own way of waiting is one the pages' policy forbids (eval)."""
        deadline = time.monotonic() + SLOW / 1000
        while not condition():
            assert time.monotonic() < deadline, "did not come true in time"
            self.page.wait_for_timeout(50)

    def shot(self, name):
        folder = os.environ.get("SOS_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=f"{folder}/{name}.png")


@pytest.fixture
def window(browser, server):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    made = Window(context, server.address)
    yield made
    context.close()
    assert not made.faults
    assert made.asked <= {server.address, "data:"}  # offline: nothing is fetched from anywhere else


def test_now_shows_market_and_trading(window, ask):
    page = window.open("now")
    page.wait_for_selector("#index-chart .trace.boxes, #index-chart .cartesianlayer path.box")
    page.wait_for_selector("#equity-chart .js-line")
    page.wait_for_selector("#signals tbody tr")
    chain = ask.get("/chain")
    tiles = page.inner_text("#tiles")
    assert "PCR" in tiles
    assert re.search(r"\d\d,\d\d\d\.\d\d", tiles)
    assert chain["figures"]["regime"].replace("_", " ").lower() in tiles.lower()
    first = ask.get("/trades")[0]
    assert first["strategy"] in page.inner_text("#trades")
    assert page.inner_text("#clock").endswith("IST 2025-09-02")
    window.shot("now")


def test_a_traded_contract_is_chosen_by_a_click(window):
    page = window.open("now")
    page.wait_for_selector("#trades tbody tr")
    row = page.locator("#trades tbody tr").last
    name = row.locator("td").nth(2).inner_text()
    row.click()
    page.wait_for_function(
        "name => document.querySelector('#contract').selectedOptions[0]?.text.startsWith(name)", arg=name
    )


def test_the_price_moves(window):
    page = window.open("now")
    page.wait_for_selector("#tiles .tile b")
    before = page.inner_text("#tiles .tile b")
    window.until(lambda: page.inner_text("#tiles .tile b") != before)


def test_chain_and_its_past_minutes(window):
    page = window.open("chain")
    page.wait_for_selector("#chain-table tbody tr.atm")
    assert "Calls" in page.inner_text("#chain-table")
    assert page.locator("#chain-table tbody tr").count() >= 11
    page.wait_for_selector("#heat-chart .hm image")
    page.wait_for_selector("#smile-chart .js-line")
    page.evaluate("const s = document.querySelector('#minute'); s.value = 20; s.dispatchEvent(new Event('input'))")
    window.until(lambda: page.evaluate("document.querySelector('#chain-at').innerText.includes('stored minute')"))
    assert re.search(r"09:3\d IST", page.inner_text("#chain-at"))
    for name in ("IV", "Volume", "Gamma exposure"):
        page.get_by_role("button", name=name, exact=True).click()
        page.wait_for_selector("#heat-chart .hm image")
    page.click("#newest")
    window.until(lambda: page.evaluate("!document.querySelector('#chain-at').innerText.includes('stored minute')"))
    window.shot("chain")


def test_strategies_say_what_they_wait_for_and_go_off_and_on(window):
    page = window.open("strategies")
    card = page.locator('[data-name="brf_short"]')
    card.wait_for()
    assert page.locator(".waits code").count() > 10
    card.get_by_role("button", name="Pause").click()
    page.wait_for_selector("#dialog[open]")
    page.click("#confirm")
    page.fill("#token", TOKEN)  # asked for once
    page.click("#confirm")
    card.get_by_text("paused").wait_for()
    card.get_by_role("button", name="Resume").click()
    page.click("#confirm")
    card.get_by_text("on", exact=True).wait_for()
    window.shot("strategies")


def test_actors_and_one_of_them(window):
    page = window.open("actors")
    page.locator('tr[data-path="orders"]').click()
    window.until(lambda: page.evaluate("document.querySelector('#drawer').innerText.includes('cash_paise')"))
    assert "OrderActor" in page.inner_text("#drawer")
    assert "Fill" in page.inner_text("#drawer")
    page.fill("#find", "chain/")
    window.until(lambda: page.evaluate("document.querySelectorAll('#tree tr[data-path]').length === 1"))
    assert page.locator("#edges tbody tr").count() >= 1
    window.shot("actors")


def test_history_says_what_it_needs(window):
    page = window.open("history")
    window.until(lambda: page.evaluate("document.querySelector('#page').innerText.includes('No day is stored')"))


def test_kill_by_key_asks_first(window, ask):
    page = window.open("now")
    page.keyboard.press("k")
    page.wait_for_selector("#dialog[open]")
    assert "Nothing is entered any more" in page.inner_text("#dialog")
    page.keyboard.press("Escape")
    page.wait_for_selector("#dialog:not([open])", state="attached")
    assert ask.get("/status")["trading"] == "ACTIVE"
    page.keyboard.press("k")
    page.click("#confirm")
    page.fill("#token", TOKEN)
    page.click("#confirm")
    window.until(lambda: page.evaluate("document.querySelector('#mode').innerText.toUpperCase().includes('HALTED')"))
    assert ask.order("resume")[0] == 200
    window.until(lambda: page.evaluate("!document.querySelector('#mode').innerText.toUpperCase().includes('HALTED')"))


def test_keys_lead_to_every_page(window):
    page = window.open("now")
    for key, name in zip("12345", PAGES, strict=True):
        page.keyboard.press(key)
        page.wait_for_url(f"**/{name}")


def test_the_api_page_lists_every_route(window):
    page = window.page
    page.goto(f"{window.address}/docs")
    page.wait_for_selector("details.route")
    assert page.locator("details.route").count() >= 20
    assert "/api/v1/control/kill" in page.inner_text("#page")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_fits_a_phone(browser, server, theme):
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=theme)
    window = Window(context, server.address)
    for name in PAGES:
        page = window.open(name)
        page.wait_for_timeout(800)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        assert page.locator("#kill").bounding_box()["x"] + page.locator("#kill").bounding_box()["width"] <= 390
        window.shot(f"{name}-phone-{theme}")
    context.close()
    assert not window.faults
