"""Recorded sessions: what there is, replay, what an actor held at an instant, and why an order was sent."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from sos_actors.cli import options
from sos_actors.errors import InputError, SosError
from sos_actors.playbook.loader import Playbook

if TYPE_CHECKING:
    from sos_actors.backtest import Request
    from sos_actors.runtime.journal.deliveries import Delivery
    from sos_actors.runtime.journal.reader import JournalReader
    from sos_actors.runtime.journal.recording import Recording
    from sos_actors.runtime.journal.replay import ReplayRuntime

SessionArgument = Annotated[str, typer.Argument(help="Name of a session, as `sessions` lists them")]
OtherCode = Annotated[bool, typer.Option("--other-code", help="Go ahead though other code recorded the session")]
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


def record(request: Request, arguments: BacktestArguments, home: Path | None) -> tuple[Recording, str]:
    """Begin the record of a backtest on threads, and delete what is too old; gives it and the session's name."""
    import time  # noqa: PLC0415

    from sos_actors.market.clocktime import ist_text  # noqa: PLC0415
    from sos_actors.runtime.journal.recording import Recording  # noqa: PLC0415
    from sos_actors.runtime.journal.sessions import retire  # noqa: PLC0415

    folder = options.home_folder(home) / "sessions"
    settings = request.config.journal
    now = time.time_ns()
    retire(folder, now, settings.keep_days, settings.keep_mb)
    name = "backtest-" + ist_text(now)[:19].replace(":", "").replace("T", "-")
    facts = {
        _BACKTEST: msgspec.json.encode(arguments).decode(),
        "config": request.config.fingerprint(),
        "playbook": _hash_of(request.playbook),
    }
    return Recording(folder / name, session=name, facts=facts, settings=settings), name


def sessions(home: options.HomeOption = None) -> None:
    """List the recorded sessions, and say which cannot be read."""
    from sos_actors.market.clocktime import ist_text  # noqa: PLC0415
    from sos_actors.runtime.journal.sessions import listed  # noqa: PLC0415

    found = listed(options.home_folder(home) / "sessions")
    for one in found:
        size = f"{one.bytes / 1e6:.1f} MB in {one.segments} segment(s)"
        if one.header is None:
            print(f"{one.name}  {size}  cannot be read: {one.problem}")
            continue
        begun = ist_text(one.header.opened)[:19]
        ended = "was cut off" if one.end is None else f"ended {ist_text(one.end.closed)[:19]} {one.end.reason}".rstrip()
        print(f"{one.name}  begun {begun}, {ended}  {size}  code {one.header.code}")
    if not found:
        print("no session is recorded; `backtest --stage live --record` records one")


def replay(
    session: SessionArgument,
    check: Annotated[bool, typer.Option("--check", help="Compare every message with the record (the default)")] = False,
    strategies: Annotated[
        str, typer.Option("--strategies", help="What if: the session's market with these, names or 'all'; no check")
    ] = "",
    other_code: OtherCode = False,
    home: options.HomeOption = None,
) -> None:
    """Run a recorded session again and compare every message with the record."""
    if check and strategies:
        raise InputError("--check and --strategies: other strategies send other messages; give one of the two")
    reader, rows = _load(session, home)
    if strategies:
        from sos_actors.cli.runs import Outputs, _run  # noqa: PLC0415

        asked = "" if strategies == "all" else strategies
        _run(_request(reader, home, asked, checked=False), None, Outputs(None, 12, None, None))
        return
    _check_code(reader, other_code)
    runtime = _runtime(_request(reader, home))
    outcome = _replayed(rows, runtime)
    problem = outcome.stopped or _incomplete(reader)
    print(f"{outcome.deliveries} deliveries, {outcome.compared} messages compared, hash {outcome.run_hash}")
    if problem:
        raise SosError(f"session {session}: equal as far as the record goes, but it is not whole: {problem}")


