"""Every page in a real browser: what is shown is what the actors know. Skipped where there is no Chromium.

Screenshots go to the folder named by $SOS_SCREENSHOTS, where it is set.
"""

import re

import pytest
from web_rig import TOKEN, settings, source_of

from sos_actors.control.protocol import ControlError
from sos_actors.messages import HistoryPlayed
from sos_actors.web.server import WebServer

PAGES = ("now", "chain", "strategies", "actors", "history")


@pytest.fixture
def window(browser, server, window_of):
    made = window_of(browser, server.address)
    yield made
    made.end()


def test_now_shows_market_and_trading(window, ask):
    page = window.open("now")
    page.wait_for_selector("#index-chart .trace.boxes, #index-chart .cartesianlayer path.box")
    page.locator("#equity-chart .js-line").nth(1).wait_for()
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


def test_history_begins_with_today_where_nothing_is_stored(window, ask):
    page = window.open("history")
    page.locator("h2", has_text=ask.get("/about")["day"]).wait_for()
    page.wait_for_selector("#history-trades tbody tr")
    page.locator("#history-trades tbody tr").first.click()
    page.wait_for_selector("#why .held")
    assert page.locator("#run").is_hidden()
    assert page.locator("#day option").count() == 1


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


def test_a_benched_strategy_has_a_button_that_takes_it_back(window, ask, rehearsal):
    name = "brf_short"
    (path,) = [one for one in rehearsal.runtime if one.endswith(f"/{name}")]
    for _ in range(4):
        rehearsal.runtime.tell(path, HistoryPlayed(0, b"no standing"))
    page = window.open("strategies")
    button = page.locator(f".strategy[data-name={name}] button", has_text="Reinstate")
    button.wait_for()
    assert "benched" in page.inner_text(f".strategy[data-name={name}] header")
    window.shot("benched")
    button.click()
    assert "begins anew with its first phase" in page.inner_text("#dialog")
    page.click("#confirm")
    page.fill("#token", TOKEN)
    page.click("#confirm")
    page.locator(f".strategy[data-name={name}] button", has_text="Pause").wait_for()
    assert next(one for one in ask.get("/strategies") if one["strategy"] == name)["state"] == "on"


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
def test_every_page_fits_a_phone(browser, server, window_of, theme):
    window = window_of(browser, server.address, viewport={"width": 390, "height": 844}, color_scheme=theme)
    for name in PAGES:
        page = window.open(name)
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        assert page.locator("#kill").bounding_box()["x"] + page.locator("#kill").bounding_box()["width"] <= 390
        if name == "now":  # what was won and why a signal was not taken must not need a finger
            page.wait_for_selector("#signals tbody tr")
            for box in ("#trades", "#signals", "#positions", "#events"):
                wide = page.evaluate(f"(b => b.scrollWidth - b.clientWidth)(document.querySelector('{box}'))")
                assert wide <= 0, box
        window.shot(f"{name}-phone-{theme}")
    window.end()


def test_figures_fade_while_nothing_answers_behind_the_server(browser, rehearsal, window_of):
    source = source_of(rehearsal)
    answering, silent = source.status, []

    def status():
        if silent:
            raise ControlError("the daemon did not answer 'stage' within 10 s")
        return answering()

    source.status = status
    with WebServer(source, settings(), TOKEN) as server:
        window = window_of(browser, server.address, timezone_id="America/New_York")
        page = window.open("now")
        page.wait_for_selector("#tiles .tile b")
        assert page.inner_text("#clock").endswith("IST 2025-09-02")
        silent.append(True)
        page.wait_for_selector(".link.down")
        assert page.inner_text("#link") == "no answer"
        assert page.locator("#page.stale").count() == 1
        silent.clear()
        page.wait_for_selector(".link.up")
        assert page.locator("#page.stale").count() == 0
        window.until(lambda: "did not answer" not in page.inner_text("#notice"))
        window.end()
