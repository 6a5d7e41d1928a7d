"""A daemon's life as a recorded session: what it keeps of itself, and the cast put together again for a replay."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from loguru import logger

from sos_actors import assembly
from sos_actors.alerts.settings import AlertSettings
from sos_actors.config import Config
from sos_actors.daemon.cast import EDGES, LiveCast, LiveParts
from sos_actors.decoding import from_json
from sos_actors.errors import SosError
from sos_actors.market.calendar import INDIA, Session, TradingCalendar
from sos_actors.market.charges import ChargeSchedule
from sos_actors.market.clocktime import SECOND_NS
from sos_actors.market.expiries import next_expiry
from sos_actors.messages.codec import decode
from sos_actors.playbook.loader import Playbook, build_playbook
from sos_actors.playbook.schema import StrategyFile
from sos_actors.runtime import Runtime
from sos_actors.runtime.clock import NEVER
from sos_actors.runtime.journal.answers import Ask, replaying
from sos_actors.runtime.journal.deliveries import RecordedRun
from sos_actors.runtime.journal.recording import Recording, RecordingSettings
from sos_actors.runtime.journal.replay import ReplayRuntime
from sos_actors.runtime.journal.sessions import free_name, retire
from sos_actors.storage.order_store import Recovery
from sos_actors.upstox.login import LoginSettings

#: Fact of a session of the daemon: what it was started with.
LIVE = "live"
#: What the connection to the broker is told of orders: a replay may send no other.
ORDERS = ("SendPlace", "SendModify", "SendCancel")
#: Name of the answer that holds a Beginning.
BEGINNING = "beginning"


class LiveFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a daemon was started with, whole: a session can be replayed on any machine that has the same code.

    Of the configuration what may hold a secret is left out (alerts, login); no edge is replayed, so none is missed.
    """

    symbols: tuple[str, ...]
    mode: str
    real: bool
    speed: float
    config: Config
    playbook: tuple[tuple[StrategyFile, str], ...]


class Beginning(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon knew when it put its cast together. `now` is UTC ns; the calendar is the broker's, as adopted."""

    now: int
    cash_paise: int
    calendar: tuple[tuple[str, dt.date, tuple[Session, ...]], ...]
    years: tuple[int, ...]


def begin_recording(
    home: Path, session: str, facts: LiveFacts, now: Callable[[], int], on_failed: Callable[[str], None]
) -> tuple[Recording | None, str]:
    """Begin the record of a daemon's life, and delete what is too old; gives it and the session's own name.

    Where none can be begun that is told to `on_failed`, and there is none: trading needs no record.
    """
    settings = facts.config.journal
    if not settings.enabled:
        return None, session
    folder = home / settings.folder
    try:
        name = free_name(folder, session)
        tidy(home, settings)
        told = {LIVE: msgspec.json.encode(facts).decode()}
        recording = Recording(folder / name, session=name, facts=told, settings=settings, now=now, on_failed=on_failed)
    except (SosError, OSError) as error:
        on_failed(f"the session is not recorded, trading goes on: {error}")
        return None, session
    logger.info("session {} is recorded in {}", name, folder / name)
    return recording, name


def tidy(home: Path, settings: RecordingSettings, spare: str = "") -> None:
    """Delete the sessions that are too old or too many, never the one under way (`spare`)."""
    try:
        gone = retire(home / settings.folder, time.time_ns(), settings.keep_days, settings.keep_mb, spare)
    except OSError as error:
        logger.warning("old sessions were not deleted: {}", error)
        return
    if gone:
        logger.info("old sessions deleted: {}", ", ".join(gone))


def facts_of(symbols: tuple[str, ...], mode: str, speed: float, config: Config, playbook: Playbook, *,
             real: bool) -> LiveFacts:  # fmt: skip
    """Give what a session keeps of how its daemon was started."""
    quiet = msgspec.structs.replace(config, alerts=AlertSettings(), login=LoginSettings())
    return LiveFacts(
        symbols=symbols, mode=mode, real=real, speed=speed, config=quiet,
        playbook=tuple((one.definition, Path(one.file).name) for one in playbook.strategies),
    )  # fmt: skip


def beginning(now: int, cash_paise: int) -> Beginning:
    """Give what the daemon knows as it puts its cast together."""
    days = [(name, day) for name in ("NSE", "BSE") for day in INDIA.overridden(name)]
    calendar = tuple((name, day, INDIA.sessions(name, day)) for name, day in days)
    return Beginning(now=now, cash_paise=cash_paise, calendar=calendar, years=INDIA.years)


def live_cast(runtime: Runtime, facts: LiveFacts, past: Any, parts: LiveParts) -> LiveCast:
    """Give the cast of a daemon; `past` is (underlying, day) -> the day before."""
    cast = assembly.Cast(
        config=facts.config, playbook=build_playbook(facts.playbook),
        underlyings=[assembly.Underlying(name, chain=True) for name in facts.symbols],
        charges=ChargeSchedule(facts.config.charges), previous_day=past,
        trade_from=NEVER,  # until history is played
        groups=facts.config.runtime.groups,
    )  # fmt: skip
    return LiveCast(runtime, cast, parts)


def replay_runtime(run: RecordedRun) -> ReplayRuntime:
    """Give a daemon's cast as a session has it, for `replay`. The process's calendar becomes the session's."""
    facts = from_json(run.reader.header.facts[LIVE], LiveFacts)
    made: list[LiveCast] = []

    def think(runtime: ReplayRuntime) -> None:
        ask = replaying(run.answers, lambda: runtime.serial)
        began = began_of(run)
        adopt(began)
        made.append(live_cast(runtime, facts, unknown, _parts(facts, began, ask)))
        made[0].spawn_thinking()

    return ReplayRuntime([think, lambda _: made[0].spawn_trading()], edges=EDGES, orders={"link": ORDERS})


def began_of(run: RecordedRun) -> Beginning:
    """Give what a daemon knew when it put its cast together. Raises SosError where it never came to that."""
    for one in run.answers:
        if one.name == BEGINNING:
            found: Beginning = decode(one.said, Beginning)
            return found
    raise SosError(f"session {run.reader.header.session}: the daemon ended before it had put its cast together")


def _parts(facts: LiveFacts, began: Beginning, ask: Ask) -> LiveParts:
    return LiveParts(
        table=unknown, table_of=unknown, open_store=ForgetfulStore, tag_prefix=tag_prefix(began.now),
        cash_paise=began.cash_paise, speed=facts.speed, real=facts.real, ask=ask,
    )  # fmt: skip


def adopt(began: Beginning) -> None:
    """Make the process's calendar that of a session."""
    overrides = {(exchange, day): sessions for exchange, day, sessions in began.calendar}
    INDIA.become(TradingCalendar(overrides, frozenset(began.years)))
    next_expiry.cache_clear()


class ForgetfulStore:
    """The order store of a replay: what it is given was kept long ago."""

    recovery = Recovery()

    def append(self, record: object, /) -> None:
        """Keep nothing."""

    def sync(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""


def tag_prefix(now: int) -> str:
    """Give what the tags of a start begin with: the second (of `now`, UTC ns) it happened in, in 36 signs."""
    seconds, text = now // SECOND_NS, ""
    while seconds:
        seconds, digit = divmod(seconds, 36)
        text = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[digit] + text
    return f"S{text}"


def unknown(*args: object) -> Any:
    """Stand for the outside, which a replay does not ask."""
    raise AssertionError(f"a replay asked the outside for {args}")
