"""What the tests of the web server share: a client, and a source over a stage."""

import json
import os
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

import msgspec

from sos_actors.config import Config
from sos_actors.web.live_source import LiveParts, LiveSource
from sos_actors.web.settings import WebSettings
from sos_actors.web.stage import LocalStage

TOKEN = "T" * 43
PLANTED = "planted-broker-token-4711"
ROOT = Path(__file__).parents[2]


class Asker:
    """Asks a server and gives status and JSON."""

    def __init__(self, address):
        self.address = address

    def __call__(self, path, *, body=None, method=None, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data=data, headers=named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read()), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}"), error.headers

    def get(self, path, **headers):
        status, said, _ = self("/api/v1" + path, **headers)
        assert status == 200, said
        return said

    def order(self, name, body=None, **headers):
        given = {"Authorization": f"Bearer {TOKEN}", "X_SOS_Control": "1"} | headers
        return self(f"/api/v1/control/{name}", body=body or {}, **given)[:2]


def source_of(rehearsal, *, real=False):
    config = msgspec.to_builtins(Config())
    config["upstox"]["access_token"] = PLANTED
    return LiveSource(
        LiveParts(
            stage=LocalStage(rehearsal.runtime, rehearsal.operations, rehearsal.seen.book),
            underlyings=rehearsal.underlyings, config=config, kind="demo", real=real, secrets=lambda: [PLANTED],
        )
    )  # fmt: skip


def settings(**changes):
    return WebSettings(**({"port": 0, "reads_per_s": 1000.0, "orders_per_min": 600.0, "stream_hz": 5.0} | changes))


SLOW = 30_000


class Window:
    """A page of the dashboard in a browser, and what went wrong in it."""

    def __init__(self, browser, address, viewport=None, **options):
        self.context = browser.new_context(viewport=viewport or {"width": 1280, "height": 900}, **options)
        self.faults = []
        self.asked = set()
        self.page = self.context.new_page()
        self.page.set_default_timeout(SLOW)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: said.type == "error" and self.faults.append(said.text))
        self.page.on("request", lambda request: self.asked.add(re.match(r"\w+:(//[^/]+)?", request.url)[0]))
        self.address = address

    def open(self, name):
        """Go to a page and wait for its stream."""
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
        """Keep a picture, where $SOS_SCREENSHOTS names a folder."""
        folder = os.environ.get("SOS_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=f"{folder}/{name}.png")

    def end(self, but=""):
        """Close it; nothing may have gone wrong `but` this, and nothing may have been fetched from anywhere else."""
        self.context.close()
        faults = [one for one in self.faults if not but or but not in one]
        assert not faults, faults
        assert self.asked <= {self.address, "data:"}
