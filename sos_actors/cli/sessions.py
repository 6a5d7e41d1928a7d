"""Recorded sessions: what there is, replay, what an actor held at an instant, and why an order was sent."""

from __future__ import annotations

import datetime as dt
import sys
from collections import deque
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from sos_actors.cli import options
from sos_actors.errors import InputError, SosError

if TYPE_CHECKING:
    from sos_actors.runtime.journal.deliveries import Delivery, RecordedRun
    from sos_actors.runtime.journal.replay import Outcome, ReplayRuntime

SessionArgument = Annotated[str, typer.Argument(help="Name of a session, as `sessions` lists them")]
SessionOption = Annotated[str, typer.Option("--session", help="Name of a session; the last when not given")]
OtherCode = Annotated[bool, typer.Option("--other-code", help="Go ahead though other code recorded the session")]
#: Messages in and out that are shown of an actor.
_LAST = 5
#: Messages out of an actor that are told apart while the last are sought.
_KEPT = 64


def sessions(home: options.HomeOption = None) -> None:
    """List the recorded sessions, and say which cannot be read."""
    from sos_actors.cli.recorded import sessions_folder  # noqa: PLC0415 - imports cost; each command pays its own
    from sos_actors.market.clocktime import ist_text  # noqa: PLC0415
    from sos_actors.runtime.journal.sessions import listed  # noqa: PLC0415

    found = listed(sessions_folder(home))
    for one in found:
        size = f"{one.bytes / 1e6:.1f} MB in {one.segments} segment(s)"
        if one.header is None:
            print(f"{one.name}  {size}  cannot be read: {one.problem}")
            continue
        begun = ist_text(one.header.opened)[:19]
        ended = "was cut off or still runs"
        if one.end is not None:
            ended = f"ended {ist_text(one.end.closed)[:19]} {one.end.reason}".rstrip()
        print(f"{one.name}  begun {begun}, {ended}  {size}  code {one.header.code}")
    if not found:
        print("no session is recorded; the daemon records each of its lives, `backtest --stage live --record` one run")


def replay(
    session: SessionArgument,
    check: Annotated[bool, typer.Option("--check", help="Compare every message with the record (the default)")] = False,
    strategies: Annotated[
        str, typer.Option("--strategies", help="What if: the session's market with these, names or 'all'; no check")
    ] = "",
    playbook: options.PlaybookOption = None,
    config: Annotated[Path | None, typer.Option("--config", help="What if: with this configuration; no check")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="What if: write the result; - for stdout")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="What if: write the tear sheet")] = None,
    other_code: OtherCode = False,
    home: options.HomeOption = None,
) -> None:
    """Run a recorded session again and compare every message with the record; or run its market anew (what if)."""
    from sos_actors.cli.recorded import WhatIf, check_code, find, incomplete, sessions_folder, what_if  # noqa: PLC0415

    change = WhatIf(strategies, playbook, config)
    if check and change:
        raise InputError("--check: other strategies or settings send other messages; leave it, or them, out")
    run = find(session, sessions_folder(home))
    if change:
        from sos_actors.cli.runs import Outputs, run_and_report  # noqa: PLC0415

        run_and_report(what_if(run, change, home), None, Outputs(json, 12, None, html))
        return
    if json is not None or html is not None:
        raise InputError("--json, --html: a check has no report; give --strategies, --playbook or --config too")
    check_code(run.reader, other_code=other_code)
    outcome = _replayed(run, _runtime(run, home))
    compared = f"{outcome.compared} messages and {outcome.states} states compared"
    print(f"{outcome.deliveries} deliveries, {compared}, no difference")
    print(f"run_hash {outcome.run_hash}")
    for problem in filter(None, (outcome.stopped, incomplete(run.reader))):
        print(f"equal as far as the record goes, but it is not whole: {problem}")


def why(
    order_id: Annotated[str, typer.Argument(help="Id of an order")],
    session: SessionOption = "",
    home: options.HomeOption = None,
) -> None:
    """Show the messages that led to an order, and what became of it, from a session's record."""
    from sos_actors.cli.recorded import find, sessions_folder  # noqa: PLC0415
    from sos_actors.reports.causes import why as chain  # noqa: PLC0415
    from sos_actors.reports.causes_text import in_lines  # noqa: PLC0415

    for line in in_lines(chain(find(session, sessions_folder(home)).rows, order_id)):
        print(line)


def inspect_at(
    actor: str, at: str, session: str, home: Path | None, *, follow: bool, other_code: bool, checkpoint: bool
) -> None:
    """Print what an actor held just before an instant of a session; with `follow`, then after each message to it.

    With `checkpoint`, or where the session cannot be run again for it, what its last checkpoint before that says.
    """
    from sos_actors.cli.recorded import check_code, find, sessions_folder  # noqa: PLC0415

    if follow and checkpoint:
        raise InputError("--follow: what comes after a checkpoint is known only to a replay; leave out one of them")
    run = find(session, sessions_folder(home))
    instant = _instant(at, run.last)
    if checkpoint:
        if not _print_checkpoint(run, actor, instant, ""):
            raise InputError(f"no checkpoint of '{actor}' at or before that instant in {run.reader.header.session}")
        return
    try:
        check_code(run.reader, other_code=other_code)
    except InputError as error:
        if follow or not _print_checkpoint(run, actor, instant, str(error)):
            raise
        return
    runtime = _runtime(run, home)
    if runtime.is_edge(actor):
        why = f"'{actor}' touches the world and is not replayed"
        if follow or not _print_checkpoint(run, actor, instant, why):
            raise InputError(f"{why}; `inspect` of a running daemon shows it")
        return
    stop = _replayed(run, runtime, until=instant).deliveries
    if actor not in runtime:
        raise InputError(f"no actor '{actor}' at that instant; there are {', '.join(runtime)}")
    _print_state(runtime.actor(actor).inspect())
    _print_messages(run.rows, stop, actor)
    if follow:
        _follow(islice(run.rows, stop, None), runtime, actor)


