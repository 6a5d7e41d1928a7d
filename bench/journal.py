"""What recording costs the tick path: a day's ticks through bars, chain, studies and strategies, with and without.

    python bench/journal.py [--rounds 5] [--ticks 60000] [--json F]

One thread that is no actor gives the ticks of a simulated NIFTY day to the topics as quickly as it can, as the live
feed's thread does, and closes each minute; the clock stops when the cast has worked all off. Rounds alternate between
off and on. The recording's thread writes meanwhile, on the same interpreter. `written` is the same with recording,
until the last record is on disk. With --decode each tick is first read from the broker's frame, by the feed's decoder,
as it is live: that is the whole path of a tick in this process.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sos_actors import assembly
from sos_actors.actors.tick_feed import contents, in_order
from sos_actors.config import Config
from sos_actors.messages import MinuteClosed, Phase, SessionPhase, Tick
from sos_actors.playbook.loader import load_playbook
from sos_actors.runtime import LiveRuntime, RuntimeSettings
from sos_actors.runtime.journal.recording import Recording
from sos_actors.sandbox.market import SimulatedMarket
from sos_actors.sources.simulated import SimulatedHistory

DAY = dt.date(2025, 9, 2)
MINUTE_NS = 60_000_000_000
#: As in the daemon, but every tick is handled for itself: a tick merged is a tick not recorded.
SETTINGS = RuntimeSettings(conflate_above=0, snapshot_s=0)


def main() -> None:
    """Run the rounds and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ticks", type=int, default=60_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    history = SimulatedHistory(SimulatedMarket(Config().simulated_market, 7))
    day = history.load_ticks("NIFTY", DAY)
    assert day is not None
    ticks = list(in_order([day]))[: options.ticks]
    playbook = load_playbook([Path(__file__).resolve().parent.parent / "strategies"])
    took: dict[str, list[float]] = {"off": [], "on": [], "written": []}
    for number in range(options.rounds):
        for kind in ("off", "on") if number % 2 else ("on", "off"):
            with tempfile.TemporaryDirectory() as folder:
                recording = Recording(Path(folder) / "s", session="s") if kind == "on" else None
                worked, written = play(day, ticks, playbook, recording, history)
            took[kind].append(worked)
            if recording is not None:
                took["written"].append(written)
                assert not recording.failed, recording.failed
    rates = {kind: len(ticks) / statistics.median(values) for kind, values in took.items()}
    ratios = [on / off for on, off in zip(took["on"], took["off"], strict=True)]
    result = {"ticks": len(ticks), "ticks_per_s": rates, "cost": statistics.median(ratios) - 1, "rounds": took}
    print(" ".join(f"{kind} {rate:,.0f} ticks/s" for kind, rate in rates.items()))
    print(f"recording takes {1 - rates['on'] / rates['off']:.1%} of the throughput (medians of {options.rounds})")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


def play(day, ticks: list[Tick], playbook, recording: Recording | None, history) -> tuple[float, float]:
    """Give the seconds until all was worked off, and until it was written too."""
    runtime = LiveRuntime(SETTINGS, recorder=None if recording is None else recording.note)
    config = Config()
    cast = assembly.Cast(
        config=config, playbook=playbook, charges=None, previous_day=history.day_stats, groups=SETTINGS.groups,
        underlyings=[assembly.Underlying("NIFTY", chain=True, tick_instruments=day.instruments)],
    )  # fmt: skip
    assembly.spawn_thinking(runtime, cast)
    topics = {name: runtime.topic(Tick, name) for name in day.instruments}
    minutes = runtime.topic(MinuteClosed)
    runtime.publish(SessionPhase(ticks[0].ts, DAY, Phase.PRE_OPEN))
    runtime.publish(contents(day, DAY), "NIFTY")
    runtime.settle()
    began = time.perf_counter()
    end = ticks[0].ts // MINUTE_NS * MINUTE_NS + MINUTE_NS
    for tick in ticks:
        while tick.ts >= end:
            minutes.publish(MinuteClosed(end))
            end += MINUTE_NS
        topics[tick.instrument].publish(tick)
    runtime.settle()
    worked = time.perf_counter() - began
    written = worked
    runtime.close()
    if recording is not None:
        closing = time.perf_counter()
        recording.close()
        written += time.perf_counter() - closing
    return worked, written


if __name__ == "__main__":
    main()
