"""What the daemon adds to a warm restart: minutes that ended meanwhile are played too; dead letters are shown clean."""

from __future__ import annotations

import datetime as dt
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import msgspec
import pytest

from sos_actors import assembly
from sos_actors.config import Config
from sos_actors.daemon.cast import LiveCast
from sos_actors.daemon.operations import Operations
from sos_actors.errors import InputError
from sos_actors.market.clocktime import MINUTE_NS, ist_ns
from sos_actors.messages import FeedStatus
from sos_actors.playbook.loader import build_playbook
from sos_actors.playbook.schema import parse_strategy
from sos_actors.runtime import Actor, LiveRuntime, Session, handles
from sos_actors.runtime.clock import NEVER
from sos_actors.runtime.journal.answers import plainly
from sos_actors.sandbox.market import SimulatedMarket
from sos_actors.sources.simulated import SimulatedHistory
from sos_actors.sources.warm_start import between

DAY = dt.date(2025, 9, 2)
AVERAGES = """{
  "pattern_id": "cross", "phases": [{"id": "A", "conditions": ["ema(history, 9, 'close') > ema(history, 21, 'close')",
  "atr(14) > 0", "vwap(history) > 0", "chain.pcr > 0", "structure.opening_high > 0"]}],
  "execution": {"side": "BUY", "entry": "close", "sl": "close - 9", "tp": "close + 9", "option_selection": "ATM_CALL"}
}"""


def _held(*instants):
    """Play up to each instant in turn, as a daemon does that finds the clock gone on; what all hold at the end."""
    config = msgspec.structs.replace(Config(), web=msgspec.structs.replace(Config().web, enabled=False))
    history = SimulatedHistory(SimulatedMarket(config.simulated_market, 7))
    whole = history.load_day("NIFTY", DAY)
    playbook = build_playbook([(parse_strategy(AVERAGES, "cross")[0], "cross")])
    assert not playbook.errors
    runtime = LiveRuntime(config.runtime)
    cast = assembly.Cast(
        config=config, playbook=playbook, underlyings=[assembly.Underlying("NIFTY", chain=True)], charges=None,
        previous_day=history.day_stats, trade_from=NEVER,
    )  # fmt: skip
    try:
        live = LiveCast(runtime, cast, SimpleNamespace(table=lambda: None, ask=plainly))
        live.think(lambda _: [between(whole, 0, instants[0])])
        runtime.clock.follow([Session(DAY, ist_ns(DAY, "09:15"), ist_ns(DAY, "15:30"))], config.clock.grace_ns)
        runtime.run(until=instants[0])
        for since, now in pairwise(instants):
            live.play_on(partial(lambda since, now, _: [between(whole, since, now)], since, now), DAY, since)
            runtime.run(until=now)
        return {path: runtime.actor(path).inspect() for path in runtime if "/" in path}
    finally:
        runtime.close()


def test_minutes_that_ended_while_history_was_played_are_played_too():
    at = ist_ns(DAY, "09:58") + MINUTE_NS // 2
    straight = _held(at)
    assert straight["study/NIFTY"]["studies"][60]["ts"] == ist_ns(DAY, "09:58")
    assert repr(_held(at - 7 * MINUTE_NS, at - 3 * MINUTE_NS, at)) == repr(straight)


class _Brittle(Actor):
    def __init__(self) -> None:
        super().__init__()
        self.subscribe(FeedStatus)

    @handles(FeedStatus)
    def on_status(self, message: FeedStatus) -> None:
        raise ValueError(f"cannot log in with {message.detail}")


def test_dead_letters_are_shown_with_their_traceback_and_without_secrets():
    runtime = LiveRuntime(Config().runtime)
    facts = SimpleNamespace(secrets=lambda: ["planted-secret"], now=lambda: 0)
    try:
        runtime.spawn(_Brittle, "brittle")
        runtime.publish(FeedStatus("NIFTY", False, 0, "planted-secret and Bearer abc.def"))
        runtime.settle(20.0)
        operations = Operations(runtime, facts)
        (letter,) = operations.commands()["dead_letters"]()
        assert operations.dead_letters("another") == []
    finally:
        runtime.close()
    assert (letter["actor"], letter["message"], letter["reason"]) == ("brittle", "FeedStatus", "raised")
    assert "ValueError: cannot log in with (hidden)" in letter["traceback"]
    assert "on_status" in letter["traceback"]
    assert "planted-secret" not in str(letter)
    assert "abc.def" not in str(letter)
    with pytest.raises(InputError, match="there is no actor 'britle'"):
        operations.inspect("britle")


def test_the_daemon_is_not_ready_before_the_order_path_has_said_a_word():
    runtime = LiveRuntime(Config().runtime)
    facts = SimpleNamespace(
        session="s", mode="sandbox", now=lambda: 0, started=0, token_until=lambda: "", not_ready=list,
    )  # fmt: skip
    try:
        runtime.spawn(_Brittle, "broker")
        operations = Operations(runtime, facts)
        silent = operations.status()
        runtime.snapshots["broker"] = {"entries_held": ""}
        heard = operations.status()
    finally:
        runtime.close()
    assert (silent.ready, silent.not_ready) == (False, ["starting: the order path has not been heard of yet"])
    assert (heard.ready, heard.not_ready) == (True, [])
