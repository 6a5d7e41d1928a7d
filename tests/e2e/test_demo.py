"""The demo needs nothing and says what it is."""

import json

from e2e_helpers import ROOT, command


def test_the_demo_runs_anywhere_and_says_that_its_data_is_simulated(tmp_path):
    done = command("demo", "--days", 1, "--json", tmp_path / "demo.json", home=tmp_path / "home", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, *rest = done.stdout.splitlines()
    assert "SIMULATED" in first
    assert any("Net P&L" in line for line in rest)
    result = json.loads((tmp_path / "demo.json").read_text())
    assert result["data_quality"]["simulated"] is True
    assert result["summary"]["trades"] > 0
    assert result["trades"][0]["instrument"].startswith("NSE|OPT|NIFTY|")
    assert (
        f"configuration {result['config_hash']} is valid"
        in command("validate", home=tmp_path / "home", cwd=tmp_path).stdout
    )
    # Nothing but the JSON asked for is left behind.
    assert {path.name for path in tmp_path.iterdir()} <= {"demo.json", "home"}


def test_the_readme_shows_what_the_demo_prints(tmp_path):
    shown = (ROOT / "README.md").read_text().split("a report that begins:")[1].split("```")[1]
    printed = command("demo", home=tmp_path / "home", cwd=tmp_path).stdout.splitlines()
    lines = [line for line in shown.splitlines() if line not in {"", "..."}]
    assert len(lines) > 10
    assert [line for line in lines if line not in printed] == []


def test_the_longest_demo_stays_within_the_calendar(tmp_path, monkeypatch):
    """250 days from September 2025 are all of days whose holidays are known; only their list is made here."""
    from sos_actors import backtest  # noqa: PLC0415
    from sos_actors.cli import runs  # noqa: PLC0415

    asked = []
    monkeypatch.setattr(runs, "run_and_report", lambda request, *_: asked.append(request))
    runs.demo(days=250)
    assert len(backtest.days_with_data(asked[0])) == 250
