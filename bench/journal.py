"""What recording costs the tick path: a day's ticks from the broker's frames to all they lead to, with and without.

    python bench/journal.py [--rounds 5] [--ticks 100000] [--json F]

One thread that is no actor reads the ticks of a simulated NIFTY day out of the broker's protobuf frames with the feed's
own decoder and gives them to the topics, as the live feed's thread does, as quickly as it can, and closes each minute;
bars, chain, structure, studies and the whole playbook follow in their threads. The clock stops when the cast has worked
all off. Rounds alternate between off and on; while recording is on its thread writes meanwhile, on the same
interpreter, and what every actor holds is kept every `CHECKPOINT_TICKS` ticks. `written` is the same with recording,
until the last record is on disk. `bare` leaves the decoder out: the ticks are made beforehand, and what is left is
queues, bars and a playbook. The figure by the processor counts the seconds of all the process's threads, the
recording's own too, which on a second core cost the ticks nothing. What one checkpoint takes by itself is said last.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as pb

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sos_actors import assembly
from sos_actors.actors.tick_feed import contents, in_order
from sos_actors.config import Config
from sos_actors.market.day import TickColumns
from sos_actors.market.ids import parse_id
from sos_actors.messages import MinuteClosed, Phase, SessionPhase, Tick
from sos_actors.playbook.loader import Playbook, load_playbook
from sos_actors.runtime import LiveRuntime, RuntimeSettings
from sos_actors.runtime.journal.recording import Recording
from sos_actors.runtime.tuning import tune_for_latency
from sos_actors.sandbox.market import SimulatedMarket
from sos_actors.sources.simulated import SimulatedHistory
from sos_actors.upstox.decode import FeedDecoder

DAY = dt.date(2025, 9, 2)
MINUTE_NS = 60_000_000_000
_MS = 1_000_000
#: Ticks in one frame, and levels of the book in one tick, as the exchange sends them in mode full.
IN_A_FRAME, LEVELS = 25, 5
#: Ticks between two checkpoints: a minute's at 1,000 a second, a quarter of what the live side is measured with.
CHECKPOINT_TICKS = 60_000
#: As in the daemon, but every tick is handled for itself: a tick merged is a tick not recorded.
SETTINGS = RuntimeSettings(conflate_above=0, snapshot_s=0)
ROOT = Path(__file__).resolve().parent.parent


class Bench:
    """A day, and the cast that hears it."""

    def __init__(self, count: int) -> None:
        self.history = SimulatedHistory(SimulatedMarket(Config().simulated_market, 7))
        day = self.history.load_ticks("NIFTY", DAY)
        assert day is not None
        self.day: TickColumns = day
        self.ticks = list(in_order([day]))[:count]
        self.playbook: Playbook = load_playbook([ROOT / "strategies"])
        self.frames = [frame(part) for part in parts(self.ticks)]
        self.kept = (0, 0.0)

    def play(self, recording: Recording | None, *, bare: bool) -> tuple[float, float, float]:
        """Give the seconds until all was worked off, until it was written too, and the processor's until then."""
        runtime = LiveRuntime(
            SETTINGS, recorder=None if recording is None else recording.note,
            checkpoints=None if recording is None else recording.checkpoints,
        )  # fmt: skip
        config = Config()
        cast = assembly.Cast(
            config=config, playbook=self.playbook, charges=None, previous_day=self.history.day_stats,
            groups=SETTINGS.groups,
            underlyings=[assembly.Underlying("NIFTY", chain=True, tick_instruments=self.day.instruments)],
        )  # fmt: skip
        assembly.spawn_thinking(runtime, cast)
        runtime.publish(SessionPhase(self.ticks[0].ts, DAY, Phase.PRE_OPEN))
        runtime.publish(contents(self.day, DAY), "NIFTY")
        runtime.settle()
        topics = {name: runtime.topic(Tick, name) for name in self.day.instruments}
        began, processor = time.perf_counter(), time.process_time()
        played, due = 0, CHECKPOINT_TICKS
        for ticks in self.made() if bare else self.decoded():
            for tick in ticks:
                topics[tick.instrument].publish(tick)
            runtime.publish(MinuteClosed(ticks[-1].ts // MINUTE_NS * MINUTE_NS))
            played += len(ticks)
            if played >= due:
                due += CHECKPOINT_TICKS
                runtime.keep_states(runtime)
        runtime.settle()
        worked = time.perf_counter() - began
        if recording is not None:
            self.kept = self._keep_once(runtime)
        runtime.close()
        closing = time.perf_counter()
        if recording is not None:
            recording.close()
        return worked, worked + time.perf_counter() - closing, time.process_time() - processor

    def _keep_once(self, runtime: LiveRuntime) -> tuple[int, float]:
        """Give how many actors there are, and the seconds until each has said what it holds."""
        began = time.perf_counter()
        runtime.keep_states(runtime)
        runtime.settle()
        return len(list(runtime)), time.perf_counter() - began

    def made(self) -> Iterator[Sequence[Tick]]:
        """Give the ticks minute by minute."""
        return minutes(self.ticks)

    def decoded(self) -> Iterator[Sequence[Tick]]:
        """Read the ticks out of their frames, and give them minute by minute."""
        got: list[Tick] = []
        decoder = FeedDecoder(time.time_ns, time.monotonic_ns, got.append, lambda _: None)
        decoder.instruments = {name: name for name in self.day.instruments}
        return minutes(self._read(decoder, got))

    def _read(self, decoder: FeedDecoder, got: list[Tick]) -> Iterator[Tick]:
        for one in self.frames:
            decoder.decode(one)
            yield from got
            got.clear()


def minutes(ticks: Any) -> Iterator[Sequence[Tick]]:
    """Give ticks in lists of one minute of the exchange each, as they come."""
    found: list[Tick] = []
    end = 0
    for tick in ticks:
        if tick.ts >= end:
            if found:
                yield found
            found, end = [], tick.ts // MINUTE_NS * MINUTE_NS + MINUTE_NS
        found.append(tick)
    if found:
        yield found


def parts(ticks: Sequence[Tick]) -> Iterator[Sequence[Tick]]:
    """Cut ticks into frames: an instrument stands in a frame once."""
    part: dict[str, Tick] = {}
    for tick in ticks:
        if tick.instrument in part or len(part) == IN_A_FRAME:
            yield [*part.values()]
            part = {}
        part[tick.instrument] = tick
    yield [*part.values()]


def frame(ticks: Sequence[Tick]) -> bytes:
    """Make one frame of the feed in mode full."""
    response = pb.FeedResponse(type=pb.Type.live_feed, currentTs=ticks[-1].ts_recv // _MS)
    for tick in ticks:
        ltpc = pb.LTPC(ltp=tick.price, ltt=tick.ts // _MS, ltq=tick.quantity, cp=tick.price)
        if parse_id(tick.instrument).kind == "INDEX":
            response.feeds[tick.instrument].fullFeed.indexFF.CopyFrom(pb.IndexFullFeed(ltpc=ltpc))
            continue
        book = [pb.Quote(bidQ=75, bidP=tick.bid - 0.05 * n, askQ=75, askP=tick.ask + 0.05 * n) for n in range(LEVELS)]
        full = pb.MarketFullFeed(
            ltpc=ltpc, marketLevel=pb.MarketLevel(bidAskQuote=book), vtt=max(tick.day_volume, 0), oi=tick.oi,
            optionGreeks=pb.OptionGreeks(delta=0.5, theta=-9.0, gamma=0.001, vega=11.0, rho=2.0), iv=0.12,
            atp=tick.price, tbq=1e5, tsq=1e5,
        )  # fmt: skip
        response.feeds[tick.instrument].fullFeed.marketFF.CopyFrom(full)
    return bytes(response.SerializeToString())


def main() -> None:
    """Run the rounds and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ticks", type=int, default=300_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    bench = Bench(options.ticks)
    tune_for_latency()  # as the daemon is
    bench.play(None, bare=False)  # what is loaded once is loaded now
    result = {name: measure(bench, options.rounds, bare=name == "bare") for name in ("path", "bare")}
    actors, seconds = bench.kept
    print(f"checkpoint: {actors} actors said what they hold in {seconds * 1e3:.1f} ms")
    if options.json:
        options.json.write_text(json.dumps({"ticks": len(bench.ticks), "checkpoint": bench.kept} | result, indent=2))


def measure(bench: Bench, rounds: int, *, bare: bool) -> dict[str, Any]:
    """Time rounds with and without; the cost is the median of the rounds' own ratios."""
    took: dict[str, list[float]] = {"off": [], "on": [], "written": [], "cpu off": [], "cpu on": []}
    for number in range(rounds):
        for kind in ("off", "on") if number % 2 else ("on", "off"):
            with tempfile.TemporaryDirectory() as folder:
                recording = Recording(Path(folder) / "s", session="s") if kind == "on" else None
                worked, written, processor = bench.play(recording, bare=bare)
            took[kind].append(worked)
            took[f"cpu {kind}"].append(processor)
            if recording is not None:
                took["written"].append(written)
                assert not recording.failed, recording.failed
                assert recording.written > len(bench.ticks)
    rates = {kind: len(bench.ticks) / statistics.median(took[kind]) for kind in ("off", "on", "written")}
    cost, cpu = (
        1 - statistics.median(off / on for on, off in zip(took[f"{kind}on"], took[f"{kind}off"], strict=True))
        for kind in ("", "cpu ")
    )
    name = "bare" if bare else "path"
    print(f"{name}: " + " ".join(f"{kind} {rate:,.0f} ticks/s" for kind, rate in rates.items()))
    print(f"{name}: recording takes {cost:.1%} of the throughput, {cpu:.1%} by the processor (medians of {rounds})")
    return {"ticks_per_s": rates, "cost": cost, "cpu_cost": cpu, "seconds": took}


if __name__ == "__main__":
    main()