def why(
    order_id: Annotated[str, typer.Argument(help="Id of an order")],
    session: Annotated[str, typer.Option("--session", help="Name of a session; the last when not given")] = "",
    home: options.HomeOption = None,
) -> None:
    """Show the messages that led to an order, and what became of it, from a session's record."""
    from sos_actors.market.clocktime import ist_text  # noqa: PLC0415
    from sos_actors.reports.causes import in_words  # noqa: PLC0415
    from sos_actors.reports.causes import why as chain  # noqa: PLC0415

    _, rows = _load(session, home)
    for step in chain(rows, order_id):
        print(f"{ist_text(step.now)[:26]}  #{step.serial}  {step.sender} -> {step.path}  {step.kind}")
        print(f"    {in_words(step.values)}")


def inspect_at(actor: str, at: str, session: str, home: Path | None, *, follow: bool, other_code: bool) -> None:
    """Print what an actor held just before an instant of a session; with `follow`, then after each message to it."""
    from sos_actors.market.clocktime import ist_text  # noqa: PLC0415

    reader, rows = _load(session, home)
    _check_code(reader, other_code)
    instant = _instant(at, rows)
    runtime = _runtime(_request(reader, home))
    stop = next((one.serial for one in rows if one.now >= instant), len(rows))
    _replayed(rows, runtime, until=stop)
    if actor not in runtime:
        raise InputError(f"no actor '{actor}' at that instant; there are {', '.join(runtime)}")
    _print_state(runtime, actor)
    sent = [one for one in rows[stop:] if one.path == actor and 0 <= one.cause < stop]
    print(f"mailbox: {len(sent)} waiting")
    heard = [one for one in rows[:stop] if one.path == actor][-_LAST:]
    said = [one for one in rows if 0 <= one.cause < stop and rows[one.cause].path == actor][-_LAST:]
    for title, ones in (("last in", heard), ("last out", said)):
        print(f"{title}:")
        for one in ones:
            print(f"  {ist_text(one.now)[:26]}  #{one.serial} -> {one.path}  {_told(one)}")
    if follow:
        _follow(rows[stop:], runtime, actor)


#: Messages in and out that are shown of an actor.
_LAST = 5


def _follow(rest: Sequence[Delivery], runtime: ReplayRuntime, actor: str) -> None:
    """Go on from message to message of the actor; on a terminal at every Enter."""
    for one in rest:
        runtime.deliver_recorded(one)
        if one.path == actor:
            print(f"#{one.serial} {_told(one)}")
            _print_state(runtime, actor)
            if sys.stdin.isatty():
                input("Enter for the next, Ctrl-C to end ")


def _told(one: Delivery) -> str:
    from sos_actors.reports.causes import fields_of, in_words  # noqa: PLC0415

    return f"{one.kind} {in_words(fields_of(one))}"


def _print_state(runtime: ReplayRuntime, actor: str) -> None:
    state: dict[str, Any] = runtime.actor(actor).inspect()
    print(msgspec.json.format(msgspec.json.encode(state, enc_hook=str), indent=2).decode())


def _instant(at: str, rows: Sequence[Delivery]) -> int:
    """Read `10:32:15.250` (of the record's last day) or `2025-09-02T10:32:15.250`, IST; gives UTC ns."""
    from sos_actors.market.clocktime import ist_date, midnight_ns  # noqa: PLC0415

    try:
        day, _, clock = at.rpartition("T")
        on = dt.date.fromisoformat(day) if day else ist_date(rows[-1].now)
        time = dt.time.fromisoformat(clock)
    except (ValueError, IndexError):
        raise InputError(f"--at '{at}': write a time of day, HH:MM:SS.mmm, or YYYY-MM-DDTHH:MM:SS.mmm (IST)") from None
    seconds = (time.hour * 60 + time.minute) * 60 + time.second
    return midnight_ns(on) + seconds * 1_000_000_000 + time.microsecond * 1_000


