"""Commands of the documents that are marked `<!-- runs -->` do run, as printed, one after the other."""

import csv
import datetime as dt
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from sos_actors import cli
from sos_actors.messages.market import CHAIN_FIELDS
from sos_actors.sandbox.market import SimulatedMarket
from sos_actors.sandbox.settings import MarketSettings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MARKED = re.compile(r"<!-- runs -->\n```sh\n(.*?)```", re.DOTALL)
DAYS = [dt.date(2025, 9, day) for day in (1, 2, 3, 4, 5)]
IST = dt.timezone(dt.timedelta(hours=5, minutes=30))
PRICES = ("open", "high", "low", "close")


def split(block):
    """Commands of a block as lists of words; a text in quotes may go over several lines."""
    found, text = [], ""
    for line in block.splitlines(keepends=True):
        text += line
        try:
            words = shlex.split(text, comments=True)
        except ValueError:  # a quotation is still open
            continue
        found += [words] if words else []
        text = ""
    assert not text, f"no end of: {text}"
    return found


def ist(ns):
    return dt.datetime.fromtimestamp(ns / 1e9, IST).strftime("%Y-%m-%dT%H:%M:%S")


def write_index(market, folder):
    with (folder / "index.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["ts", "symbol", *PRICES])
        for day in DAYS:
            bars = market.day("NIFTY", day).index
            out.writerows(
                [ist(start), "NIFTY", *prices]
                for start, *prices in zip(bars.start, bars.open, bars.high, bars.low, bars.close, strict=True)
            )


def write_options(market, folder, day):
    """A row a minute and contract of the first expiry."""
    chain = market.day("NIFTY", day).chains[0]
    fields = [*PRICES, "volume", "oi", "bid", "ask"]
    values = chain.values[:, [CHAIN_FIELDS.index(name) for name in fields]]
    with (folder / f"options_{day}.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["ts", "symbol", "expiry", "strike", "right", *fields])
        for minute, start in enumerate(chain.start):
            for right, name in enumerate(("CE", "PE")):
                for k, strike in enumerate(chain.strikes):
                    row = values[minute, :, right, k]
                    cells = ["" if np.isnan(value) else value for value in row]
                    out.writerow([ist(start), "NIFTY", chain.expiry, strike, name, *cells])


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder as a reader's: the program, and five days of data under my-data/, already ingested."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "run_actors.py").symlink_to(ROOT / "run_actors.py")
    (folder / "my-data").mkdir()
    market = SimulatedMarket(MarketSettings(strikes_each_side=4), 7)
    write_index(market, folder / "my-data")
    for day in DAYS:
        write_options(market, folder / "my-data", day)
    return folder


def run(words, folder, monkeypatch):
    """Run one printed command in this process, in the reader's folder."""
    assert words[:2] == ["python", "run_actors.py"], words
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SOS_HOME", raising=False)
    monkeypatch.setattr(sys, "argv", words[1:])
    return cli.main()


@pytest.fixture(scope="module")
def stocked(desk):
    """The same with the data ingested, as the README says."""
    with pytest.MonkeyPatch.context() as patch:
        assert run(split(MARKED.findall(PAGES[0].read_text())[0])[0], desk, patch) == 0
    return desk


@pytest.mark.parametrize("page", [one for one in PAGES if MARKED.search(one.read_text())], ids=lambda page: page.name)
def test_marked_commands_run(page, stocked, monkeypatch, capsys):
    for block in MARKED.findall(page.read_text()):
        for words in split(block):
            status = run(words, stocked, monkeypatch)
            shown = capsys.readouterr()
            assert status == 0, (words, shown.err)
            assert shown.out.strip(), words
            assert "error" not in shown.err, words


def test_the_readme_stores_every_row_and_trades_on_them(stocked, monkeypatch, capsys):
    ingest, backtest, sql = split(MARKED.findall(PAGES[0].read_text())[0])
    assert run(ingest, stocked, monkeypatch) == 0
    assert "rejected" not in capsys.readouterr().out
    assert run(backtest, stocked, monkeypatch) == 0
    assert "(2 trading days, data: database)" in capsys.readouterr().out
    assert run(sql, stocked, monkeypatch) == 0
    assert f"{DAYS[0]}\t375" in capsys.readouterr().out
    assert [path.name for path in (stocked / "var").glob("*.db")] == ["market.db"]


def test_marks_are_where_they_belong():
    """Blocks with a mark exist on the pages that promise it, and the mark is never followed by anything else."""
    for page in PAGES:
        assert page.read_text().count("<!-- runs -->") == len(MARKED.findall(page.read_text())), page.name
    assert {"README.md", "backtest.md", "data.md"} == {page.name for page in PAGES if MARKED.search(page.read_text())}


def test_a_quotation_may_go_over_lines():
    assert split("a 'b\n c' d\n\n# no command\ne f\n") == [["a", "b\n c", "d"], ["e", "f"]]
