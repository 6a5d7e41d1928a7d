"""SubscriptionActor: follows the market with one underlying's subscriptions, each a bar actor of its own."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from sos_actors.actors.bar import BarActor
from sos_actors.market.bars import BarBuilder, BarSettings
from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.market.following import Choice, ContractWindow, FollowSettings
from sos_actors.market.ids import index_id, near_future, parse_id
from sos_actors.market.instruments import InstrumentTable
from sos_actors.messages import (
    NAN,
    ContractsChosen,
    Phase,
    SessionPhase,
    Subscribe,
    Terminated,
    Tick,
    Unsubscribe,
)
from sos_actors.runtime import Actor, Ref, handles

TableOf = Callable[[dt.date], InstrumentTable]
#: day -> the index's close of the trading day before, NaN where it is not known.
PreviousClose = Callable[[dt.date], float]


class SubscriptionActor(Actor):
    """Chooses what is followed of one underlying, and keeps a bar actor at work for each of it.

    What somebody asked for by name (`Subscribe`: the order path, for what is held or worked) keeps its bar actor,
    wherever the window goes. A bar actor that is stopped and wanted again at once starts when the old one has ended.
    """

    def __init__(
        self,
        underlying: str,
        follow: FollowSettings,
        table_of: TableOf,
        previous_close: PreviousClose,
        bars: BarSettings,
        *,
        extras: Sequence[str] = (),
    ) -> None:
        """`extras` are followed too, such as India VIX by one of the underlyings."""
        super().__init__()
        self._underlying = underlying
        self._window = ContractWindow(underlying, follow)
        self._table_of = table_of
        self._previous_close = previous_close
        self._bar_settings = bars
        self._extras = tuple(extras)
        self._day: dt.date | None = None
        self._morning: SessionPhase | None = None
        self._choice: Choice | None = None
        self._last_price = NAN
        self._asked: dict[str, Counter[str]] = {}
        self._bars: dict[str, Ref] = {}
        self._stopping: set[str] = set()
        self._near = ""
        self._started = self._stopped = self._choices = 0
        self._chosen = self.topic(ContractsChosen, underlying)
        self.subscribe(SessionPhase)
        self.subscribe(Subscribe)
        self.subscribe(Unsubscribe)
        self.subscribe(Tick, index_id(underlying))

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """At the first phase of a day take its instruments, and choose around what price is known."""
        early = message.phase is Phase.PRE_OPEN and self.clock.now < message.ts + MINUTE_NS
        self._morning = message if early else None
        if message.day == self._day:
            return
        self._day = message.day
        self._window.start_day(self._table_of(message.day), message.day)
        close = self._previous_close(message.day)
        price = close if close == close else self._last_price
        self._choose(self._window.on_price(price, self.clock.now) or self._window.unpriced())

    @handles(Tick)
    def on_tick(self, message: Tick) -> None:
        """Choose anew when the index has moved far enough."""
        self._last_price = message.price
        choice = self._window.on_price(message.price, self.clock.now)
        if choice is not None:
            self._choose(choice)

    @handles(Subscribe)
    def on_subscribe(self, message: Subscribe) -> None:
        """Keep an instrument that somebody needs by name."""
        if self._is_mine(message.instrument):
            self._asked.setdefault(message.instrument, Counter())[message.reason] += 1
            self._keep_bars()

    @handles(Unsubscribe)
    def on_unsubscribe(self, message: Unsubscribe) -> None:
        """Let it go when nobody needs it by name any more."""
        reasons = self._asked.get(message.instrument)
        if reasons is None or not reasons[message.reason]:
            return
        reasons[message.reason] -= 1
        if not reasons.total():
            del self._asked[message.instrument]
            self._keep_bars()

    @handles(Terminated)
    def on_terminated(self, message: Terminated) -> None:
        """A bar actor has ended: where it is wanted after all, start its successor."""
        instrument = message.path.removeprefix("bar/")
        if instrument in self._stopping:
            self._stopping.discard(instrument)
            self._keep_bars()

    def _is_mine(self, instrument: str) -> bool:
        return parse_id(instrument).underlying == self._underlying

    def _choose(self, choice: Choice) -> None:
        """Start what is new, say what is followed, stop what is not."""
        self._choice = choice
        self._choices += 1
        self._keep_bars()
        others = (*choice.others, *self._extras)
        self._chosen.publish(
            ContractsChosen(self._underlying, self.clock.now, choice.expiry, choice.chain, others, choice.future)
        )

    def _wanted(self, choice: Choice) -> dict[str, None]:
        return dict.fromkeys((*choice.others, *self._extras, *choice.chain, *self._asked))

    def _keep_bars(self) -> None:
        """Have exactly one bar actor for each instrument that is wanted, once the day's contracts are chosen."""
        choice = self._choice
        if choice is None:
            return
        if choice.future in self._bars and choice.future != self._near:
            self._stop_bars(choice.future)  # its successor publishes under the near future's key too
        wanted = self._wanted(choice)
        for instrument in [name for name in self._bars if name not in wanted]:
            self._stop_bars(instrument)
        for instrument in wanted:
            if instrument not in self._bars and instrument not in self._stopping:
                self._start_bars(instrument, near=instrument == choice.future)

    def _start_bars(self, instrument: str, *, near: bool) -> None:
        keys = (instrument, near_future(self._underlying)) if near else (instrument,)
        if near:
            self._near = instrument
        builder = BarBuilder(instrument, settings=self._bar_settings)
        path = f"bar/{instrument}"
        bars = self.runtime.spawn(BarActor, path, instrument, builder, keys, group=self.dispatcher.name)
        self.runtime.watch(self.path, path)
        if self._morning is not None:
            bars.tell(self._morning)  # it is told what it was born too late to hear: it listens from before the open
        self._bars[instrument] = bars
        self._started += 1

    def _stop_bars(self, instrument: str) -> None:
        bars = self._bars.pop(instrument)
        if bars.is_alive():
            self._stopping.add(instrument)
            bars.stop(block=False)
        self._stopped += 1

    def inspect(self) -> dict[str, Any]:
        """Say what is followed and why."""
        choice = self._choice
        return {
            "day": "" if self._day is None else self._day.isoformat(),
            "expiry": "" if choice is None else choice.expiry.isoformat(),
            "chain": 0 if choice is None else len(choice.chain),
            "others": () if choice is None else (*choice.others, *self._extras),
            "asked_for": {name: dict(reasons) for name, reasons in self._asked.items()},
            "bar_actors": len(self._bars),
            "price": self._last_price,
            "choices": self._choices,
            "started": self._started,
            "stopped": self._stopped,
        }
