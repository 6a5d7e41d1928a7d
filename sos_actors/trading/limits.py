"""What an entry has to pass before it becomes an order. Exits are never asked.

Everything accepted counts from the moment it is accepted until its trade is closed or refused, so that what is in
flight is inside every limit. The legs of one signal count as one trade.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Container, Iterable
from typing import NamedTuple

from sos_actors.market.clocktime import SECOND_NS, clock_ns, ns_of_day
from sos_actors.messages import (
    AccountMarked,
    FeedStatus,
    OrderIntent,
    Phase,
    PositionChanged,
    RefusalReason,
    Refused,
    SetTradingState,
    TradeClosed,
    TradePlan,
    TradingState,
)
from sos_actors.trading.earmarks import Earmarks
from sos_actors.trading.rate import TokenBucket
from sos_actors.trading.restrictions import Restrictions
from sos_actors.trading.risk_settings import RiskSettings, RiskState

_OPEN = Phase.OPEN


class Breach(NamedTuple):
    """Why an entry may not be made, with one line of detail."""

    reason: RefusalReason
    detail: str


class _Group:
    """The trades of one signal: how many of its intents have not ended."""

    __slots__ = ("direction", "intents", "strategy", "underlying")

    def __init__(self, strategy: str, underlying: str, direction: str) -> None:
        self.strategy = strategy
        self.underlying = underlying
        self.direction = direction
        self.intents = 0


def _position(strategy: str, instrument: str) -> str:
    return f"position {strategy} {instrument}"


class RiskBook:
    """Limits of one account and what counts against them. Times are UTC ns, money paise.

    Life of an entry: `check` -> `on_intent` -> `on_trade` when it is closed, or `on_refused` / `on_intent_end`.
    """

    def __init__(self, settings: RiskSettings, *, rest_target: bool = True) -> None:
        self.settings = settings
        self._rest_target = rest_target
        self.entries_on = True
        self.phase = _OPEN
        self.day: dt.date | None = None
        self.start_equity_paise = 0
        self.equity_paise = 0
        self._first = -1 if settings.first_entry is None else clock_ns(settings.first_entry)
        self._last = 1 << 62 if settings.last_entry is None else clock_ns(settings.last_entry)
        self._stale = round(settings.stale_after_s * SECOND_NS) or 1 << 62
        self._cooldown = round(settings.cooldown_s * SECOND_NS)
        self._timed = settings.first_entry is not None or settings.last_entry is not None
        self._counted = bool(settings.open_positions or settings.strategy_positions or settings.underlying_positions)
        self._daily = bool(settings.cooldown_s or settings.trades_per_day or settings.strategy_trades_per_day)
        self._earmarks = Earmarks()
        self._bucket = TokenBucket(settings.orders_per_s, settings.order_burst)
        self._reserve = settings.exit_reserve * settings.order_burst
        self._restrictions = Restrictions()
        self._groups: dict[str, _Group] = {}
        self._intents: dict[str, tuple[str, tuple[str, str]]] = {}
        self._covered: dict[tuple[str, str], int] = {}
        self._per_strategy: dict[str, int] = {}
        self._per_underlying: dict[str, int] = {}
        self._side_ts: dict[tuple[str, str, str], int] = {}
        self._trades_today = 0
        self._strategy_trades: dict[str, int] = {}
        self._dead_feeds: dict[str, str] = {}
        self._quotes: dict[str, tuple[float, int]] = {}
        self._loss_hit = False

    # -- the question -------------------------------------------------------------------------------------------------

    def check(self, plan: TradePlan, now: int) -> Breach | None:
        """Why `plan` may not be entered at `now`; None: it may. Changes nothing."""
        return (
            (self._state_breach(plan) if self._restrictions.scopes or self._loss_hit or not self.entries_on else None)
            or self._time_breach(plan, now)
            or (self._count_breach(plan) if self._counted else None)
            or (self._day_breach(plan, now) if self._daily else None)
            or (self._rate_breach(plan, now) if self._bucket.rate else None)
            or (self._price_breach(plan, now) if self.settings.price_band or self._quotes else None)
            or self._cash_breach(plan)
        )

    def restrictions(self) -> list[tuple[str, str, TradingState]]:
        """Give who may not do everything: (strategy, underlying, state); both names empty is the whole account."""
        return self._restrictions.listed()

    def counted(self) -> list[str]:
        """Give what counts as held or on its way, in words."""
        return [f"{group.strategy} {group.underlying}: {name}" for name, group in self._groups.items()]

    def banned(self) -> list[tuple[str, str]]:
        """Give who may hold nothing, as (strategy, underlying), '' for all: after a day's loss, a halt or a bench.

        Empty where nothing counts as held.
        """
        if not self._groups:
            return []
        return [("", "")] if self._loss_hit else self._restrictions.banned()

    def trading_state(self, strategy: str = "", underlying: str = "") -> TradingState:
        """Give the strictest of the account's, the strategy's and the underlying's state."""
        return self._restrictions.strictest(strategy, underlying)

    # -- what happened ------------------------------------------------------------------------------------------------

    def on_intent(self, intent: OrderIntent) -> None:
        """Count an accepted entry: in flight from now on."""
        plan = intent.plan
        intent_id, signal_id, strategy = intent.intent_id, plan.signal_id, plan.strategy
        if intent_id in self._intents:
            return
        group = self._groups.get(signal_id)
        if group is None:
            group = self._open(signal_id, strategy, plan.underlying, plan.direction)
            self._trades_today += 1
            self._strategy_trades[strategy] = self._strategy_trades.get(strategy, 0) + 1
        group.intents += 1
        key = (strategy, plan.instrument)
        self._intents[intent_id] = (signal_id, key)
        self._covered[key] = self._covered.get(key, 0) + 1
        self._side_ts[strategy, plan.underlying, plan.direction] = intent.ts
        self._earmarks.take(intent_id, plan)
        if self._bucket.rate:
            self._bucket.take(intent.ts, orders_of(plan, rest_target=self._rest_target))

    def on_trade(self, trade: TradeClosed) -> None:
        """Take a closed trade off the counts; its side's cooldown begins anew."""
        self._side_ts[trade.strategy, trade.underlying, trade.direction] = trade.exit_ts
        self.on_intent_end(trade.intent_id)

    def on_intent_end(self, intent_id: str) -> None:
        """Take one intent off the counts: closed, or never opened."""
        self._earmarks.drop(intent_id)
        found = self._intents.pop(intent_id, None)
        if found is None:
            return
        signal_id, key = found
        left = self._covered.pop(key) - 1
        if left:
            self._covered[key] = left
        group = self._groups[signal_id]
        group.intents -= 1
        if not group.intents:
            self._drop(signal_id)

    def on_refused(self, refused: Refused) -> None:
        """Take what the order desk or the exchange refused off the counts (all legs of the signal)."""
        if refused.signal_id in self._groups:
            for intent_id in [key for key, (signal_id, _) in self._intents.items() if signal_id == refused.signal_id]:
                self.on_intent_end(intent_id)

    def on_position(self, change: PositionChanged) -> None:
        """Count positions no intent of ours explains: found on start, or made by hand at the broker."""
        self._earmarks.on_position(change)
        key = (change.strategy, change.instrument)
        if key in self._covered:
            return
        name = _position(*key)
        if change.quantity and name not in self._groups:
            self._open(name, change.strategy, change.underlying, "")
        elif not change.quantity and name in self._groups:
            self._drop(name)

    def on_mark(self, marked: AccountMarked) -> bool:
        """Take the account's value; True just once a day, when the daily loss is reached: flatten then."""
        self.equity_paise = marked.equity_paise
        self._earmarks.cash_paise = marked.cash_paise
        if not self.start_equity_paise:
            self.start_equity_paise = marked.equity_paise
        if self._loss_hit or not self.settings.daily_loss:
            return False
        loss = self.start_equity_paise - marked.equity_paise
        self._loss_hit = loss >= self.settings.daily_loss * self.start_equity_paise
        return self._loss_hit

    def on_quote(self, instrument: str, price: float, ts: int) -> None:
        """Remember a good quote (rupees) of an instrument, for the price band."""
        if price > 0.0:
            self._quotes[instrument] = (price, ts)

    def on_feed(self, status: FeedStatus) -> None:
        """Note whether an underlying's data can be trusted."""
        if status.live:
            self._dead_feeds.pop(status.underlying, None)
        else:
            self._dead_feeds[status.underlying] = status.detail or "feed not live"

    def on_state(self, change: SetTradingState) -> None:
        """Change what may be done, for the account, a strategy, an underlying, or one strategy on one underlying."""
        self._restrictions.change(change)

    def new_day(self, equity_paise: int) -> None:
        """Begin a day: counts of the day, cooldowns and quotes are forgotten; open trades and states stay."""
        self.start_equity_paise = self.equity_paise = equity_paise
        self._loss_hit = False
        self._trades_today = 0
        self._strategy_trades.clear()
        self._side_ts.clear()
        self._quotes.clear()

    # -- restart ------------------------------------------------------------------------------------------------------

    def state(self) -> RiskState:
        """Give all that counts, to go on with after a restart."""
        return RiskState(
            day=self.day,
            start_equity=self.start_equity_paise,
            equity=self.equity_paise,
            loss_hit=self._loss_hit,
            trades_today=self._trades_today,
            strategy_trades=dict(self._strategy_trades),
            sides=[(*key, ts) for key, ts in self._side_ts.items()],
            groups=[(name, g.strategy, g.underlying, g.direction, g.intents) for name, g in self._groups.items()],
            intents=[(intent_id, signal, *key) for intent_id, (signal, key) in self._intents.items()],
            states=self.restrictions(),
        )

    def take_up(self, state: RiskState) -> None:
        """Go on, in a fresh book, from where `state` was given."""
        self.day = state.day
        self.start_equity_paise, self.equity_paise = state.start_equity, state.equity
        self._loss_hit, self._trades_today = state.loss_hit, state.trades_today
        self._strategy_trades = dict(state.strategy_trades)
        self._side_ts = {(a, b, c): ts for a, b, c, ts in state.sides}
        self._restrictions = Restrictions(state.states)
        for name, strategy, underlying, direction, intents in state.groups:
            self._open(name, strategy, underlying, direction).intents = intents
        for intent_id, signal_id, strategy, instrument in state.intents:
            self._intents[intent_id] = (signal_id, (strategy, instrument))
            self._covered[strategy, instrument] = self._covered.get((strategy, instrument), 0) + 1

    def release(self, live: Container[str], held: Iterable[tuple[str, str]]) -> None:
        """Count only what the desk has, once both are restored: its live intents, and (strategy, instrument) held.

        What the end of the process cut off before it was heard would never come off the counts.
        """
        for intent_id in [known for known in self._intents if known not in live]:
            self.on_intent_end(intent_id)
        positions = {_position(*key) for key in held}
        for name in [known for known, group in self._groups.items() if not group.intents and known not in positions]:
            self._drop(name)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _state_breach(self, plan: TradePlan) -> Breach | None:
        if not self.entries_on:
            return Breach(RefusalReason.ENTRIES_OFF, "entries are off: warming up")
        state = self.trading_state(plan.strategy, plan.underlying)
        if state is not TradingState.ACTIVE:
            return Breach(RefusalReason[state.name], f"{plan.strategy} on {plan.underlying} is {state}")
        if self._loss_hit:
            lost = (self.start_equity_paise - self.equity_paise) / 100
            return Breach(RefusalReason.DAILY_LOSS, f"{lost:.2f} rupees lost since the start of the day")
        return None

    def _time_breach(self, plan: TradePlan, now: int) -> Breach | None:
        if self.phase is not _OPEN:
            return Breach(RefusalReason.NOT_TRADING_HOURS, f"the session is {self.phase}")
        if self._timed:
            time_of_day = ns_of_day(now)
            if time_of_day < self._first:
                return Breach(RefusalReason.NOT_TRADING_HOURS, f"before {self.settings.first_entry}")
            if time_of_day >= self._last:
                return Breach(RefusalReason.TOO_LATE_IN_DAY, f"no entries from {self.settings.last_entry}")
        if self._dead_feeds and plan.underlying in self._dead_feeds:
            return Breach(RefusalReason.STALE_DATA, self._dead_feeds[plan.underlying])
        if now - plan.ts > self._stale:
            return Breach(RefusalReason.STALE_DATA, f"the plan is {(now - plan.ts) / SECOND_NS:.0f} s old")
        return None

    def _count_breach(self, plan: TradePlan) -> Breach | None:
        groups, settings = self._groups, self.settings
        if not groups or plan.signal_id in groups:
            return None
        strategy, underlying = plan.strategy, plan.underlying
        replaced = self._turned(plan) if plan.flip else 0
        for reason, count, limit in (
            (RefusalReason.OPEN_POSITIONS, len(groups), settings.open_positions),
            (RefusalReason.STRATEGY_POSITIONS, self._per_strategy.get(strategy, 0), settings.strategy_positions),
            (
                RefusalReason.UNDERLYING_POSITIONS,
                self._per_underlying.get(underlying, 0),
                settings.underlying_positions,
            ),
        ):
            if limit and count - replaced >= limit:
                return Breach(reason, f"{count} open or in flight, {limit} allowed")
        return None

    def _turned(self, plan: TradePlan) -> int:
        """Count the trades a flip will close: the strategy's others on the underlying, in the other direction."""
        return sum(
            group.strategy == plan.strategy
            and group.underlying == plan.underlying
            and group.direction not in ("", plan.direction)
            for group in self._groups.values()
        )

    def _day_breach(self, plan: TradePlan, now: int) -> Breach | None:
        settings = self.settings
        if plan.signal_id in self._groups:
            return None
        if self._cooldown:
            last = self._side_ts.get((plan.strategy, plan.underlying, plan.direction))
            if last is not None and now - last < self._cooldown:
                left = (self._cooldown - (now - last)) / SECOND_NS
                return Breach(RefusalReason.COOLDOWN, f"{left:.0f} s left for {plan.direction} of {plan.strategy}")
        if settings.trades_per_day and self._trades_today >= settings.trades_per_day:
            return Breach(RefusalReason.TRADES_PER_DAY, f"{self._trades_today} trades today")
        taken = self._strategy_trades.get(plan.strategy, 0)
        if settings.strategy_trades_per_day and taken >= settings.strategy_trades_per_day:
            return Breach(RefusalReason.STRATEGY_TRADES_PER_DAY, f"{taken} trades of {plan.strategy} today")
        return None

    def _rate_breach(self, plan: TradePlan, now: int) -> Breach | None:
        needed = orders_of(plan, rest_target=self._rest_target)
        left = self._bucket.level(now) - self._reserve
        if left < needed:
            detail = f"{needed} orders more, room for {max(math.floor(left), 0)} now: {self.settings.orders_per_s:g} a"
            return Breach(RefusalReason.ORDER_RATE, f"{detail} second, the rest is kept for exits")
        return None

    def _price_breach(self, plan: TradePlan, now: int) -> Breach | None:
        band = self.settings.price_band
        good, ts = self._quotes.get(plan.instrument, (0.0, now))
        if not good or now - ts > self._stale:
            if 0.0 < plan.bid <= plan.ask:
                good = (plan.bid + plan.ask) / 2.0
            elif good:
                detail = f"the last quote of {plan.instrument} is {(now - ts) / SECOND_NS:.0f} s old"
                return Breach(RefusalReason.STALE_DATA, detail)
            else:
                return None
        if band and math.fabs(plan.entry - good) > band * good:
            return Breach(RefusalReason.PRICE_BAND, f"entry {plan.entry:g} is too far from the quote {good:g}")
        return None

    def _cash_breach(self, plan: TradePlan) -> Breach | None:
        lack = self._earmarks.lack(plan)
        return Breach(RefusalReason.MARGIN, lack) if lack else None

    def _open(self, name: str, strategy: str, underlying: str, direction: str) -> _Group:
        group = self._groups[name] = _Group(strategy, underlying, direction)
        self._per_strategy[strategy] = self._per_strategy.get(strategy, 0) + 1
        self._per_underlying[underlying] = self._per_underlying.get(underlying, 0) + 1
        return group

    def _drop(self, name: str) -> None:
        group = self._groups.pop(name)
        self._per_strategy[group.strategy] -= 1
        self._per_underlying[group.underlying] -= 1


def orders_of(plan: TradePlan, *, rest_target: bool) -> int:
    """How many orders an entry needs: itself, its stop, its target where that rests at the broker."""
    return 1 + int(plan.stop == plan.stop) + int(rest_target and plan.target == plan.target)