def _print_checkpoint(run: RecordedRun, actor: str, instant: int, why: str) -> bool:
    """Print the last checkpoint of an actor at or before an instant, and its messages; False where there is none.

    `why` says why there is no replay, '' where none was asked for.
    """
    from sos_actors.market.clocktime import ist_text  # noqa: PLC0415
    from sos_actors.runtime.journal.checkpoints import last_checkpoint  # noqa: PLC0415

    found = last_checkpoint(run.reader, actor, instant)
    if found is None:
        return False
    if why:
        print(why)
    print(f"checkpoint of {ist_text(found.now)[:26]}, after delivery #{found.serial}: not the state at the instant")
    _print_state(msgspec.msgpack.decode(found.state))
    stop = next((one.serial for one in run.rows if one.now >= instant), run.count)
    _print_messages(run.rows, stop, actor)
    return True


def _print_messages(rows: Iterable[Delivery], stop: int, actor: str) -> None:
    """Print what waited for an actor at delivery `stop`, and its last messages in and out."""
    from sos_actors.market.clocktime import ist_text  # noqa: PLC0415

    waiting = 0
    sent: list[Delivery] = []
    heard: deque[Delivery] = deque(maxlen=_LAST)
    said: dict[tuple[int, bytes], Delivery] = {}  # a message that went to many is one
    own: set[int] = set()
    for one in rows:
        if one.cause in own:
            said[one.cause, one.body] = one
            if len(said) > _KEPT:
                del said[next(iter(said))]
        if one.path == actor and one.serial < stop:
            own.add(one.serial)
            heard.append(one)
        elif one.path == actor and 0 <= one.cause < stop:
            waiting += 1
            if waiting <= _LAST:
                sent.append(one)
    for title, ones in (
        (f"mailbox: {waiting} waiting", sent),
        ("last in:", heard),
        ("last out:", [*said.values()][-_LAST:]),
    ):
        print(title)
        for one in ones:
            print(f"  {ist_text(one.now)[:26]}  #{one.serial} -> {one.path}  {_told(one)}")


def _follow(rest: Iterable[Delivery], runtime: ReplayRuntime, actor: str) -> None:
    """Go on from message to message of the actor; on a terminal at every Enter."""
    for one in rest:
        runtime.deliver_recorded(one)
        if one.path == actor:
            print(f"#{one.serial} {_told(one)}")
            _print_state(runtime.actor(actor).inspect())
            if sys.stdin.isatty():
                input("Enter for the next, Ctrl-C to end ")


def _told(one: Delivery) -> str:
    from sos_actors.reports.causes import fields_of  # noqa: PLC0415
    from sos_actors.reports.causes_text import in_words  # noqa: PLC0415

    return f"{one.kind} {in_words(fields_of(one))}"


def _print_state(state: Any) -> None:
    print(msgspec.json.format(msgspec.json.encode(state, enc_hook=str), indent=2).decode())


def _instant(at: str, last: int) -> int:
    """Read `10:32:15.250` (of the day of `last`) or `2025-09-02T10:32:15.250`, IST; in and out UTC ns."""
    from sos_actors.market.clocktime import SECOND_NS, ist_date, midnight_ns  # noqa: PLC0415

    try:
        day, _, clock = at.rpartition("T")
        on = dt.date.fromisoformat(day) if day else ist_date(last)
        time = dt.time.fromisoformat(clock)
    except ValueError:
        raise InputError(f"--at '{at}': write a time of day, HH:MM:SS.mmm, or YYYY-MM-DDTHH:MM:SS.mmm (IST)") from None
    seconds = (time.hour * 60 + time.minute) * 60 + time.second
    return midnight_ns(on) + seconds * SECOND_NS + time.microsecond * 1_000


def _runtime(run: RecordedRun, home: Path | None) -> ReplayRuntime:
    from loguru import logger  # noqa: PLC0415

    from sos_actors.cli.recorded import runtime_of  # noqa: PLC0415

    logger.disable("sos_actors")  # what the session logged, it logged
    return runtime_of(run, home)


def _replayed(run: RecordedRun, runtime: ReplayRuntime, until: int | None = None) -> Outcome:
    from sos_actors.runtime.journal.divergence import DivergenceError  # noqa: PLC0415
    from sos_actors.runtime.journal.replay import replay as run_again  # noqa: PLC0415

    try:
        return run_again(run.entries, runtime, lambda one: until is None or one.now < until)
    except DivergenceError as found:
        for name, recorded, replayed in found.fields:
            mark = " " if recorded == replayed else "*"
            print(f"{mark} {name}: recorded {recorded}, replayed {replayed}")
        raise SosError(f"the replay parts from the record at {found}") from None
