"""What may be asked of the running daemon, and what it may be told: the commands of the control socket."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Protocol

from sos_actors.control.status import (
    ActorView,
    DaemonStatus,
    EventView,
    FeedView,
    OrderView,
    PositionView,
    RestrictionView,
)
from sos_actors.decoding import converted
from sos_actors.errors import InputError
from sos_actors.market.clocktime import ist_plain
from sos_actors.messages import Flatten, Reinstate, SetTradingState, TradingState
from sos_actors.runtime import LiveRuntime
from sos_actors.web.letters import letters_of

#: Seconds an actor may take to answer: between two of its messages.
_ANSWER_S = 2.0


class Facts(Protocol):
    """What the daemon knows of itself besides its actors."""

    session: str
    mode: str
    started: int

    def now(self) -> int:
        """The daemon's time, UTC ns."""

    def not_ready(self) -> list[str]:
        """Why nothing is entered now, one line each; empty when all is well."""

    def token_until(self) -> str:
        """Until when the access token lives; '' without one."""

    def secrets(self) -> list[str]:
        """Give what must leave through no answer."""


class Operations:
    """Commands of the control socket. They run on its threads and only read snapshots or send control messages."""

    def __init__(self, runtime: LiveRuntime, facts: Facts) -> None:
        self._runtime, self._facts = runtime, facts

    def commands(self) -> dict[str, Callable[..., Any]]:
        """Give every command by the name it is asked for."""
        names = (
            "status", "actors", "inspect", "dead_letters", "tree",
            "kill", "flatten", "pause", "resume", "stop", "start", "reinstate",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}

    # -- questions ---------------------------------------------------------------------------------------------

    def actors(self) -> list[ActorView]:
        """Give every actor, in the order of spawning."""
        tree = self._runtime.tree()
        merged = {group["group"]: group["merged"] for group in tree["groups"]}
        return [_actor_view(one, merged.get(one["group"], 0)) for one in tree["actors"]]

    def tree(self) -> dict[str, Any]:
        """Give everything the runtime counts: groups, actors, stages' latencies, dead letters (runtime/tree.py)."""
        return self._runtime.tree()

    def inspect(self, path: str) -> dict[str, Any]:
        """Ask one actor what it holds. Raises InputError for a path that is not there."""
        try:
            return self._runtime.snapshot(path, _ANSWER_S)
        except KeyError:
            near = [one for one in self._runtime if path in one][:8]
            hint = f"; there are {', '.join(near)}" if near else "; `inspect` lists them all"
            raise InputError(f"there is no actor '{path}'{hint}") from None
        except TimeoutError as error:
            raise InputError(str(error)) from None

    def dead_letters(self, path: str = "") -> list[dict[str, Any]]:
        """Give the last messages nobody handled or that failed their actor (of all, or one), the newest first."""
        return letters_of(self._runtime.dead_letters, self._facts.secrets(), path=path)

    def status(self) -> DaemonStatus:
        """Give the daemon at a glance."""
        runtime, facts = self._runtime, self._facts
        seen = runtime.snapshots
        desk, risk, broker = (seen.get(path, {}) for path in ("orders", "risk", "broker"))
        feed, notices = seen.get("feed", {}), seen.get("notifier", {})
        not_ready = facts.not_ready()
        if not broker and "broker" in runtime:
            not_ready.append("starting: the order path has not been heard of yet")
        elif broker.get("entries_held"):
            not_ready.append(str(broker["entries_held"]))
        feeds = _feeds(feed, facts.now())
        not_ready += [f"{one.underlying}: market data {one.detail}" for one in feeds if not one.live]
        prices = desk.get("prices", {})
        trades = desk.get("trades", [])
        return DaemonStatus(
            session=facts.session,
            mode=facts.mode,
            now=ist_plain(facts.now()),
            started=ist_plain(facts.started),
            phase=str(risk.get("phase", "")),
            ready=not not_ready,
            not_ready=not_ready,
            trading=str(risk.get("state", "")),
            restrictions=[
                RestrictionView(strategy=strategy, underlying=underlying, state=state)
                for strategy, underlying, state in risk.get("restrictions", ())
            ],
            broker=_broker(broker),
            token_until=facts.token_until(),
            equity=_rupees(desk.get("equity_paise")),
            cash=_rupees(desk.get("cash_paise")),
            realised=_rupees(desk.get("realised_paise")),
            feeds=feeds,
            positions=[_position(trade, prices) for trade in trades if trade.get("open")],
            orders=[_order(order, trade) for trade in trades for order in trade.get("orders", ())],
            differences=list(broker.get("differences", ())),
            events=[EventView(at=e["at"], who=e["who"], what=e["what"]) for e in notices.get("events", ())[:12]],
        )

    # -- orders ------------------------------------------------------------------------------------------------

    def kill(self, reason: str = "kill switch") -> str:
        """Stop trading now: nothing is entered any more, everything is closed.

        The limits hear it first: an entry they let through just before is then with the desk ahead of the Flatten.
        """
        self._set(TradingState.HALTED, reason)
        self._publish(Flatten(self._runtime.clock.now, reason))
        return f"halted ({reason}); positions are being closed; `resume` lets trading go on"

    def flatten(self, strategy: str = "") -> str:
        """Close the positions of a strategy, or all."""
        self._known(strategy)
        self._publish(Flatten(self._runtime.clock.now, "FLATTEN", strategy))
        return f"closing {strategy or 'everything'}"

    def pause(self, strategy: str = "") -> str:
        """Let a strategy, or all, enter nothing more."""
        self._known(strategy)
        self._set(TradingState.REDUCING, "paused by the operator", strategy)
        return f"{strategy or 'the account'} enters nothing more; what is open is managed to its end"

    def resume(self, strategy: str = "") -> str:
        """Undo a pause or a kill."""
        self._known(strategy)
        self._set(TradingState.ACTIVE, "resumed by the operator", strategy)
        benched = self._benched(strategy)
        if strategy and benched:
            return (
                f"{strategy} may enter again, but {', '.join(benched)} is benched: `reinstate {strategy}` takes it back"
            )
        return f"{strategy or 'the account'} may enter again"

    def reinstate(self, strategy: str) -> str:
        """Take a benched strategy back: its pattern begins anew, its failures are forgiven, it may enter again.

        Raises InputError for one that is not benched, and when its group is too busy to take it back soon.
        """
        self._known(strategy)
        benched = self._benched(strategy)
        if not strategy or not benched:
            now = ", ".join(self._benched("")) or "none"
            raise InputError(f"'{strategy}' is no strategy that is benched; benched now: {now}; `resume` ends a pause")
        for path in benched:
            self._runtime.tell(path, Reinstate(self._runtime.clock.now, "reinstated by the operator"))
            self._look_at(path)
        self._look_at("risk")
        left = [path for path in benched if path in self._benched(strategy)]
        if left:
            raise InputError(
                f"{', '.join(left)} is benched still: it failed again, or its thread is busy; see `inspect`"
            )
        return (
            f"{strategy} is at work again on {', '.join(path.split('/')[1] for path in benched)}, from its first phase"
        )

    def stop(self, strategy: str) -> str:
        """Let a strategy enter nothing more and close what it holds."""
        self.pause(strategy)
        self.flatten(strategy)
        return f"{strategy} is stopped: its positions are being closed; `start` or `resume` lets it enter again"

    def start(self, strategy: str) -> str:
        """Let a strategy that was stopped or paused enter again."""
        return self.resume(strategy)

    def _publish(self, message: Any) -> None:
        self._runtime.publish(message)

    def _set(self, state: TradingState, reason: str, strategy: str = "") -> None:
        self._publish(SetTradingState(state, reason, strategy))
        self._look()

    def _look(self) -> None:
        """Wait until the limits have taken what they were told, so that the next `status` tells it."""
        self._look_at("risk")

    def _look_at(self, path: str) -> None:
        with contextlib.suppress(KeyError, TimeoutError):
            self._runtime.snapshots[path] = self._runtime.snapshot(path, _ANSWER_S)

    def _benched(self, strategy: str) -> list[str]:
        """Give the benched paths of a strategy; of every one without a name."""
        paths = [one.path for one in self._runtime.stats() if one.benched and one.path.startswith("strategy/")]
        return [path for path in paths if strategy in {"", path.split("/", 2)[2]}]

    def _known(self, strategy: str) -> None:
        running = {path.rpartition("/")[2] for path in self._runtime if path.startswith("strategy/")}
        trades = self._runtime.snapshots.get("orders", {}).get("trades", ())
        names = sorted(running | {trade["strategy"] for trade in trades})  # one that holds may be among them no more
        if strategy and strategy not in names:
            raise InputError(f"there is no strategy '{strategy}'; running are {', '.join(names)}")


