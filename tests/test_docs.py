"""The documents say what is so: links, files, make targets, options and keys exist, tables are complete."""

import datetime as dt
import re
from pathlib import Path

import msgspec
import typer
import yaml

from sos_actors.cli import app
from sos_actors.config import Config
from sos_actors.messages import Direction, ExitReason, RefusalReason, Regime, Side, TradeClosed
from sos_actors.messages.decision import REFUSALS
from sos_actors.playbook.schema import ExecutionFile, StrategyFile
from sos_actors.reports.run import RunRecord, RunResult, run_result

ROOT = Path(__file__).parents[1]
FOLDERS = ("docs", "bench", "deploy")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
REASONS_PAGE = ROOT / "docs" / "strategies.md"
BACKTEST_PAGE = ROOT / "docs" / "backtest.md"
#: Sections of config.yaml whose names mean nothing else on a page.
SECTIONS = set(Config.__struct_fields__) - {"chain", "structure"}  # strategies read those, too

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
OUR_FILE = re.compile(r"`((?:sos_actors|tests|bench|deploy|docs|strategies)/[\w./-]+\.\w+)`")
MAKE_TARGET = re.compile(r"`(?:[A-Z]+=\S+ )*make ([a-z][a-z-]*)`|^\s*\$? ?make ([a-z][a-z-]*)", re.MULTILINE)
REASON_ROW = re.compile(r"^\|\s*`([A-Z_]+)`\s*\|", re.MULTILINE)
COMMAND = re.compile(r"python run_actors\.py (\w+)((?:[^`\n\"]|\"[^\"]*\")*)")
CLASS_DEFINED = re.compile(r"^class (\w+)", re.MULTILINE)
CLASS_NAME = re.compile(r"`([A-Z][a-z]+(?:[A-Z][a-z]*)+)`")
CONFIG_KEY = re.compile(r"`([a-z_]+(?:\.[a-z_0-9]+)+)`")


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


def commands():
    """Options of every command of the program."""
    group = typer.main.get_command(app)
    return {name: {option for one in command.params for option in one.opts} for name, command in group.commands.items()}


def unknown_options(text: str) -> list[str]:
    """Commands and options a page names that the program does not have."""
    known, wrong = commands(), []
    for name, rest in COMMAND.findall(text):
        options = {*re.findall(r"(?<!\S)--[a-z][a-z-]*", re.sub(r'"[^"]*"', "", rest))} - {"--help"}
        wrong += [f"{name} {option}" for option in sorted(options - known.get(name, set()))]
        wrong += [] if name in known else [name]
    return wrong


def config_keys() -> set[str]:
    """Every dotted key of config.yaml, sections included."""
    found: set[str] = set()

    def walk(value, at):
        for name, inner in value.items() if isinstance(value, dict) else ():
            key = f"{at}.{name}" if at else name
            found.add(key)
            walk(inner, key)

    walk(yaml.safe_load((ROOT / "config.yaml").read_text()), "")
    return found


def unknown_keys(text: str) -> list[str]:
    """Configuration keys a page names that do not exist."""
    named = {key for key in CONFIG_KEY.findall(text) if key.split(".")[0] in SECTIONS}
    return sorted(key for key in named - config_keys() if not key.endswith((".json", ".py", ".db", ".yaml")))


def first_column(page: str, lead: str) -> list[str]:
    """Names in the first column of the table that follows the text `lead`."""
    table = re.search(r"(?:^\|.*\n)+", page[page.index(lead) :], re.MULTILINE)[0]
    return [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]


def a_result() -> RunResult:
    """The result of a run with one trade."""
    trade = TradeClosed(
        "T1", "I1", "s", "NIFTY", "NSE|OPT|NIFTY|2025-09-02|24500|CE", Direction.LONG, Side.BUY, 75, 0, 60, 1.0, 2.0,
        7500, 100, 7400, ExitReason.TARGET, Regime.BULLISH, 1.0, 0.0, 1.0,
    )  # fmt: skip
    day = dt.date(2025, 9, 1)
    return run_result(RunRecord(
        run_hash="", config_hash="", code_version="", seed=0, source="", symbols=(), from_date=day, to_date=day,
        trades=[trade],
    ))  # fmt: skip


