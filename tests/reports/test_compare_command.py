"""`compare` on results written with --json: its words and its exit status."""

import sys

import msgspec
import pytest

from sos_actors import cli
from sos_actors.reports.run import to_json


@pytest.fixture
def compare(tmp_path, monkeypatch, capsys):
    """Run `compare` on files of a folder; gives (status, what it printed, what it complained of)."""

    def run(*names):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["run_actors.py", "compare", *names])
        status = cli.main()
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return run


def test_runs_that_differ_in_timings_alone_are_the_same(record, compare, tmp_path):
    (tmp_path / "a.json").write_bytes(to_json(record))
    (tmp_path / "b.json").write_bytes(to_json(msgspec.structs.replace(record, timings={"run": 9.9})))
    assert compare("a.json", "b.json") == (0, "a.json and b.json are the same in everything but timings.\n", "")


def test_runs_that_differ_say_where(record, compare, tmp_path):
    (tmp_path / "a.json").write_bytes(to_json(record))
    changed = msgspec.structs.replace(record, run_hash="other", trades=record.trades[:1])
    (tmp_path / "b.json").write_bytes(to_json(changed))
    status, out, err = compare("a.json", "b.json")
    assert (status, err) == (1, "")
    assert "the first trade that differs is number 2" in out
    assert "other" in out
    assert record.run_hash in out


@pytest.mark.parametrize(("content", "problem"), [(b"{}", "not the JSON of a run"), (None, "cannot be read")])
def test_no_result_is_one_line(record, compare, tmp_path, content, problem):
    (tmp_path / "a.json").write_bytes(to_json(record))
    if content is not None:
        (tmp_path / "b.json").write_bytes(content)
    status, out, err = compare("a.json", "b.json")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: b.json: ")
    assert problem in err