def _actor_view(one: dict[str, Any], merged: int) -> ActorView:
    return ActorView(
        path=one["path"], kind=one["kind"], group=one["group"], state=one["state"], handled=one["handled"],
        waiting=one["depth"], rate=one["rate"] or 0.0, age_s=one["age_s"], restarts=one["restarts"],
        failures=one["failures"], merged=merged, p50_us=_us(one["handle_p50_ns"]), p99_us=_us(one["handle_p99_ns"]),
    )  # fmt: skip


def _us(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1000


def _rupees(paise: Any) -> float | None:
    return None if paise is None else paise / 100


def _broker(state: dict[str, Any]) -> str:
    if "stream_live" not in state:
        return "paper"
    doubt = len(state.get("in_doubt", ()))
    stream = "order stream live" if state["stream_live"] else "ORDER STREAM DOWN"
    return f"{stream}, {len(state.get('orders', ()))} orders" + (f", {doubt} IN DOUBT" if doubt else "")


def _feeds(state: dict[str, Any], now: int) -> list[FeedView]:
    views = []
    for name, verdict in state.get("verdicts", {}).items():
        index = state.get("index", {}).get(name, {})
        late = state.get("late_s", {}).get(name)
        live = f"ticks {late:.1f} s late by this clock: bars lack their last seconds" if late else ""
        at = index.get("at", 0)
        views.append(
            FeedView(
                underlying=name,
                live=verdict == "live",
                detail=live if verdict == "live" else verdict,
                contracts=state.get("chosen", {}).get(name, 0),
                price=_number(index.get("price")),
                age_s=(now - at) / 1e9 if at else None,
            )
        )
    return views


def _position(trade: dict[str, Any], prices: dict[str, float]) -> PositionView:
    sign = 1 if trade["side"] == "BUY" else -1
    entry, price = trade.get("entry_price"), prices.get(trade["instrument"])
    return PositionView(
        strategy=trade["strategy"], instrument=trade["instrument"], quantity=sign * trade["open"], entry=entry,
        price=price, stop=_number(trade.get("stop")), target=_number(trade.get("target")),
        unrealised=None if entry is None or price is None else sign * (price - entry) * trade["open"],
    )  # fmt: skip


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and value == value else None


def _order(order: Any, trade: dict[str, Any]) -> OrderView:
    order_id, role, side, status, filled, quantity = converted(order, tuple[str, str, str, str, int, int])
    return OrderView(
        order_id=order_id, instrument=trade["instrument"], side=side, quantity=quantity, filled=filled, status=status,
        role=role, price=_number(trade.get({"STOP": "stop", "TARGET": "target"}.get(role, ""))),
    )  # fmt: skip
