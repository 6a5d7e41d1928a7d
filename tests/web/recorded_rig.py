"""Recorded lives of a daemon: two days of the house cast on threads, and short ones that say what a test wants."""

import contextlib
import datetime as dt
import shutil
import time
from pathlib import Path

import msgspec
from web_rig import ROOT

from sos_actors.backtest import Request, run
from sos_actors.config import Config
from sos_actors.daemon.sessions import LIVE, facts_of
from sos_actors.market.clocktime import ist_ns
from sos_actors.messages import Bar, Phase, SessionPhase
from sos_actors.playbook.loader import load_playbook
from sos_actors.runtime import LiveRuntime, RuntimeSettings, WallTime
from sos_actors.runtime.journal.format import FRAME, MAGIC
from sos_actors.runtime.journal.recording import Recording, RecordingSettings
from sos_actors.sandbox.market import SimulatedMarket
from sos_actors.sandbox.settings import MarketSettings
from sos_actors.sources.simulated import SimulatedHistory
from sos_actors.web.observer import spawn_observer
from sos_actors.web.settings import WebSettings

INDEX = "NSE|INDEX|NIFTY"
#: Days of the long life.
TWO_DAYS = (dt.date(2025, 9, 1), dt.date(2025, 9, 2))
#: Its name.
LONG = "2025-09-01-091000"


def facts(mode="sandbox", *, watched=True):
    """What the head of a daemon's record holds."""
    config = Config(web=WebSettings(enabled=watched))
    told = facts_of(("NIFTY",), mode, 1.0, config, load_playbook([ROOT / "strategies"]), real=mode != "paper")
    return {LIVE: msgspec.json.encode(told).decode()}


def history():
    """The simulated market the long life traded in."""
    return SimulatedHistory(SimulatedMarket(MarketSettings(strikes_each_side=4), 7))


def request(**changes):
    """What the house playbook does on these days."""
    return Request(
        symbols=("NIFTY",), from_date=TWO_DAYS[0], to_date=TWO_DAYS[1], config=Config(),
        playbook=load_playbook([ROOT / "strategies"]), history=history(), **changes,
    )  # fmt: skip


def long_life(folder: Path):
    """Record two days in one life, without anybody looking on; gives the run as its own recorder kept it."""
    clock = [ist_ns(TWO_DAYS[0], "09:10")]
    recording = Recording(folder / LONG, session=LONG, facts=facts(watched=False), now=lambda: clock[0])
    made = run(request(stage="live", recorder=recording.note))
    clock[0] = ist_ns(TWO_DAYS[1], "15:45")
    recording.close("stopped")
    return made


def short_life(folder, name, begin, messages, *, day, close=True, mode="sandbox"):
    """Record a life of a daemon that has an observer, which hears some messages; `close` false: it is cut off."""
    clock = [ist_ns(day, begin)]
    recording = Recording(
        folder / name, session=name, facts=facts(mode), settings=RecordingSettings(flush_s=0.02),
        now=lambda: clock[0],
    )  # fmt: skip
    runtime = LiveRuntime(RuntimeSettings(conflate_above=0, snapshot_s=0), recorder=recording.note)
    spawn_observer(runtime, ["NIFTY"])
    runtime.start_wall(WallTime(time.monotonic_ns(), ist_ns(day, begin), 1.0, True))
    runtime.publish(SessionPhase(ist_ns(day, "09:00"), day, Phase.PRE_OPEN))
    for message in messages:
        runtime.publish(message, INDEX if isinstance(message, Bar) else "")
    runtime.settle()
    assert runtime.stop() == ()
    clock[0] += 60_000_000_000
    if close:
        recording.close("done")
        return
    until(lambda: not recording.waiting)
    recording.close()
    last = max((folder / name).iterdir())
    last.write_bytes(last.read_bytes()[:-7])


def damage(folder: Path, kind: int):
    """Flip a bit in the middle of the first frame of a kind in a session's first segment."""
    segment = min(folder.iterdir())
    data, at = bytearray(segment.read_bytes()), len(MAGIC)
    while True:
        length, _, found = FRAME.unpack_from(data, at)
        at += FRAME.size
        if found == kind:
            break
        at += length
    data[at + length // 2] ^= 0x40
    segment.write_bytes(bytes(data))


def copied(session: Path, folder: Path, name: str = ""):
    """Copy a session into another folder."""
    return shutil.copytree(session, folder / (name or session.name))


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        with contextlib.suppress(InterruptedError):
            time.sleep(0.02)
