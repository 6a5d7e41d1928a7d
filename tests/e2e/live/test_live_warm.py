"""kill -9 and restart: strategy, studies and chain hold what they held."""

from __future__ import annotations

import math

import pytest

#: Through two phases at once, then it waits: for ever, so that nothing is traded.
WAITING = {
    "pattern_id": "waiting",
    "phases": [
        {"id": "OPENED", "conditions": ["close > 0"], "capture": {"first": "close"}},
        {"id": "MEAN", "conditions": ["chain.pcr > 0"], "capture": {"mean": "ema(history, 3, 'close')"}},
        {"id": "NEVER", "conditions": ["close < 0"]},
    ],
}  # fmt: skip
STRATEGY, STUDY, CHAIN, LEVELS = "strategy/NIFTY/waiting", "study/NIFTY", "chain/NIFTY", "structure/NIFTY"
#: What the chain says of a minute and its day; quotes (and so the forward) are not in history, where it fills in.
OF_THE_CHAIN = (
    "ts", "spot", "expiry", "atm_strike", "regime", "smart_trend", "max_pain", "oi_wall_above", "oi_wall_below", "pcr",
    "pcr_oi_change", "pcr_velocity", "ce_oi", "pe_oi", "ce_oi_change", "pe_oi_change", "proxy_oi",
)  # fmt: skip


def held(one):
    """What strategy, study and chain hold, all of one minute."""

    def of_one_minute():
        found = {path: one.ask("inspect", path=path) for path in (STRATEGY, STUDY, CHAIN)}
        studies = found[STUDY].get("studies", {}).get("60")
        same = studies and found[CHAIN].get("ts") == studies["ts"] and found[STUDY] == one.ask("inspect", path=STUDY)
        return found if same else None

    return one.until(of_one_minute, "a minute is whole")


def fresh(one):
    """What they hold as soon as another minute is over."""
    last = held(one)[CHAIN]["ts"]
    return one.until(lambda: (found := held(one))[CHAIN]["ts"] > last and found, "the next minute")


def differences(before, after):
    """Give what a life holds otherwise than the one before it, by name."""
    found = [name for name in OF_THE_CHAIN if repr(before[CHAIN][name]) != repr(after[CHAIN][name])]
    was, now = before[STRATEGY], after[STRATEGY]
    found += [name for name in ("phase", "bars_waited") if was[name] != now[name]]
    found += ["captured"] if was["captured"] != pytest.approx(now["captured"], abs=1e-9) else []
    was, now = before[STUDY]["studies"]["60"], after[STUDY]["studies"]["60"]
    found += [name for name in was.keys() | now.keys() if not math.isclose(was[name], now[name], abs_tol=1e-9)]
    return found + ([] if before[STUDY]["bars"] == after[STUDY]["bars"] else ["bars"])


def test_killed_and_back_in_the_same_phase(stand):
    one = stand("2026-11-20T09:40:00", 5.0, sides=("CALL",), strategy=WAITING)
    one.start()
    fresh(one)
    for _ in range(5):  # until a restart takes less than a minute of the exchange, and all of that minute was in time
        before = fresh(one)
        one.kill()
        one.start()
        after = held(one)
        differ = differences(before, after)
        if not differ:
            break
    assert differ == []
    assert before[STRATEGY]["phase"] == "NEVER"
    assert len(before[STUDY]["studies"]["60"]) > 1
