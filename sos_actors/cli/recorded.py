"""Recorded sessions put together again: the run itself, its cast for a replay, its market for a what-if."""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from sos_actors.backtest import Request, builder
from sos_actors.cli import options
from sos_actors.cli.runs import history_from
from sos_actors.config import Config
from sos_actors.daemon.sessions import LIVE, LiveFacts, adopt, began_of, replay_runtime
from sos_actors.decoding import from_json
from sos_actors.errors import InputError, SosError
from sos_actors.market.clocktime import ist_stamp
from sos_actors.playbook.loader import Playbook, build_playbook
from sos_actors.runtime.journal.deliveries import RecordedRun, load
from sos_actors.runtime.journal.reader import JournalReader
from sos_actors.runtime.journal.recording import INCOMPLETE, Recording, code_version
from sos_actors.runtime.journal.replay import ReplayRuntime
from sos_actors.runtime.journal.sessions import latest, retire, session_folder
from sos_actors.sources.session_ticks import SessionTicks

#: Fact of a session of a backtest: its arguments.
_BACKTEST = "backtest"


class BacktestArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a recorded backtest was started with: enough to put its cast together again on this machine."""

    symbols: tuple[str, ...]
    from_date: dt.date
    to_date: dt.date
    strategies: str
    playbook: list[str]
    timeframe: str
    resolution: str
    source: str
    seed: int | None
    config: str


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What a what-if changes: names of strategies ('all': every one), where they are, the configuration."""

    strategies: str = ""
    playbook: list[Path] | None = None
    config: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.strategies or self.playbook or self.config)


def begin_backtest(request: Request, arguments: BacktestArguments, home: Path | None) -> tuple[Recording, str]:
    """Begin the record of a backtest on threads, and delete what is too old; gives it and the session's name."""
    settings = request.config.journal
    folder = options.home_folder(home) / settings.folder
    now = time.time_ns()
    retire(folder, now, settings.keep_days, settings.keep_mb)
    name = "backtest-" + ist_stamp(now)
    facts = {
        _BACKTEST: msgspec.json.encode(arguments).decode(),
        "config": request.config.fingerprint(),
        "playbook": _hash_of(request.playbook),
    }
    return Recording(folder / name, session=name, facts=facts, settings=settings), name


def find(session: str, folder: Path) -> RecordedRun:
    """Read a session, the last one where none is named. Raises InputError, JournalError."""
    run = load(session_folder(folder, session or latest(folder)))
    if not run.count:
        name = run.reader.header.session
        raise SosError(f"session {name}: its record is empty (nothing was done yet when it ended): nothing to replay")
    return run


def sessions_folder(home: Path | None, config: Path | None = None) -> Path:
    """Give the folder the sessions lie in."""
    return options.home_folder(home) / options.configuration(config).journal.folder


def incomplete(reader: JournalReader) -> str:
    """Say in what the record of a session that was read is not whole; '' when it is."""
    if reader.torn is not None:
        return f"its tail is torn: {reader.torn.lost} bytes from {reader.torn.offset} of {reader.torn.segment} are cut"
    if reader.end is None:
        return "it was cut off: its process was killed, or still runs"
    return reader.end.reason if reader.end.reason.startswith(INCOMPLETE) else ""


def check_code(reader: JournalReader, *, other_code: bool) -> None:
    """Raise InputError where other code recorded the session, unless that is accepted."""
    if reader.header.code != code_version() and not other_code:
        raise InputError(
            f"session {reader.header.session} was recorded by code {reader.header.code}, this is {code_version()}: "
            "check out that one, or use --other-code to see where they part"
        )


def runtime_of(run: RecordedRun, home: Path | None) -> ReplayRuntime:
    """Give the cast of a session, to be handed its deliveries. Raises InputError where its ingredients have changed."""
    if LIVE in run.reader.header.facts:
        return replay_runtime(run)
    return ReplayRuntime([builder(_backtest(run.reader, home))])


def what_if(run: RecordedRun, change: WhatIf, home: Path | None) -> Request:
    """Give the session's market with other strategies or another configuration, to be run like a backtest."""
    if LIVE not in run.reader.header.facts:
        return _backtest(run.reader, home, change)
    facts = from_json(run.reader.header.facts[LIVE], LiveFacts)
    adopt(began_of(run))
    config = facts.config if change.config is None else options.configuration(change.config)
    history = SessionTicks(run.rows, run.answers)
    if history.span is None:
        raise InputError(f"session {run.reader.header.session}: no tick reached it, there is nothing to run on")
    first, last = history.span
    return Request(
        symbols=facts.symbols, from_date=first, to_date=last, config=config, playbook=_chosen(change, facts),
        history=history, resolution="tick",
    )  # fmt: skip


def _chosen(change: WhatIf, facts: LiveFacts) -> Playbook:
    """Give the strategies asked for: of the files given, else of the session's own, else of the project's."""
    names = "" if change.strategies == "all" else change.strategies
    if change.playbook is not None:
        return options.strategies(change.playbook, names)
    own = build_playbook(facts.playbook)
    known = {one.id.lower() for one in own.strategies}
    if not change.strategies or {one.strip().lower() for one in names.split(",")} <= known:
        return own.select(names.split(",")) if names else own
    return options.strategies(None, names)


def _backtest(reader: JournalReader, home: Path | None, change: WhatIf | None = None) -> Request:
    """Put the request of a recorded backtest together again; raises InputError where its ingredients have changed."""
    facts = reader.header.facts
    if _BACKTEST not in facts:
        raise InputError(f"session {reader.header.session}: neither a daemon nor a backtest recorded it")
    given = from_json(facts[_BACKTEST], BacktestArguments)
    changed = change or WhatIf()
    config = options.configuration(changed.config or (Path(given.config) if given.config else None))
    config = _seeded(config, given.seed)
    names = given.strategies if not changed.strategies else "" if changed.strategies == "all" else changed.strategies
    playbook = options.strategies(changed.playbook or list(map(Path, given.playbook)) or None, names, given.timeframe)
    if change is None and (config.fingerprint(), _hash_of(playbook)) != (facts["config"], facts["playbook"]):
        what = "configuration" if config.fingerprint() != facts["config"] else "playbook"
        raise InputError(f"session {reader.header.session}: the {what} is not the one it was recorded with; restore it")
    request = Request(
        symbols=given.symbols, from_date=given.from_date, to_date=given.to_date, config=config, playbook=playbook,
        history=history_from(given.source, home, config, given.seed), stage="live" if change is None else "sim",
    )  # fmt: skip
    return replace(request, resolution="tick" if given.resolution == "tick" else "minute")


def _seeded(config: Config, seed: int | None) -> Config:
    if seed is None:
        return config
    return msgspec.structs.replace(config, backtest=msgspec.structs.replace(config.backtest, seed=seed))


def _hash_of(playbook: Playbook) -> str:
    told = msgspec.json.encode([one.definition for one in playbook.strategies], order="sorted")
    return hashlib.blake2b(told, digest_size=8).hexdigest()
