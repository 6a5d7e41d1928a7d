"""The documents say what is so: links lead somewhere, named files and make targets exist, tables are complete."""

import re
from pathlib import Path

import pytest

from sos_actors.messages import RefusalReason

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
REASONS_PAGE = ROOT / "docs" / "strategies.md"

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
OUR_FILE = re.compile(r"`((?:sos_actors|tests|bench|deploy|docs|strategies)/[\w./-]+\.\w+)`")
MAKE_TARGET = re.compile(r"`(?:[A-Z]+=\S+ )*make ([a-z][a-z-]*)`|^\s*\$? ?make ([a-z][a-z-]*)", re.MULTILINE)
REASON_ROW = re.compile(r"^\|\s*`([A-Z_]+)`\s*\|", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Anchors a page's headings give, as code hosts make them."""
    headings = re.findall(r"^#+\s+(.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def dead_links(text: str, folder: Path) -> list[str]:
    """Links to files or headings that are not there; links to the web are not tried."""
    dead = []
    for target in LINK.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = folder / name
        if not path.exists():
            dead.append(target)
        elif anchor:
            page = path.read_text() if name else text
            dead += [] if anchor in anchors(page) else [target]
    return dead


def make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text()
    return set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())


def named_targets(text: str) -> set[str]:
    return {one or other for one, other in MAKE_TARGET.findall(text)}


def test_links_lead_somewhere():
    assert {page.name: dead for page in PAGES if (dead := dead_links(page.read_text(), page.parent))} == {}


def test_named_files_exist():
    named = {(page.name, name) for page in PAGES for name in OUR_FILE.findall(page.read_text())}
    assert sorted(pair for pair in named if not (ROOT / pair[1]).exists()) == []


def test_named_make_targets_exist():
    assert {page.name: lost for page in PAGES if (lost := named_targets(page.read_text()) - make_targets())} == {}


def test_every_target_has_a_rule():
    makefile = (ROOT / "Makefile").read_text()
    assert [target for target in sorted(make_targets()) if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


@pytest.mark.skipif(not REASONS_PAGE.exists(), reason="docs/strategies.md is not written")
def test_every_refusal_is_explained():
    rows = REASON_ROW.findall(REASONS_PAGE.read_text())
    assert sorted(rows) == sorted(RefusalReason)


def test_catches_dead_links_and_targets(tmp_path):
    (tmp_path / "other.md").write_text("# Here we are: now\n")
    good = "[a](other.md) [b](other.md#here-we-are-now) [c](https://example.org) [d](#top)\n# Top\n"
    assert dead_links(good, tmp_path) == []
    assert dead_links("[a](none.md) [b](other.md#gone) [c](#gone)", tmp_path) == ["none.md", "other.md#gone", "#gone"]
    assert named_targets("run `make demo`, or\n$ make bench-peers\nto make sure") == {"demo", "bench-peers"}
    assert REASON_ROW.findall("| `COOLDOWN` | wait |\n| x | `NO` |") == ["COOLDOWN"]
