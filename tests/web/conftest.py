"""A rehearsal on the live stage, served; and a browser, where there is one."""

import shutil

import pytest
from web_rig import ROOT, TOKEN, Asker, Window, settings, source_of

from sos_actors.config import Config
from sos_actors.daemon.rehearsal import Rehearsal
from sos_actors.playbook.loader import load_playbook
from sos_actors.web.server import WebServer


@pytest.fixture(scope="session")
def rehearsal():
    with Rehearsal(Config(), load_playbook([ROOT / "strategies"]), "10:20") as playing:
        playing.play(speed=20.0)
        yield playing


@pytest.fixture(scope="session")
def source(rehearsal):
    return source_of(rehearsal)


@pytest.fixture(scope="session")
def server(source):
    with WebServer(source, settings(), TOKEN, "test") as running:
        yield running


@pytest.fixture
def ask(server):
    return Asker(server.address)


@pytest.fixture(scope="module")
def browser():
    driver = pytest.importorskip("playwright.sync_api")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium here")
    with driver.sync_playwright() as playing:
        running = playing.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def window_of():
    return Window