def test_commands_and_options_exist():
    assert {page.name: wrong for page in PAGES if (wrong := unknown_options(page.read_text()))} == {}


def test_every_command_stands_in_the_readme():
    assert first_column((ROOT / "README.md").read_text(), "## Commands") == list(commands())


def test_configuration_keys_exist():
    assert {page.name: wrong for page in PAGES if (wrong := unknown_keys(page.read_text()))} == {}


def test_named_classes_exist():
    """Messages and other classes a page names by one word are in the code."""
    defined = {name for path in (ROOT / "sos_actors").rglob("*.py") for name in CLASS_DEFINED.findall(path.read_text())}
    named = {(page.name, name) for page in PAGES for name in CLASS_NAME.findall(page.read_text())}
    assert any(name == "ChainSnapshot" for _, name in named)
    assert sorted(pair for pair in named if pair[1] not in defined) == []


def test_every_part_of_the_house_is_on_its_maps():
    """The README's table and the floors of the architecture page name every folder."""
    folders = {path.parent.name for path in (ROOT / "sos_actors").glob("*/__init__.py")}
    assert len(folders) > 15
    for page, heading in ((ROOT / "README.md", "## The house"), (ROOT / "docs" / "architecture.md", "## Floors")):
        table = page.read_text().split(heading)[1].split("\n## ")[0]
        named = set(re.findall(r"\b[a-z_]+\b", " ".join(re.findall(r"`([^`]+)`", table))))
        assert folders <= named, f"{page.name} leaves out {sorted(folders - named)}"


def test_every_refusal_is_explained():
    rows = REASON_ROW.findall(REASONS_PAGE.read_text())
    assert sorted(rows) == sorted(RefusalReason)
    assert sorted(REFUSALS) == sorted(RefusalReason)


def test_refusals_name_keys_that_exist():
    of_strategies = {*StrategyFile.__struct_fields__, *ExecutionFile.__struct_fields__}
    named = {key for text in REFUSALS.values() for key in re.findall(r"`([\w.]+)`", text)}
    assert sorted(named - config_keys() - of_strategies) == []


def test_the_result_is_described_key_by_key():
    page, result = BACKTEST_PAGE.read_text(), msgspec.to_builtins(a_result())
    assert first_column(page, "## The result") == list(result)
    assert sorted(first_column(page, "`summary`:")) == sorted(result["summary"])
    assert sorted(first_column(page, "A trade:")) == sorted(result["trades"][0])
    assert sorted(first_column(page, "A trade's `exit_reason`")) == sorted(ExitReason)


def test_catches_dead_links_and_targets(tmp_path):
    (tmp_path / "other.md").write_text("# Here we are: now\n")
    good = "[a](other.md) [b](other.md#here-we-are-now) [c](https://example.org) [d](#top)\n# Top\n"
    assert dead_links(good, tmp_path) == []
    assert dead_links("[a](none.md) [b](other.md#gone) [c](#gone)", tmp_path) == ["none.md", "other.md#gone", "#gone"]
    assert named_targets("run `make demo`, or\n$ make bench-peers\nto make sure") == {"demo", "bench-peers"}
    assert REASON_ROW.findall("| `COOLDOWN` | wait |\n| x | `NO` |") == ["COOLDOWN"]


def test_catches_unknown_options_keys_and_rows():
    text = "`python run_actors.py backtest --symbol N --fast`\npython run_actors.py fly --high\n"
    assert unknown_options(text) == ["backtest --fast", "fly --high", "fly"]
    assert unknown_options('python run_actors.py sql "SELECT --none" --home x') == []
    assert unknown_keys("`risk.daily_loss` `risk.nothing` `chain.pcr` `orders.exits.square_off`") == ["risk.nothing"]
    assert first_column("x\n| `b` | c |\nlead\n\n| h | i |\n|---|---|\n| `a`, `b` | `c` |\n", "lead") == ["a", "b"]