def _load(session: str, home: Path | None) -> tuple[JournalReader, list[Delivery]]:
    from sos_actors.runtime.journal.deliveries import load  # noqa: PLC0415
    from sos_actors.runtime.journal.format import segments  # noqa: PLC0415
    from sos_actors.runtime.journal.sessions import session_folder  # noqa: PLC0415

    folder = options.home_folder(home) / "sessions"
    if not session and folder.is_dir():
        found = [one for one in folder.iterdir() if segments(one)]
        session = max(found, key=lambda one: one.stat().st_mtime_ns).name if found else ""
    reader, rows = load(session_folder(folder, session))
    if not rows:
        raise SosError(f"session {session}: its record is empty, there is nothing to replay")
    return reader, rows


def _incomplete(reader: JournalReader) -> str:
    from sos_actors.runtime.journal.recording import INCOMPLETE  # noqa: PLC0415

    if reader.torn is not None:
        return f"its tail is torn: {reader.torn.lost} bytes from {reader.torn.offset} of {reader.torn.segment}"
    if reader.end is None:
        return "it was cut off"
    return reader.end.reason if reader.end.reason.startswith(INCOMPLETE) else ""


def _check_code(reader: JournalReader, other_code: bool) -> None:
    from sos_actors.runtime.journal.recording import code_version  # noqa: PLC0415

    if reader.header.code != code_version() and not other_code:
        raise InputError(
            f"session {reader.header.session} was recorded by code {reader.header.code}, this is {code_version()}: "
            "check out that one, or use --other-code to see where they part"
        )


def _request(reader: JournalReader, home: Path | None, strategies: str = "", *, checked: bool = True) -> Request:
    """Put the request of a recorded backtest together again; raises InputError where its ingredients have changed."""
    from sos_actors.backtest import Request  # noqa: PLC0415
    from sos_actors.cli.runs import _history  # noqa: PLC0415

    facts = reader.header.facts
    if _BACKTEST not in facts:
        raise InputError(
            f"session {reader.header.session}: only recorded backtests (`backtest --stage live --record`) can be put "
            "together again by this command"
        )
    given = msgspec.json.decode(facts[_BACKTEST], type=BacktestArguments)
    config = options.configuration(Path(given.config) if given.config else None)
    if given.seed is not None:
        backtest = msgspec.structs.replace(config.backtest, seed=given.seed)
        config = msgspec.structs.replace(config, backtest=backtest)
    names = given.strategies if checked else strategies
    playbook = options.strategies([Path(one) for one in given.playbook] or None, names, given.timeframe)
    if checked and (config.fingerprint(), _hash_of(playbook)) != (facts["config"], facts["playbook"]):
        what = "configuration" if config.fingerprint() != facts["config"] else "playbook"
        raise InputError(f"session {reader.header.session}: the {what} is not the one it was recorded with; restore it")
    request = Request(
        symbols=given.symbols, from_date=given.from_date, to_date=given.to_date, config=config, playbook=playbook,
        history=_history(given.source, home, config, given.seed),
    )  # fmt: skip
    return replace(
        request, resolution="tick" if given.resolution == "tick" else "minute", stage="live" if checked else "sim"
    )


def _hash_of(playbook: Playbook) -> str:
    import hashlib  # noqa: PLC0415

    told = msgspec.json.encode([one.definition for one in playbook.strategies], order="sorted")
    return hashlib.blake2b(told, digest_size=8).hexdigest()


def _runtime(request: Request) -> ReplayRuntime:
    from sos_actors.backtest import builder  # noqa: PLC0415
    from sos_actors.runtime.journal.replay import ReplayRuntime  # noqa: PLC0415

    return ReplayRuntime([builder(request)])


def _replayed(rows: Sequence[Delivery], runtime: ReplayRuntime, until: int | None = None) -> Any:
    from sos_actors.runtime.journal.replay import Divergence  # noqa: PLC0415
    from sos_actors.runtime.journal.replay import replay as run_again  # noqa: PLC0415

    try:
        return run_again(rows, runtime, lambda one: until is None or one.serial < until)
    except Divergence as found:
        raise SosError(f"the replay parts from the record at {found}") from None
