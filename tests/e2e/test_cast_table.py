"""`backtest --actors`: the cast after a run."""

from __future__ import annotations

import sys

from sos_actors.cli import main


def test_the_cast_is_shown_with_its_counters_and_states(monkeypatch, capsys, tmp_path):
    argv = ["run_actors.py", "backtest", "--source", "simulated", "--symbol", "NIFTY", "--from-date", "2025-09-02"]
    monkeypatch.setattr(
        sys, "argv", [*argv, "--strategies", "brf_short", "--actors", "--json", str(tmp_path / "r.json")]
    )
    assert main() == 0
    table = capsys.readouterr().err
    rows = {line.split()[0]: line for line in table.splitlines() if line.strip()}
    for path in ("clock", "feed", "broker", "chain/NIFTY", "study/NIFTY", "strategy/NIFTY/brf_short", "orders", "risk"):
        assert path in rows, table
    assert int(rows["clock"].split()[-2].replace(",", "")) > 375, "a message a minute at least"
    assert rows["strategy/NIFTY/brf_short"].split()[-1] == "0", "no failures"
    assert "dead letters" not in table
